"""What holds for every term: gradient at the generated picture, none at the target, float32, floor."""

from __future__ import annotations

import pytest
import torch

from scenegen.losses.adversarial import Hinge, LeastSquares, NonSaturating
from scenegen.losses.contextual import DISTANCES, Contextual
from scenegen.losses.dists import Dists
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.kl import KL
from scenegen.losses.perceptual import CRITERIA, Perceptual

VGG = {"extractor": "vgg", "layers": {"relu1_1": 1 / 32, "relu3_1": 1 / 8, "relu5_1": 1.0}}
CX = {"extractor": "vgg", "layers": {"relu3_2": 0.5, "relu4_2": 1.0}}

COMPARING = {
    **{f"vgg_{c}": lambda t, c=c: Perceptual(**VGG, criterion=c, target=t) for c in CRITERIA},
    **{f"cx_{d}": lambda t, d=d: Contextual(**CX, h=0.5, distance=d, target=t) for d in DISTANCES},
    "cx_target": lambda t: Contextual(**CX, direction="target", pooling={"relu3_2": 2}, target=t),
    "cx_points": lambda t: Contextual(**CX, max_points=9, target=t),
    "dists": lambda t: Dists(extractor="dists", coefficients="uniform", target=t),
    "dists_two": lambda t: Dists(extractor="vgg", layers=["relu1_2", "relu3_2"], coefficients="uniform", target=t),
}  # fmt: skip
JUDGED = {"hinge": Hinge, "lsgan": LeastSquares, "nonsaturating": NonSaturating, "feature_matching": FeatureMatching}


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
    term = KL() if name == "kl" else JUDGED[name]()
    dtype = torch.bfloat16 if autocast else torch.float32
    value = term(evidence(term, {k: p.to(dtype) for k, p in pictures.items()}))
    assert value.dtype == torch.float32
    value.backward()
    assert pictures["fake"].grad.isfinite().all()
    assert pictures["fake"].grad.abs().max() > 0
    assert pictures["real"].grad is None or pictures["real"].grad.abs().max() == 0
