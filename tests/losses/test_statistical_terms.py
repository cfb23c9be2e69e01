"""Profile, colour, diversity, contrastive and segmentation terms: closed forms, properties, derivatives."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from tests.options import built, loss_term

from scenegen.base.records import Posterior, Refusal, Synthesis
from scenegen.data.classes import ClassList
from scenegen.losses.colour import colour_consistency
from scenegen.losses.contrastive import monce, patchnce
from scenegen.losses.diversity import latent_regression, mode_seeking
from scenegen.losses.features import FeatureBank
from scenegen.losses.profile import colour_profile, gradient_profile, profile_similarity
from scenegen.losses.segmentation import segmentation


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows(b, p, c, *, seed=0):
    return F.normalize(noise(b, p, c, seed=seed) - 0.5, dim=2)


@pytest.mark.parametrize("batch", [1, 3])
def test_profiles_of_equal_pictures(batch):
    x = noise(batch, 3, 16, 20)
    assert profile_similarity(x, x).item() == pytest.approx(-2, abs=1e-4)
    assert gradient_profile(x, x).item() == pytest.approx(-4, abs=1e-4)
    assert colour_profile(x, x).item() == pytest.approx(-8, abs=1e-3)
    # as released it grows with batch and channels
    released = profile_similarity(x, x, normalisation="released")
    assert released.item() == pytest.approx(-batch * 3 * (16 + 20) / 16, abs=1e-3)


def test_profiles_ignore_the_scale_and_see_the_sign():
    x = noise(2, 3, 8, 8) + 0.1
    assert profile_similarity(x, 3 * x).item() == pytest.approx(-2, abs=1e-4)
    assert profile_similarity(x, -x).item() == pytest.approx(2, abs=1e-4)


def test_a_flat_picture_has_a_bounded_gradient():
    x, y = torch.full((1, 3, 8, 8), 0.5).requires_grad_(), noise(1, 3, 8, 8).float()
    (gradient_profile(x, y) + colour_profile(x, y)).backward()
    assert x.grad is not None
    assert x.grad.abs().max() < 1e3


def test_colour_ignores_where_the_colours_are():
    x = noise(2, 3, 6, 8)
    order = torch.randperm(48, generator=torch.Generator().manual_seed(1))
    mixed = x.flatten(2)[..., order].view(2, 3, 8, 6)
    assert colour_consistency(x, mixed).item() == pytest.approx(0, abs=1e-12)
    # a shift moves the mean alone
    assert colour_consistency(x, x + 0.5).item() == pytest.approx(0.25)


def test_mode_seeking_of_known_distances():
    image, z = torch.zeros(2, 3, 4, 4), torch.zeros(2, 8)
    assert mode_seeking(image, image + 0.5, z, z + 2).item() == pytest.approx(4, rel=1e-3)
    assert mode_seeking(image, image, z, z + 2).item() == pytest.approx(1e5)
    assert mode_seeking(image, image, z, z + 2, eps=0.1).item() == pytest.approx(10)


def test_latents_get_no_gradient_from_mode_seeking():
    z = torch.zeros(2, 8, requires_grad=True)
    image = noise(2, 3, 4, 4).requires_grad_()
    mode_seeking(image, torch.zeros(2, 3, 4, 4), z, torch.ones(2, 8)).backward()
    assert z.grad is None
    assert image.grad is not None
    assert image.grad.abs().max() > 0


def test_latent_regression_is_zero_for_the_latent_itself():
    z = noise(2, 8)
    assert latent_regression(z, z) == 0
    assert latent_regression(z + 1, z).item() == pytest.approx(1)


def test_patchnce_of_orthogonal_rows():
    # each row knows its place among 4: -log(e^(1/T) / (e^(1/T) + 3 + e^(-10/T)))
    q = torch.eye(4, dtype=torch.float64)[None]
    wanted = math.log1p((3 + math.exp(-10 / 0.5)) / math.exp(2))
    assert patchnce(q, q, temperature=0.5).item() == pytest.approx(wanted)
    # alike negatives are weighed alike: the plan of 4 rows gives each of the 3 others 1/3, times 3
    assert monce(q, q, temperature=0.5).item() == pytest.approx(wanted, rel=1e-3)


def test_contrastive_terms_fall_when_pictures_agree():
    q, k = rows(2, 9, 16), rows(2, 9, 16, seed=1)
    for loss in (patchnce, monce):
        assert loss(k, k) < loss(q, k)


@pytest.mark.parametrize(
    ("loss", "inputs"),
    [
        (lambda x: profile_similarity(x, noise(1, 3, 4, 5, seed=1)), (1, 3, 4, 5)),
        (lambda x: gradient_profile(x, noise(1, 3, 4, 5, seed=1)), (1, 3, 4, 5)),
        (lambda x: colour_profile(x, noise(1, 3, 4, 5, seed=1)), (1, 3, 4, 5)),
        (lambda x: colour_consistency(x, noise(2, 3, 3, 3, seed=1)), (2, 3, 4, 4)),
        (lambda x: mode_seeking(x, noise(2, 3, 3, 3, seed=1), noise(2, 4), noise(2, 4, seed=2)), (2, 3, 3, 3)),
        (lambda x: patchnce(x, rows(2, 5, 6, seed=1)), (2, 5, 6)),
        (lambda x: monce(x, rows(2, 5, 6, seed=1), iterations=5), (2, 5, 6)),
        (lambda x: segmentation(x, torch.arange(12).view(1, 3, 4) % 5, ignore=4), (1, 5, 3, 4)),
    ],
)
def test_derivatives(loss, inputs):
    assert torch.autograd.gradcheck(loss, (noise(*inputs).requires_grad_(),), fast_mode=True)


@pytest.fixture(scope="module")
def segmenter():
    return built("extractor/scenenet", at="nets.segmenter")


def test_segmentation_is_cross_entropy_without_the_ignored():
    logits, label = noise(2, 5, 4, 6), (noise(2, 4, 6, seed=1) * 5).long()
    torch.testing.assert_close(segmentation(logits, label), F.cross_entropy(logits, label))
    torch.testing.assert_close(segmentation(logits, label, ignore=2), F.cross_entropy(logits, label, ignore_index=2))
    assert segmentation(logits, torch.full_like(label, 182), ignore=182) == 0
    with pytest.raises(Refusal, match="reads 5 classes, but the label maps hold id 182"):
        segmentation(logits, torch.full_like(label, 182))


def test_segmentation_brings_small_logits_to_the_label_maps_size():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[..., 4:] = 1
    sure = torch.zeros(1, 2, 2, 2)
    sure[:, 0, :, 0] = sure[:, 1, :, 1] = 50
    assert segmentation(sure, label) < 1


def test_segmenter_and_data_must_agree(segmenter):
    nets = {"segmenter": segmenter}
    term = loss_term("seg", extractor="segmenter")
    term.prepare(nets, ClassList(segmenter.classes))
    with pytest.raises(Refusal, match=r"reads 29 classes \(mountain, .*but the data has 2 \(a, b, .*role=trunk"):
        term.prepare(nets, ClassList(("a", "b")))
    with pytest.raises(Refusal, match=r"ignore=null, but the data's id of unknown is 28; use loss.seg.ignore=28"):
        term.prepare(nets, ClassList(segmenter.classes, ignore=28))
    loss_term("seg", extractor="segmenter", ignore=28).prepare(nets, ClassList(segmenter.classes, ignore=28))


LAYERS = {"relu1_2": 1.0, "relu3_2": 0.5}
COMPARING = {
    "spl": lambda t: loss_term("spl", target=t),
    "spl_released": lambda t: loss_term("spl", target=t, normalisation="released", colour=False),
    "colour": lambda t: loss_term("colour", target=t),
    "patchnce": lambda t: loss_term("patchnce", extractor="vgg", layers=LAYERS, patches=50, target=t),
    "monce": lambda t: loss_term("monce", extractor="vgg", layers=LAYERS, patches=30, iterations=10, target=t),
    "monce_easy": lambda t: loss_term(
        "monce", extractor="vgg", layers=LAYERS, patches=30, iterations=10, cost="easy", target=t
    ),
}


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
    assert pictures["fake"].grad.isfinite().all()
    assert pictures["fake"].grad.abs().max() > 0
    assert pictures[target].grad is None


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


def encode(image, *, frozen):
    return image.mean((2, 3)), image.amax((2, 3))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize(
    "term",
    [
        loss_term("mode_seeking"),
        loss_term("mode_seeking", per_sample=False),
        *(loss_term("style_cycle", latent=k) for k in ("mu", "z", "prior")),
    ],
)
def test_gradient_of_terms_of_the_latent(term, autocast, evidence, pictures):
    fake, other = pictures["fake"].requires_grad_(), pictures["exemplar"].requires_grad_()
    z, mu = torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    again = Synthesis(image=other, posterior=Posterior(z=torch.ones(2, 3)))
    synthesis = Synthesis(image=fake, posterior=Posterior(z=z, mu=mu))
    known = dataclasses.replace(evidence(term, pictures, again=again, encode=encode), synthesis=synthesis)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = term(known)
    assert value.dtype == torch.float32
    value.backward()
    seen = other if getattr(term, "latent", None) == "prior" else fake
    assert seen.grad is not None
    assert seen.grad.isfinite().all()
    assert seen.grad.abs().max() > 0
    assert z.grad is None
    assert mu.grad is None


def test_terms_of_the_latent_refuse_a_step_without_it(evidence, pictures):
    with pytest.raises(Refusal, match="painted again"):
        loss_term("mode_seeking")(evidence(loss_term("mode_seeking"), pictures))
    with pytest.raises(Refusal, match="needs an encoder"):
        loss_term("style_cycle")(evidence(loss_term("style_cycle"), pictures))


@pytest.mark.parametrize("autocast", [False, True])
def test_gradient_of_the_segmenter(autocast, evidence, pictures, segmenter):
    fake = pictures["fake"].requires_grad_()
    term = loss_term("seg", extractor="segmenter")
    known = evidence(loss_term("colour"), pictures)
    features = FeatureBank({"segmenter": segmenter}, [term.reads]).open(pictures)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = term(dataclasses.replace(known, features=features))
    assert value.dtype == torch.float32
    value.backward()
    assert fake.grad.isfinite().all()
    assert fake.grad.abs().max() > 0


def test_drawn_patches_depend_on_the_seed_alone(evidence, pictures):
    term = loss_term("patchnce", extractor="vgg", layers={"relu2_2": 1.0}, patches=20)
    first, again, other = (term(evidence(term, pictures, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: loss_term("spl", normalisation="none"), "normalisation=none is not one of per_sample, released"),
        (lambda: loss_term("spl", gradient=False, colour=False), "nothing is left"),
        (lambda: loss_term("spl", target="fake"), "target=fake of loss.spl"),
        (lambda: loss_term("colour", covariance=-1), "covariance=-1 is not a weight"),
        (lambda: loss_term("mode_seeking", eps=0), "eps=0 is not a number above 0"),
        (lambda: loss_term("style_cycle", latent="w"), "latent=w is not one of mu, z, prior"),
        (lambda: loss_term("patchnce", extractor="vgg", layers=LAYERS, patches=1), "loss.patchnce.patches=1"),
        (lambda: loss_term("patchnce", extractor="vgg", layers=LAYERS, temperature=0), "loss.patchnce.temperature=0"),
        (lambda: loss_term("monce", extractor="vgg", layers=LAYERS, eps=-1), "loss.monce.eps=-1"),
        (lambda: loss_term("monce", extractor="vgg", layers=LAYERS, cost="none"), "cost=none is not one of hard, easy"),
        (lambda: loss_term("monce", extractor="vgg", layers={}), "loss.monce.layers names no layer"),
        (lambda: loss_term("seg", extractor="segmenter", ignore=-1), "ignore=-1 is not a class id"),
    ],
)
def test_options(make, message):
    with pytest.raises(Refusal, match=message):
        make()


@pytest.mark.parametrize("name", ["spl", "patchnce", "monce"])
def test_pictures_of_unequal_size(name, evidence, pictures):
    pictures["real"] = pictures["real"][..., :40]
    term = COMPARING[name]("real")
    with pytest.raises(Refusal, match=r"32, 48\).*32, 40\)"):
        term(evidence(term, pictures))


def test_colours_of_an_exemplar_of_another_size(evidence, pictures):
    pictures["exemplar"] = pictures["exemplar"][..., :40]
    term = loss_term("colour", target="exemplar")
    assert term(evidence(term, pictures)).isfinite()
