"""Properties of every term of picture quality: gradient at the generated picture, none at the target, floor."""

from __future__ import annotations

import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.style import FORMS

STYLE = {"extractor": "vgg", "layers": {"relu1_1": 0.5, "relu3_1": 1.0}}
LPIPS = {"extractor": "vgg", "heads": "uniform", "layers": ["relu1_2", "relu3_2", "relu5_2"]}
WHOLE = {"ave_spectrum": True, "log_matrix": True, "batch_matrix": True, "patch_factor": 2, "alpha": 0.5}

COMPARING = {
    "l1": lambda t: loss_term("l1", target=t),
    "focal_frequency": lambda t: loss_term("focal_frequency", target=t),
    "focal_frequency_all": lambda t: loss_term("focal_frequency", **WHOLE, target=t),
    "ssim": lambda t: loss_term("ssim", target=t),
    "ms_ssim": lambda t: loss_term("ms_ssim", target=t),
    "ms_ssim_l1": lambda t: loss_term("ms_ssim_l1", target=t),
    "ms_ssim_l1_dyadic": lambda t: loss_term("ms_ssim_l1", mix="dyadic", target=t),
    "haar": lambda t: loss_term("haar", target=t),
    "haar_l1": lambda t: loss_term("haar_l1", target=t),
    "haar_l2": lambda t: loss_term("haar_l1", power=2, target=t),
    "ms_gmsd": lambda t: loss_term("ms_gmsd", chromatic=False, target=t),
    "ms_gmsdc": lambda t: loss_term("ms_gmsd", target=t),
    "lpips": lambda t: loss_term("lpips", **LPIPS, target=t),
    **{f"style_{f}": lambda t, f=f: loss_term("style", **STYLE, form=f, target=t) for f in FORMS},
}
ALONE = {f"tv_{f}": lambda t, f=f: loss_term("tv", form=f) for f in ("mean_abs", "mean_sq", "l1", "l2", "l2_squared")}
FLOOR = {"haar": 1e-5, "ms_gmsd": 2e-6, "ms_gmsdc": 2e-6}
FREE_OF_SIZE = ("style_gatys", "style_neural_style", "style_l1")


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("target", ["real", "exemplar"])
@pytest.mark.parametrize("name", [*COMPARING, *ALONE])
def test_gradient_reaches_the_fake_and_not_the_target(name, target, autocast, evidence, pictures):
    for picture in pictures.values():
        picture.requires_grad_()
    term = (COMPARING | ALONE)[name](target)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = term(evidence(term, pictures))
    assert value.dtype == torch.float32
    assert value.shape == ()
    value.backward()
    gradient = pictures["fake"].grad
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
    assert pictures[target].grad is None


@pytest.mark.parametrize("name", [n for n in (*COMPARING, *ALONE) if not n.startswith(("lpips", "style"))])
def test_autocast_does_not_change_terms_without_a_network(name, evidence, pictures):
    pictures["fake"].requires_grad_()
    term, found = (COMPARING | ALONE)[name]("real"), []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            value = term(evidence(term, pictures))
            found.append([value, *torch.autograd.grad(value, pictures["fake"])])
    assert torch.equal(found[0][0], found[1][0])
    slack = 1e-2 if name == "haar" else 0  # the gradient of piq's colour conversion follows autocast
    torch.testing.assert_close(found[1][1], found[0][1], rtol=0, atol=slack * found[0][1].abs().max().item())


@pytest.mark.parametrize("name", COMPARING)
def test_identical_pictures_give_the_floor_and_no_gradient(name, evidence, pictures):
    term = COMPARING[name]("real")
    pictures["fake"].requires_grad_()
    term(evidence(term, pictures)).backward()
    usual = pictures["fake"].grad.abs().max()
    fake = pictures["real"].clone().requires_grad_()
    value = term(evidence(term, {**pictures, "fake": fake}))
    value.backward()
    assert value.detach().abs() <= FLOOR.get(name, 0)
    assert fake.grad.isfinite().all()
    assert fake.grad.abs().max() <= 1e-3 * usual


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("name", [*COMPARING, *ALONE])
def test_flat_pictures_give_finite_gradients(name, level, evidence, pictures):
    term = (COMPARING | ALONE)[name]("real")
    flat = torch.full_like(pictures["fake"], level)
    for fake, real in ((flat, pictures["real"]), (flat, flat), (flat, -flat), (pictures["fake"], flat)):
        fake = fake.clone().requires_grad_()
        value = term(evidence(term, {**pictures, "fake": fake, "real": real}))
        (gradient,) = torch.autograd.grad(value, fake)
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", COMPARING)
def test_pictures_a_hair_beyond_the_range(name, evidence, pictures):
    # piq stops at 1.0001; saturated pixels keep their gradient
    term = COMPARING[name]("real")
    fake = (pictures["fake"].sign() * 1.0001).requires_grad_()
    value = term(evidence(term, {**pictures, "fake": fake}))
    value.backward()
    assert value.isfinite()
    assert fake.grad.abs().max() > 0


@pytest.mark.parametrize("name", COMPARING)
def test_the_order_of_the_batch_does_not_matter(name, evidence, pictures):
    term = COMPARING[name]("real")
    turned = {k: p.flip(0) for k, p in pictures.items()}
    torch.testing.assert_close(term(evidence(term, turned)), term(evidence(term, pictures)))


@pytest.mark.parametrize("name", COMPARING)
def test_pictures_of_unequal_size(name, evidence, pictures):
    term = COMPARING[name]("exemplar")
    pictures["exemplar"] = pictures["exemplar"][..., :40]
    if name in FREE_OF_SIZE:
        assert term(evidence(term, pictures)).isfinite()
        return
    with pytest.raises(Refusal, match=r"32, 48\).*32, 40\)"):
        term(evidence(term, pictures))


@pytest.mark.parametrize("name", COMPARING)
def test_unknown_target(name):
    with pytest.raises(Refusal, match=r"target=fake of loss\..* is not one of real, exemplar"):
        COMPARING[name]("fake")


@pytest.mark.parametrize("name", [*COMPARING, *ALONE])
def test_terms_hold_nothing_to_save_or_train(name):
    term = (COMPARING | ALONE)[name]("real")
    assert not list(term.parameters())
    assert not term.state_dict()
