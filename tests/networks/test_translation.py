"""Translation networks: the slope of CUT's contrast, sizes, official files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.networks.interop import find_files, load_official
from tests.options import built, loss_term

SIDES: dict[str, Any] = {"height": 32, "width": 40}


def pictures(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("flip", [False, True])
def test_the_slope_of_the_contrast(flip: bool) -> None:
    """A difference quotient of the whole contrast along a weight of the last convolution."""
    torch.manual_seed(0)
    model = built("model/cut", at="", num_classes=1, edges=False, ngf=2, blocks=6, flip=flip, patches=6, heads=8,
                  identity=True, **SIDES).double()  # fmt: skip
    batch = Batch(source=pictures(1, 1, 3, 32, 40).double(), image=pictures(2, 1, 3, 32, 40).double())
    weight, nce = model.generator.model[27].weight, loss_term("nce")

    def value() -> Tensor:
        torch.manual_seed(3)  # the same places and mirroring
        contrast = model(batch).contrast
        return nce.of_rows(contrast.there) + nce.of_rows(contrast.same)

    (slope,) = torch.autograd.grad(value(), weight)
    step = 1e-6
    with torch.no_grad():
        place = weight.view(-1)
        for i in (0, 100, 290):
            place[i] += step
            above = value()
            place[i] -= 2 * step
            below = value()
            place[i] += step
            assert float((above - below) / (2 * step)) == pytest.approx(float(slope.flatten()[i]), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(("height", "width"), [(24, 32), (27, 34)])
@pytest.mark.parametrize("model", ["cyclegan", "cut"])
def test_translations_keep_the_size_of_any_picture(model: str, height: int, width: int) -> None:
    net = built(f"model/{model}", num_classes=1, edges=False, ngf=2, blocks=1 if model == "cyclegan" else 6, **SIDES)
    made = net.sample(Batch(source=pictures(0, 2, 3, height, width))).image
    assert made.shape == (2, 3, height, width)


@pytest.mark.parametrize("model", ["cyclegan", "cut"])
def test_pictures_too_small_to_judge_are_refused(model: str) -> None:
    with pytest.raises(Refusal, match="16x32 are too small to translate; give sides of 24"):
        built(f"model/{model}", num_classes=1, edges=False, ngf=2, height=16, width=32)


def test_an_official_file_with_statistics_of_its_norms_loads(tmp_path: Path) -> None:
    """Old checkpoints hold running statistics of instance norms, which nothing reads (specs/blocks_and_post.md 7)."""
    net = built("model/cyclegan", num_classes=1, edges=False, ngf=2, blocks=1, both_ways=False, **SIDES)
    state = {key.removeprefix("there."): torch.randn_like(t) for key, t in net.state_dict().items()}
    old = state | {"model.2.running_mean": torch.zeros(2), "model.2.running_var": torch.ones(2),
                   "model.2.num_batches_tracked": torch.tensor(3)}  # fmt: skip
    torch.save(old, tmp_path / "latest_net_G.pth")
    files = find_files(str(tmp_path))
    load_official(net, {letter: torch.load(path, weights_only=True) for letter, path in files.items()})
    assert torch.equal(net.there.model[1].weight, state["model.1.weight"])
    with pytest.raises(Refusal, match=r"unexpected G_A/model\.1\.running_mean"):
        load_official(net, {"G": state | {"model.1.running_mean": torch.zeros(2)}})


def test_both_directions_need_both_files() -> None:
    net = built("model/cyclegan", num_classes=1, edges=False, ngf=2, blocks=1, **SIDES)
    with pytest.raises(Refusal, match=r"takes the files G_A, G_B, got G_A.*model\.both_ways=false takes one"):
        load_official(net, {"G_A": net.there.state_dict()})
