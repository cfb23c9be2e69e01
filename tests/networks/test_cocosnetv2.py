"""CoCosNet v2 at other sizes than the published square: shapes, what sampling may read, known matches, refusals."""

from __future__ import annotations

import copy
import dataclasses
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal
from scenegen.networks.correspondence.cocosnetv2 import HierarchicalCorrespondence, best_match
from scenegen.networks.generators.cocosnetv2 import CoCosNet2
from tests.networks.filled import filled
from tests.options import built

SMALL: dict[str, Any] = {"num_classes": 3, "height": 64, "width": 96, "ngf": 2, "nef": 4, "hidden": 4, "iterations": 2}


def batch_of(h: int = 64, w: int = 96, *, b: int = 2, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 3, (2, b, h // 16, w // 16), generator=g)
    label, exemplar_label = ids.repeat_interleave(16, 2).repeat_interleave(16, 3)
    image, exemplar = 2 * torch.rand(2, b, 3, h, w, generator=g) - 1
    return Batch(label=label, image=image, exemplar=exemplar, exemplar_label=exemplar_label)


def model_of(**changes: Any) -> CoCosNet2:
    torch.manual_seed(0)
    return built("model/cocosnetv2", **{**SMALL, **changes})


@pytest.mark.parametrize(("h", "w"), [(64, 64), (64, 96), (96, 64)])
def test_training_fills_what_it_offers(h: int, w: int) -> None:
    model, batch = model_of(height=h, width=w).train(), batch_of(h, w)
    painted = model(batch)
    assert painted.image.shape == (2, 3, h, w)
    assert painted.image.abs().max() <= 1
    assert [t.shape for t in painted.warp.warped] == [(2, 3, h // s, w // s) for s in (8, 4, 2, 1)]
    assert painted.warp.back.shape == (2, 3, h // 8, w // 8)
    widths = [16, 16, 8, 4]
    for level, (width, s) in enumerate(zip(widths, (8, 4, 2, 1), strict=True)):
        for side in painted.warp.aligned[level]:
            assert side.shape == (2, width, h // s, w // s)
            torch.testing.assert_close(side.norm(dim=1), torch.ones(2, h // s, w // s))
    assert filled(painted) == model.offers


def test_a_warp_stays_within_the_exemplar() -> None:
    batch = batch_of()
    assert batch.exemplar is not None
    for warped in model_of().eval()(batch).warp.warped:  # every pixel is a mean of exemplar pixels
        assert warped.min() >= batch.exemplar.min() - 1e-5
        assert warped.max() <= batch.exemplar.max() + 1e-5


def test_sampling_never_reads_the_photograph() -> None:
    model, batch = model_of().eval(), batch_of()
    blind = dataclasses.replace(batch, image=torch.full((1, 1, 1, 1), torch.nan))
    got, want = model.sample(blind), model(batch)
    assert torch.equal(got.image, want.image)
    assert got.warp is not None
    assert got.warp.back is None
    assert got.warp.aligned is None


def test_sampling_draws_nothing() -> None:
    model, batch = model_of().eval(), batch_of()
    torch.manual_seed(1)
    random.seed(1)
    first = model.sample(batch).image
    torch.manual_seed(2)
    random.seed(2)
    assert torch.equal(model.sample(batch).image, first)


def test_training_follows_the_seed_of_the_step() -> None:
    net = model_of(iterations=5).correspondence.train()
    torch.manual_seed(1)
    first = net.directions()
    assert len(first) == 3
    assert {len(row) for row in first} == {5}
    torch.manual_seed(1)
    random.seed(3)
    assert net.directions() == first
    drawn = [flag for _ in range(200) for row in net.directions() for flag in row]
    assert 0.45 < sum(drawn) / len(drawn) < 0.55


@pytest.mark.parametrize(("refine", "still"), [("frozen", 30), ("none", 30), ("trained", 0)])
def test_what_learns(refine: str, still: int) -> None:
    model = model_of(refine=refine).train()
    painted = model(batch_of())
    parts = [painted.image.square().mean(), painted.warp.back.square().mean()]
    parts += [t.square().mean() for t in painted.warp.warped] + [(a - b).abs().mean() for a, b in painted.warp.aligned]
    torch.stack(parts).sum().backward()
    # measured on the published code, which leaves 30 tensors of the correspondence without a gradient
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert len(without) == still
    assert all(name.startswith("correspondence.patch_match.") for name in without)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


class Given(nn.Module):
    """A pyramid that answers with prepared levels."""

    def __init__(self, levels: list[Tensor]) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.levels


@pytest.mark.parametrize(("h", "w"), [(128, 128), (96, 128)])
def test_a_known_shift_is_found_from_coarse_to_fine(h: int, w: int) -> None:
    """The exemplar's features are the content's, sixteen pixels further right and eight further down."""
    nef, shift = 12, (8, 16)
    made = built("model/cocosnetv2", num_classes=1, height=h, width=w, ngf=2, nef=nef, iterations=2, refine="none")
    net: HierarchicalCorrespondence = made.correspondence.eval()
    g = torch.Generator().manual_seed(0)
    smooth = F.interpolate(torch.randn(1, nef, h // 8, w // 8, generator=g), size=(h, w), mode="bicubic")
    exemplar = F.interpolate(torch.rand(1, 3, h // 8, w // 8, generator=g), size=(h, w), mode="bicubic")

    def levels(full: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(full, s).repeat(1, r, 1, 1) for s, r in ((8, 4), (4, 4), (2, 2), (1, 1))]

    net.adaptive_model_seg = Given(levels(smooth))  # pyright: ignore[reportAttributeAccessIssue]
    net.adaptive_model_img = Given(levels(smooth.roll(shift, dims=(2, 3))))  # pyright: ignore[reportAttributeAccessIssue]
    for level, repeats in enumerate((4, 4, 2, 1)):
        for side in ("theta", "phi"):
            conv = net.get_submodule(f"{side}_{level}")
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
            conv.weight.data = torch.eye(nef).repeat(1, repeats).view(nef, -1, 1, 1)
    planes = torch.ones(1, 1, h, w)
    with torch.no_grad():
        found = net(planes, exemplar, planes)
    want = exemplar.roll((-shift[0], -shift[1]), dims=(2, 3))[..., : h - 8, : w - 16]
    got = found.warped[-1][..., : h - 8, : w - 16]
    own = torch.arange(h * w).view(h, w)
    hit = found.index[-1][0, : h - 8, : w - 16, 0] == own[8:, 16:]
    assert hit.float().mean() > 0.99
    assert (got - want).abs().mean() < 0.01


def test_the_best_match_is_the_dense_one() -> None:
    theta, phi = torch.randn(2, 2, 5, 4, 6, generator=torch.Generator().manual_seed(0))
    want = torch.einsum("bcn,bcm->bnm", theta.flatten(2), phi.flatten(2)).argmax(-1)
    assert torch.equal(best_match(theta, phi).flatten(1), want)


@pytest.mark.slow  # without the instructions for it bf16 takes 40 s here
def test_lower_precision_keeps_float32_where_it_matters() -> None:
    model, batch = model_of().eval(), batch_of()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = model.sample(batch)
    assert low.warp is not None
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in (low.image, *low.warp.warped))
    with torch.no_grad():  # matches of random features flip, so the generator is compared on the same warps
        full = model.generator(low.warp.warped, model.condition(batch))
    assert (low.image - full).abs().mean() < 0.05


def test_double_precision_runs() -> None:
    batch = batch_of()
    wide = dataclasses.replace(
        batch, image=batch.require("image").double(), exemplar=batch.require("exemplar").double()
    )
    assert model_of().double().eval()(wide).image.dtype == torch.float64


def test_the_shared_slope_has_two_keys_and_copies_stay_shared() -> None:
    model = copy.deepcopy(model_of())
    block = model.correspondence.adaptive_model_seg.get_submodule("layer2.1")
    state = block.state_dict()
    assert state["relu.weight"].data_ptr() == state["model.3.weight"].data_ptr()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"height": 72}, "got 72x96; the nearest are height 64 or 96 and width 96"),
        ({"height": 32}, "at least 64, got 32x96; the nearest are height 64 and width 96"),
        ({"nef": 0}, "widths must be positive"),
        ({"norm": "batch"}, "norm='batch' is not known here; choose one of position, per_process_batch"),
        ({"kernel": 5}, "kernel 3 .published. or 4, got 5"),
        ({"centre": "all"}, "centre='all' is not known; choose one of channels, positions"),
        ({"refine": "learnt"}, "choose one of frozen, trained, none"),
        ({"iterations": 0}, "must be positive"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        model_of(**changes)


@pytest.mark.parametrize("call", ["__call__", "sample"])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exemplar": None}, "the batch has none; use exemplar=retrieved"),
        ({"exemplar_label": None}, "the batch has none; use exemplar=retrieved"),
        ({"exemplar": torch.zeros(2, 3, 64, 64)}, r"exemplars are \(64, 64\) but labels are \(64, 96\)"),
    ],
)
def test_batches_that_do_not_fit_are_refused(changes: dict[str, Any], sentence: str, call: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        getattr(model_of(), call)(dataclasses.replace(batch_of(), **changes))


@pytest.mark.parametrize("call", ["__call__", "sample"])
def test_noise_is_refused(call: str) -> None:
    with pytest.raises(Refusal, match="from the batch's exemplars, not from noise or style"):
        getattr(model_of(), call)(batch_of(), noise=torch.zeros(2, 4))
