"""Networks that fill holes: what they keep, read and refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.sesame_editing import editing_semantics
from scenegen.networks.interop import load_official
from scenegen.networks.layers.halving import halved
from scenegen.networks.layers.holes import spread
from scenegen.networks.layers.log_spdnorm import LogSPDBlock
from scenegen.networks.layers.spdnorm import SPDBlock
from tests.options import built

SIDES: dict[str, Any] = {"num_classes": 3, "edges": False, "height": 64, "width": 64}
SMALL: dict[str, dict[str, Any]] = {
    "picnet": {"sizes": {"ngf": 2, "widest": 8, "z": 3}, "blocks": 1},
    "picnet_spdnorm": {"sizes": {"ngf": 2, "widest": 8, "z": 3}},
    "pdgan": {"ngf": 2, "z": 3},
    "pconv": {"ngf": 1},
    "sesame_editor": {"ngf": 2, "hidden": 4},
}


def batch(seed: int = 0) -> Batch:
    stream = torch.Generator().manual_seed(seed)
    hole = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    hole[..., 20:50, 10:40] = True
    image = torch.rand(1, 3, 64, 64, generator=stream) * 2 - 1
    label = torch.randint(0, 3, (1, 64, 64), generator=stream)
    return Batch(image=image, source=image, hole=hole, label=label, name=("a",))


@pytest.mark.parametrize("name", SMALL)
def test_given_pixels_stay_and_what_the_hole_hides_is_never_read(name: str) -> None:
    torch.manual_seed(0)
    model = built(f"model/{name}", **SIDES, **SMALL[name])
    whole = batch()
    other = Batch(source=torch.where(whole.require("hole"), 0.7, whole.require("source")), hole=whole.hole,
                  label=whole.label, name=("a",))  # fmt: skip
    made, again = (model.paint(b, seed=1) for b in (whole, other))
    around = ~whole.require("hole").expand(-1, 3, -1, -1)
    assert torch.equal(made.image[around], whole.require("source")[around])
    assert torch.equal(made.image, again.image)
    assert made.completion is not None
    assert not torch.equal(made.completion.raw[around], made.image[around])


@pytest.mark.parametrize("name", ["picnet", "picnet_spdnorm", "pdgan"])
def test_another_draw_is_another_completion_and_a_second_look_is_none(name: str) -> None:
    torch.manual_seed(0)
    model = built(f"model/{name}", **SIDES, **SMALL[name])
    first, same, other = (model.paint(batch(), seed=seed).image for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_releases_spectral_norm_moves_in_eval_mode_when_asked_for() -> None:
    torch.manual_seed(0)
    model = built("model/picnet", **SIDES, **SMALL["picnet"], eval_steps=True)
    first, second = (model.paint(batch(), seed=1).image for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("block", ["log", "released"])
def test_spdnorm_modulates_each_of_picnets_doublings(block: str) -> None:
    """Each block is the one of its name, all of both learn, and the maps are the doublings' own, in front of them."""
    torch.manual_seed(0)
    model = built("model/picnet_spdnorm", **SIDES, **SMALL["picnet_spdnorm"], block=block)
    kind = {"log": LogSPDBlock, "released": SPDBlock}[block]
    assert [type(one) for one in model.generator.blocks] == [kind] * 5
    plain: list[Tensor] = []
    for i in range(1, 5):
        model.generator.get_submodule(f"decoder{i}").register_forward_hook(lambda *of: plain.append(of[2]))
    made = model(batch(), noise=torch.randn(1, *model.noise_shape))
    completion = made.completion
    assert [p.shape[-1] for p in completion.generated] == [p.shape[-1] for p in completion.others] == [8, 16, 32, 64]
    assert all(torch.equal(found, want) for found, want in zip(completion.maps, plain, strict=True))
    assert not torch.equal(completion.raw, completion.other)
    (completion.raw + completion.other).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert still == []
    with pytest.raises(Refusal, match=r"model\.block=soft is not one of log, released"):
        built("model/picnet_spdnorm", **SIDES, **SMALL["picnet_spdnorm"], block="soft")


def test_second_names_of_a_file_must_hold_the_same_tensor() -> None:
    model = built("model/picnet", **SIDES, **SMALL["picnet"])
    state = {f"module.{key}": t.clone() for key, t in model.generator.state_of_files().items()}
    load_official(model.generator, state)
    twice = "module.decoder1.model.2.module.weight_bar"
    with pytest.raises(Refusal, match=r"holds one tensor under two names, but model\.2\.module\.weight_bar"):
        load_official(model.generator, state | {twice: state[twice] + 1})


