"""Properties of every term: gradient at the generated picture, none at the target, float32, floor."""

from __future__ import annotations

import pytest
import torch
from tests.options import loss_term

from scenegen.losses.dists import PUBLISHED_LAYERS
from scenegen.losses.matching import DISTANCES
from scenegen.losses.perceptual import CRITERIA

VGG = {"extractor": "vgg", "layers": {"relu1_1": 1 / 32, "relu3_1": 1 / 8, "relu5_1": 1.0}}
CX = {"extractor": "vgg", "layers": {"relu3_2": 0.5, "relu4_2": 1.0}}
UNIFORM = {"coefficients": "uniform"}

COMPARING = {
    **{f"vgg_{c}": lambda t, c=c: loss_term("vgg", **VGG, criterion=c, target=t) for c in CRITERIA},
    **{f"cx_{d}": lambda t, d=d: loss_term("cx", pooling=None, **CX, h=0.5, distance=d, target=t) for d in DISTANCES},
    "cx_target": lambda t: loss_term("cx", **CX, direction="target", pooling={"relu3_2": 2}, target=t),
    "cx_points": lambda t: loss_term("cx", pooling=None, **CX, max_points=9, target=t),
    "dists": lambda t: loss_term("dists", **UNIFORM, extractor="dists", layers=PUBLISHED_LAYERS, target=t),
    "dists_two": lambda t: loss_term("dists", **UNIFORM, extractor="vgg", layers=["relu1_2", "relu3_2"], target=t),
}  # fmt: skip
JUDGED = ("hinge", "lsgan", "nonsaturating", "feature_matching")


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("target", ["real", "exemplar"])
@pytest.mark.parametrize("name", COMPARING)
def test_gradient_reaches_the_fake_and_not_the_target(name, target, autocast, evidence, pictures):
    for picture in pictures.values():
        picture.requires_grad_()
    term = COMPARING[name](target)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = term(evidence(term, pictures))
    assert value.dtype == torch.float32
    assert value.shape == ()
    value.backward()
    gradient = pictures["fake"].grad
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
    assert pictures[target].grad is None


@pytest.mark.parametrize("name", COMPARING)
def test_identical_pictures_give_zero_and_no_gradient(name, evidence, pictures):
    fake = pictures["real"].clone().requires_grad_()
    term = COMPARING[name]("real")
    value = term(evidence(term, {**pictures, "fake": fake}))
    value.backward()
    # cx: -log of a softmax that is 1 up to its other entries; the rest cancels exactly
    torch.testing.assert_close(value.detach(), torch.tensor(0.0), atol=1e-2 if name.startswith("cx") else 0, rtol=0)
    assert fake.grad.isfinite().all()
    if not name.startswith("cx"):
        assert fake.grad.abs().max() == 0


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("name", COMPARING)
def test_flat_pictures_give_finite_gradients(name, level, evidence, pictures):
    fake = torch.full_like(pictures["fake"], level).requires_grad_()
    term = COMPARING[name]("real")
    for real in (pictures["real"], fake.detach().clone()):
        value = term(evidence(term, {**pictures, "fake": fake, "real": real}))
        value.backward()
        assert value.isfinite()
        assert fake.grad is not None
        assert fake.grad.isfinite().all()


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", [*JUDGED, "kl"])
def test_gradient_of_terms_without_features(name, autocast, evidence, pictures):
    pictures["fake"].requires_grad_()
    pictures["real"].requires_grad_()
    term = loss_term("kld" if name == "kl" else name)
    dtype = torch.bfloat16 if autocast else torch.float32
    value = term(evidence(term, {k: p.to(dtype) for k, p in pictures.items()}))
    assert value.dtype == torch.float32
    value.backward()
    assert pictures["fake"].grad.isfinite().all()
    assert pictures["fake"].grad.abs().max() > 0
    assert pictures["real"].grad is None or pictures["real"].grad.abs().max() == 0
