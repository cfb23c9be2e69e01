"""Options and pictures that the terms refuse, and what they say."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Judgement, Refusal
from scenegen.losses.bilateral import bilateral_loss
from scenegen.losses.contextual import contextual_loss
from scenegen.losses.dists import PUBLISHED_LAYERS, dists
from scenegen.losses.feature_matching import feature_matching
from scenegen.losses.profile import gradient_profile

LAYERS = {"relu1_1": 1.0}
CRITERIA = ("hinge", "lsgan", "nonsaturating")

cx = partial(loss_term, "cx", extractor="vgg", layers=LAYERS, pooling=None)
dists_of = partial(loss_term, "dists", extractor="vgg", layers=PUBLISHED_LAYERS, coefficients="published")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: loss_term("vgg", extractor="vgg", layers=LAYERS, criterion="l3"), "criterion=l3 .* l1, l2, smooth_l1"),
        (lambda: loss_term("vgg", extractor="vgg", layers=LAYERS, target="fake"), "target=fake .* real, exemplar"),
        (lambda: loss_term("vgg", extractor="vgg", layers={"relu1_1": -1.0}), "layers.relu1_1=-1.0 is not a weight"),
        (lambda: loss_term("vgg", extractor="vgg", layers={"relu1_1": math.nan}), "layers.relu1_1=nan is not a weight"),
        (lambda: loss_term("vgg", extractor="vgg", layers={"relu1_1": 0}), "names no layer with a weight above 0"),
        (lambda: cx(distance="l3"), "distance=l3 is not one of cosine"),
        (lambda: cx(centre="left"), "centre=left is not one of sample"),
        (lambda: cx(direction="up"), "direction=up is not one of target"),
        (lambda: cx(h=0), "needs h > 0"),
        (lambda: cx(eps=0), "needs h > 0, eps >= 1e-6"),
        (lambda: cx(patch=2), "patch=2 is not an odd number"),
        (lambda: cx(max_points=1), "max_points=1 is not a number >= 2"),
        (lambda: loss_term("cx", extractor="vgg", layers=LAYERS, pooling={"relu2_1": 2}), "pooling.relu2_1=2"),
        (lambda: dists_of(coefficients="mine"), "coefficients=mine .* published, uniform"),
        (lambda: dists_of(layers=["relu1_1"]), "published coefficients of dists belong to"),
        (lambda: loss_term("kld", reduction="max"), "reduction=max .* sum, mean, sum_mean"),
        *[(lambda c=c: loss_term(c, real_label=0.4), "real_label=0.4 is not in") for c in CRITERIA],
    ],
)  # fmt: skip
def test_options(make, message):
    with pytest.raises(Refusal, match=message):
        make()


@pytest.mark.parametrize(
    "term",
    [
        loss_term("vgg", extractor="vgg", layers=LAYERS),
        loss_term("dists", extractor="vgg", layers=["relu1_2"], coefficients="uniform"),
        cx(centre="pono"),
    ],
)
def test_pictures_of_unequal_size(term, evidence, pictures):
    pictures["real"] = pictures["real"][..., :40]
    with pytest.raises(Refusal, match=r"32, 48\).*32, 40\)"):
        term(evidence(term, pictures))


@pytest.mark.parametrize("name", ["fake", "real", "exemplar"])
def test_pictures_of_another_range(name, evidence, pictures):
    term = loss_term("vgg", extractor="vgg", layers=LAYERS)
    pictures[name] = (pictures[name] + 1) * 127.5
    with pytest.raises(Refusal, match=rf"pictures in \[-1, 1\], but the {name} picture reaches from .* to 25"):
        term(evidence(term, pictures))


def test_contextual_takes_an_exemplar_of_another_size(evidence, pictures):
    pictures["exemplar"] = pictures["exemplar"][..., :40]
    term = cx(target="exemplar")
    assert term(evidence(term, pictures)).isfinite()


def test_a_picture_too_small_for_a_layer(evidence, pictures):
    small = {k: p[..., :12] for k, p in pictures.items()}
    term = loss_term("vgg", extractor="vgg", layers={"relu5_1": 1.0})
    with pytest.raises(Refusal, match=r"32x12 picture is too small for layer relu5_1 .* at least 16 pixels"):
        term(evidence(term, small))


def test_maps_of_one_position_and_pooling_to_nothing(evidence, pictures):
    small = {k: p[..., :16, :16] for k, p in pictures.items()}
    for pooling, message in ({}, "constant for maps of a single position"), ({"relu5_1": 2}, "leaves nothing of a 1x1"):
        term = loss_term("cx", extractor="vgg", layers={"relu5_1": 1.0}, pooling=pooling)
        with pytest.raises(Refusal, match=message):
            term(evidence(term, small))


def test_maps_of_one_position_have_no_profile_and_no_match():
    x = torch.rand(1, 3, 1, 1)
    with pytest.raises(Refusal, match="a 1x1 picture has none; it needs at least 2 pixels a side"):
        gradient_profile(x, x)
    with pytest.raises(Refusal, match=r"loss\.cobi is constant for maps of a single position"):
        bilateral_loss(x, x)


def test_cross_entropy_relative_to_another_place():
    fake, real = (Judgement(logits=(torch.rand(2, 1, 4, side),)) for side in (4, 5))
    with pytest.raises(Refusal, match=r"loss.gan compares position by position, but at scale 0 .*4, 4\).*4, 5\)"):
        loss_term("ragan").discriminator(fake, real)


def test_contextual_refuses_unlike_features():
    with pytest.raises(Refusal, match=r"equal batch and channels.*\(1, 2, 3, 3\).*\(1, 3, 3, 3\)"):
        contextual_loss(torch.rand(1, 2, 3, 3), torch.rand(1, 3, 3, 3))
    with pytest.raises(Refusal, match="takes features of shape"):
        contextual_loss(torch.rand(2, 3), torch.rand(2, 3))


def test_dists_refuses_coefficients_of_other_channels():
    x = [torch.rand(1, 3, 4, 4)]
    with pytest.raises(Refusal, match="4 and 4 coefficients for 3 channels"):
        dists(x, x, torch.ones(4), torch.ones(4))


def test_feature_matching_needs_features():
    with pytest.raises(Refusal, match="discriminator that shows its features"):
        feature_matching(Judgement(logits=()), Judgement(logits=()))
