"""CoCosNet as a model of the house: what it offers it fills, what it must not read it does not, refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.cocosnetv1 import CoCosNet
from tests.networks.filled import filled
from tests.options import built

SMALL = {"num_classes": 4, "height": 64, "width": 96, "ngf": 2, "hidden": 8, "inter": 4, "attention": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "published": {},
    "faces": {"warped_label": "cycle", "bilinear": True, "adaptor": {"kernel": 4}, "cycle": True, "two_cycle": True},
    "fashion": {
        "warped_label": "none", "patches": True, "adaptor": {"mask_features": False, "coordinate_features": True},
    },
    "noise": {"adaptor": {"label_noise": True, "exemplar_noise": True}, "condition": "warp"},
    "batch_norm": {"norm": "batch", "centre": "positions", "match_kernel": 1, "condition": "mask", "stride": 2},
}  # fmt: skip


def batch(**more: Any) -> Batch:
    g = torch.Generator().manual_seed(5)
    label, other = (torch.randint(0, 4, (2, 64, 96), generator=g) for _ in range(2))
    image, exemplar = (torch.rand(2, 3, 64, 96, generator=g) * 2 - 1 for _ in range(2))
    own = torch.tensor([True, False])
    return dataclasses.replace(
        Batch(label=label, image=image, exemplar=exemplar, exemplar_label=other, self_reference=own), **more
    )


def model(**options: Any) -> CoCosNet:
    torch.manual_seed(0)
    return built("model/cocosnetv1", **{**SMALL, **options})


def noise(net: CoCosNet) -> torch.Tensor | None:
    return (
        None
        if net.noise_shape is None
        else torch.randn(2, *net.noise_shape, generator=torch.Generator().manual_seed(1))
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_it_fills_what_it_offers(name: str) -> None:
    net = model(**OPTIONS[name])
    made = net(batch(), noise=noise(net))
    assert filled(made) == net.offers
    assert made.image.shape == made.warp.warped[0].shape == (2, 3, 64, 96)
    if made.warp.label is not None:
        torch.testing.assert_close(made.warp.label.sum(1), torch.ones(2, 64 // net.stride, 96 // net.stride))


@pytest.mark.parametrize("name", OPTIONS)
def test_sampling_does_not_read_the_photograph(name: str) -> None:
    net = model(**OPTIONS[name]).eval()
    with torch.no_grad():
        first = net.sample(batch(), noise=noise(net))
        second = net.sample(batch(image=torch.full((2, 3, 64, 96), torch.nan)), noise=noise(net))
        trained = net(batch(), noise=noise(net))
    torch.testing.assert_close(first.image, second.image, rtol=0, atol=0)
    torch.testing.assert_close(first.image, trained.image, rtol=0, atol=0)
    assert first.warp is not None
    assert first.warp.aligned is None
    assert first.warp.returned is None


def test_the_exemplar_counts() -> None:
    net = model().eval()
    with torch.no_grad():
        one, other = net.sample(batch()).image, net.sample(batch(exemplar=-batch().require("image"))).image
    assert (one - other).abs().max() > 1e-4


def test_every_parameter_learns() -> None:
    net = model(cycle=True)
    made = net(batch())
    (
        made.image.mean() + made.warp.label.square().mean() + (made.warp.aligned[0][0] * made.warp.aligned[0][1]).mean()
    ).backward()
    unmoved = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not unmoved


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"height": 48}, r"divisible by 32 and at least 64, got 48x96; the nearest are height 64 and width 96"),
        ({"width": 80}, r"divisible by 32"),
        ({"condition": "both"}, r"model.condition=both is not one of warp_mask, warp, mask"),
        ({"warped_label": "yes"}, r"model.warped_label=yes is not one of none, direct, cycle"),
        ({"stride": 3}, r"model.stride=3 is not one of 2, 4"),
        ({"patches": True, "two_cycle": True}, r"set model.patches=false"),
        ({"adaptor": {"dilated": True}}, r"set both or neither"),
        ({"adaptor": {"kernel": 5}}, r"model.adaptor.kernel=5.* kernel 3 .published. or 4"),
        ({"ngf": 1}, r"attention divides its channels by 8, got 4"),
    ],
)
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        model(**options)


def test_refusals_of_batches() -> None:
    net = model()
    with pytest.raises(Refusal, match=r"the batch has none; use exemplar=retrieved"):
        net.sample(batch(exemplar=None))
    with pytest.raises(Refusal, match=r"takes noise none, got \(2, 4\)"):
        net(batch(), noise=torch.zeros(2, 4))