@pytest.mark.parametrize("inside", [False, True])
def test_the_editor_sees_classes_and_the_hole(inside: bool) -> None:
    model = built("model/sesame_editor", **SIDES, **SMALL["sesame_editor"], inside=inside)
    given = batch()
    want = editing_semantics(given.require("label"), given.require("hole").float(), num_classes=3, inside=inside)
    assert torch.equal(model.condition(given), want)
    assert want.shape[1] == model.condition_channels


def test_a_hole_is_spread_from_its_surroundings() -> None:
    """A flat picture stays flat; a ramp's hole is filled between its ends."""
    given = batch()
    flat = Batch(source=torch.full((1, 3, 64, 64), 0.3), hole=given.hole)
    assert torch.allclose(spread(flat), torch.full((1, 3, 64, 64), 0.3), atol=1e-6)
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    filled = spread(Batch(source=ramp, hole=given.hole))
    inside = filled[given.require("hole").expand_as(filled)]
    assert ramp[..., 9].max() - 0.2 <= inside.min()
    assert inside.max() <= ramp[..., 40].max() + 0.2


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("model/picnet", {"height": 48}, r"pictures of 48x64 do not go through PICNet's 5 halvings"),
        (
            "model/picnet",
            {"sizes": {"ngf": 4, "widest": 8, "z": 2}},
            r"model\.sizes\.widest=8 must be 4 model\.sizes\.ngf=4",
        ),
        ("model/picnet", {"norm": "batch"}, r"model\.norm=batch is not one of instance, group, runs"),
        ("model/picnet", {"convolution": "partial"}, r"model\.convolution=partial is not one of plain"),
        ("model/pdgan", {"width": 96}, r"model=pdgan halves pictures 6 times, but 64x96"),
        ("model/sesame_editor", {"height": 66}, r"model\.downsamplings=2 halves pictures so often, but 66x64"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        built(name, **{**SIDES, **changes})


@pytest.mark.parametrize(("side", "layers", "said"), [(64, 5, "give 1 to 4, or null for 4"), (64, 0, "give 1 to 4")])
def test_a_discriminator_that_leaves_no_scores_is_refused(side: int, layers: int, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        built("discriminator/picnet", semantic_channels=0, height=side, width=side, layers=layers)


def test_both_discriminators_judge_small_pictures_too() -> None:
    judge = built("discriminator/picnet", semantic_channels=0, height=64, width=64, ndf=2, widest=8)
    scores: tuple[Tensor, ...] = judge(None, torch.zeros(2, 6, 64, 64)).logits
    assert [score.shape for score in scores] == [(2, 1, 2, 2)] * 2
    one = built("discriminator/picnet_one", semantic_channels=0, height=64, width=64, ndf=2, widest=8)
    (alone,) = one(None, torch.zeros(2, 3, 64, 64)).logits
    assert alone.shape == (2, 1, 2, 2)
    with pytest.raises(
        Refusal, match="discriminator=picnet_one judges pictures of 3 channels, got 6; use it with model=picnet_spdnorm"
    ):
        one(None, torch.zeros(2, 6, 64, 64))
    told = built("discriminator/picnet_minibatch", semantic_channels=0, height=64, width=64, ndf=2, widest=8)
    same, unlike = torch.zeros(2, 6, 64, 64), torch.rand(2, 6, 64, 64)
    assert not told.per_sample
    alone = torch.cat([told(None, row).logits[0] for row in unlike.split(1)])
    assert torch.allclose(told.eval()(None, same).logits[0][0], told(None, same[:1]).logits[0][0], atol=1e-4)
    assert not torch.allclose(told(None, unlike).logits[0], alone), "the others of the batch count"
    with pytest.raises(Refusal, match="use it with model=picnet"):
        judge(None, torch.zeros(2, 3, 64, 64))


@pytest.mark.parametrize("side", [6, 5])
def test_halved_is_torchs_mean_of_pixels_and_keeps_nothing_for_its_gradient(side: int) -> None:
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)).requires_grad_()
    kept: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        made = halved(x)
    assert bool(kept) == bool(side % 2)
    assert torch.equal(made, F.avg_pool2d(x, 2))
    assert torch.equal(*(torch.autograd.grad(y.square().sum(), x)[0] for y in (made, F.avg_pool2d(x, 2))))


def test_halved_can_be_differentiated_twice() -> None:
    x = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(halved, x)
