"""Denoisers: every choice of layers, sizes that do not divide, the slices' own scale, and one fusion in another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.cncl import Separated, TwoBranches
from tests.options import built

SIDES: dict[str, Any] = {"num_classes": 1, "edges": False, "height": 32, "width": 32}
PLAIN = {"squeeze": False, "own": 0, "cross": 0, "heads": 2, "residual": False, "every_level": False}


def slices(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def unet(**changes: Any) -> Any:
    torch.manual_seed(0)
    return built("model/cncl_unet", ngf=4, **SIDES, **{"exchange": PLAIN, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": {"norm": "batch", "activation": "glu"}, "fusion": 3},
        {"fusion": "noise"},
        {"fusion": "content"},
        {"layers": {"norm": "layer", "activation": "glu"}, "exchange": PLAIN | {"squeeze": True, "own": 1}},
        {"layers": {"norm": "layer", "activation": "gelu"}, "exchange": PLAIN | {"cross": 2, "residual": True}},
        {"exchange": PLAIN | {"cross": 1, "residual": True, "every_level": True}},
    ],
)
def test_every_layer_that_acts_learns(changes: dict[str, Any]) -> None:
    """Only the U-Nets' own predictions, which attention on the last maps replaces, have no gradient (the log's too)."""
    model = unet(**changes)
    made = model(Batch(source=slices(2, 1, 32, 32)))
    assert made.branches is not None
    (made.image.square().mean() + made.branches.noise.square().mean() + made.branches.content.mean()).backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    exchange = changes.get("exchange", PLAIN)
    replaced = (exchange["own"] or exchange["cross"]) and not exchange["every_level"]
    heads = {
        f"generator.{side}_encoder.outc.conv.{leaf}" for side in ("noise", "content") for leaf in ("weight", "bias")
    }
    assert idle == (heads if replaced else set())


@pytest.mark.parametrize("model", ["cncl", "cncl_unet", "restormer"])
def test_slices_keep_their_size_and_padding_is_cut_off_again(model: str) -> None:
    """What is reflected at the right and below leaves a multiple of the step as it is."""
    more: dict[str, Any] = (
        {"blocks": [1, 1, 1, 1], "refinement": 1, "heads": [1, 2, 2, 2], "dim": 4}
        if model == "restormer"
        else {"ngf": 4}
    )
    torch.manual_seed(0)
    net = built(f"model/{model}", **SIDES, **more).eval()
    with torch.no_grad():
        whole = net.sample(Batch(source=slices(1, 1, 32, 48))).image
        odd = net.sample(Batch(source=slices(1, 1, 27, 38))).image
        again = net.sample(Batch(source=slices(1, 1, 32, 48))).image
    assert whole.shape == (1, 1, 32, 48)
    assert odd.shape == (1, 1, 27, 38)
    assert torch.equal(whole, again)
    with pytest.raises(Refusal, match="4x4 are too small for a network that halves them"):
        net.sample(Batch(source=slices(1, 1, 4, 4)))


def test_a_1x1_fusion_is_a_3x3_one_whose_border_is_zero() -> None:
    """Log 003's remark of 15 December."""
    small, wide = unet(fusion=1).eval(), unet(fusion=3).eval()
    state = small.state_dict()
    key = "generator.fusion_layer.conv.weight"
    state[key] = nn.functional.pad(state[key], (1, 1, 1, 1))
    wide.load_state_dict(state)
    batch = Batch(source=slices(1, 1, 32, 32))
    assert torch.allclose(small.sample(batch).image, wide.sample(batch).image, atol=1e-6)


class Nothing(nn.Module):
    """Finds no noise: content and fused picture are what it reads."""

    seen: Tensor

    def forward(self, x: Tensor) -> Separated:
        self.seen = x
        return Separated(x, torch.zeros_like(x), x)


def test_the_network_sees_each_slice_less_its_mean_and_over_its_variance() -> None:
    """Geng et al. 2022, in grey levels of 0 to 4096; what comes out is back in the picture's units."""
    net = Nothing()
    model = TwoBranches(net, judged=["content", "noise", "source"], slice_levels=4096, low=-1.0)
    source = slices(2, 1, 16, 16)
    made = model.sample(Batch(source=source))
    assert torch.allclose(made.image, source, atol=1e-5)
    levels = (source.double() + 1) / 2 * 4096
    mean, variance = levels.mean((1, 2, 3), keepdim=True), levels.var((1, 2, 3), keepdim=True, unbiased=False)
    assert torch.allclose(net.seen.double(), (levels - mean) / variance, rtol=1e-4, atol=1e-7)


def test_the_network_sees_the_window_from_low_to_1() -> None:
    """Log 003's (HU + 1024) / 4096 at low=0: half of the sum with 1; what comes out is back in the picture's units."""
    net = Nothing()
    source = slices(2, 1, 16, 16)
    made = TwoBranches(net, judged=["content", "noise", "source"], slice_levels=None, low=0.0).sample(
        Batch(source=source)
    )
    torch.testing.assert_close(net.seen, (source + 1) / 2)
    torch.testing.assert_close(made.image, source)
    with pytest.raises(Refusal, match=r"model.low=1.0 must be a number below 1"):
        TwoBranches(net, judged=["content", "noise", "source"], slice_levels=None, low=1.0)


@pytest.mark.parametrize("finds", ["content", "noise"])
def test_one_branch_finds_one_and_leaves_the_other(finds: str) -> None:
    """Content and noise add up to what is read, and the picture is the content."""
    model, noisy = unet(fusion=finds).eval(), slices(1, 1, 32, 32)
    made = model(Batch(source=noisy))
    assert made.branches is not None
    assert torch.equal(made.image, made.branches.content)
    torch.testing.assert_close(made.branches.content + made.branches.noise, noisy)
    predicted, shift = getattr(made.branches, finds), 1.0 if finds == "content" else 0.0
    torch.testing.assert_close((predicted + shift) / 2, model.generator.encoder((noisy + 1) / 2)[1])
    with pytest.raises(Refusal, match="leaves one branch"):
        unet(fusion=finds, exchange=PLAIN | {"cross": 1})
    with pytest.raises(Refusal, match="1 or 3, or the only branch"):
        unet(fusion=2)
