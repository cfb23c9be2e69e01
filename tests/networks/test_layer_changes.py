"""Class noise, borders and enlarging: nothing changes at the start, and a constant map loses its frame and its grid."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal, SceneModel
from scenegen.networks.generators.painter import Painter
from scenegen.networks.layers.class_noise import ClassNoise, NoiseField, keys_of, normal_of
from scenegen.networks.layers.init import initialise
from scenegen.networks.layers.lookup import LookupSPADE, look_up
from scenegen.sampling.generate import draw_noise
from tests.options import built
from tests.test_families import FAMILIES

SLOTS = {"class_noise": "noise", "borders": "borders", "bilinear": "enlarging", "even_start": "start"}

SMALL: dict[str, dict[str, Any]] = {
    "gaugan": {"edges": False, "latent": 8},
    "sasame": {"edges": False, "latent": 8},
    "oasis": {"latent": 8},
    "cocosnetv1": {},
    "cocosnetv2": {"iterations": 1, "nef": 4},
    "unite": {"inter": 16},
}


def painter(family: str, *tricks: str, **changes: Any) -> Painter:
    """An initialised model of five classes."""
    sizes = {"num_classes": 5, "height": 64, "width": 64, "ngf": 4, "hidden": 8}
    model = built(f"model/{family}", **{**sizes, **SMALL[family], **changes})
    for trick in tricks:
        built(f"trick/{trick}", at=SLOTS[trick], model=model)
    initialise(model, gain=0.3, generator=torch.Generator().manual_seed(1))
    return model


def a_batch(label: Tensor | None = None) -> Batch:
    draw = torch.Generator().manual_seed(3)
    ids, other = (
        torch.randint(0, 5, (2, 8, 8), generator=draw).repeat_interleave(8, 1).repeat_interleave(8, 2) for _ in "ab"
    )
    pictures = torch.rand(2, 3, 64, 64, generator=draw) * 2 - 1
    return Batch(label=ids if label is None else label, image=pictures, exemplar=pictures.flip(0), exemplar_label=other)


def without_exemplars(batch: Batch) -> Batch:
    return replace(batch, exemplar=None, exemplar_label=None)


def painted(model: SceneModel, batch: Batch, *, seed: int = 7) -> Tensor:
    batch = batch if "exemplar" in model.reads else without_exemplars(batch)
    return model.paint(batch, seed=seed).image


def strengthened(model: Painter) -> Painter:
    """The model with strengths as training might have left it; one equal in all channels is normalised away."""
    draw = torch.Generator().manual_seed(5)
    for part in model.modules():
        if isinstance(part, ClassNoise):
            nn.init.normal_(part.weight, generator=draw)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_class_noise_starts_as_the_model_without_it_and_then_counts(family: str) -> None:
    """The published keys stay, and beside them there is one weight per modulated normalisation of the generator."""
    plain, noisy = painter(family), painter(family, "class_noise")
    theirs, ours = plain.state_dict(), noisy.state_dict()
    added = ours.keys() - theirs.keys()
    assert theirs.keys() <= ours.keys()
    assert len(added) == sum(
        ".norm_" in name and name.endswith("beta.weight") for name in theirs if "generator" in name
    )
    assert all(name.startswith("generator.") and name.endswith(".noise.weight") for name in added)
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    batch = a_batch()
    start = painted(plain, batch)
    assert torch.equal(painted(noisy, batch), start)
    strengthened(noisy)
    one, other = (painted(noisy, batch, seed=seed) for seed in (7, 8))
    assert not torch.allclose(one, start, atol=1e-2)
    assert not torch.allclose(one, other, atol=1e-2)


def test_noise_depends_on_sample_layer_and_place_alone() -> None:
    keys = keys_of(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    noise = normal_of(keys, layer=2, size=(64, 96))
    assert torch.equal(noise[1:2], normal_of(keys[1:2], layer=2, size=(64, 96)))
    assert torch.equal(noise[:, :, :8, :16], normal_of(keys, layer=2, size=(8, 16))), "of no size either"
    others = [normal_of(keys, layer=3, size=(64, 96)), noise.roll(1, 0), noise.roll(1, 2), noise.roll(1, 3)]
    for other in others:
        assert abs(float((noise * other).mean())) < 4 / noise.numel() ** 0.5


def test_noise_is_standard_normal() -> None:
    noise = normal_of(torch.arange(8), layer=0, size=(128, 128)).double()
    spread = noise.numel() ** -0.5
    assert abs(float(noise.mean())) < 4 * spread
    assert abs(float(noise.var()) - 1) < 4 * 2**0.5 * spread
    assert abs(float((noise**4).mean()) - 3) < 4 * 96**0.5 * spread
    assert 4 < float(noise.abs().max()) < 6
    power = torch.fft.rfft2(noise[:, 0]).abs().square().mean(0) / 128**2
    for period in (2, 4, 8, 16):
        assert float(power[:, 128 // period].mean()) == pytest.approx(1, abs=0.15), "white, so no plaid of its own"


def test_extreme_words_are_finite() -> None:
    keys = torch.tensor([0, 0xFFFFFFFF])
    assert normal_of(keys, layer=0, size=(512, 512)).isfinite().all()


def test_a_sample_is_painted_alike_in_any_batch_and_copies_differ() -> None:
    model = strengthened(painter("gaugan", "class_noise", vae=False)).eval()
    batch = without_exemplars(a_batch())
    noise = draw_noise(model, ["a", "b"], [0, 0], 5)
    assert noise is not None
    with torch.no_grad():
        both = model.sample(batch, noise=noise).image
        alone = model.sample(Batch(label=batch.require("label")[1:]), noise=noise[1:]).image
        copy_of_it = model.sample(batch, noise=draw_noise(model, ["a", "b"], [1, 1], 5)).image
    assert torch.equal(both, model.sample(batch, noise=noise).image)
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)
    assert not torch.allclose(both, copy_of_it, atol=1e-2)
    with pytest.raises(Refusal, match="train without trick=class_noise"):
        model.sample(batch)
    with pytest.raises(Refusal, match="paint with the model"):
        model.get_submodule("generator")(model.condition(batch))


@pytest.mark.parametrize("tricks", [("class_noise",), ("class_noise", "borders"), ("borders", "bilinear")])
def test_looked_up_modulations_paint_the_same(tricks: tuple[str, ...]) -> None:
    model = strengthened(painter("gaugan", *tricks)).eval()
    label = torch.zeros(2, 64, 64, dtype=torch.long)
    label[:, 20:] = 3
    label[1, 5:40, 62:] = 1  # at the border
    batch = without_exemplars(a_batch(label))
    fast = copy.deepcopy(model)
    look_up(fast)
    torch.testing.assert_close(painted(fast, batch), painted(model, batch), atol=2e-5, rtol=0)
    assert isinstance(fast.get_submodule("generator.up_3.norm_0"), LookupSPADE)


@pytest.mark.parametrize(
    ("family", "changes", "needed"),
    [
        ("gaugan", {"vae": False}, ("borders",)),
        ("gaugan", {"vae": True}, ("borders", "even_start")),
        ("sasame", {}, ("borders",)),
        ("oasis", {}, ("borders",)),
    ],
)
@pytest.mark.parametrize("more", [(), ("bilinear",)])
def test_a_constant_map_is_painted_evenly(
    family: str, changes: dict[str, Any], needed: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """Nothing in these generators knows a place but zeros beyond the border and a start with weights per cell."""
    batch = without_exemplars(a_batch(torch.full((2, 64, 64), 2)))

    def spread(*tricks: str) -> float:
        return float(painted(painter(family, *tricks, **changes), batch).std((2, 3)).max())

    assert spread(*needed, *more) < 1e-6
    for left_out in needed:
        rest = [name for name in needed if name != left_out]
        assert spread(*rest, *more) > 1e-3, f"without {left_out}"


@pytest.mark.parametrize(
    ("family", "changes"),
    [("cocosnetv1", {}), ("cocosnetv2", {}), ("unite", {"adaptor": {"coordinate_features": False}})],
)
def test_a_constant_map_with_a_flat_exemplar_is_painted_evenly(family: str, changes: dict[str, Any]) -> None:
    """Blocks of the exemplar families reflect; start, last convolution and label features see zeros, as published."""
    label = torch.full((2, 64, 64), 2)
    batch = replace(a_batch(label), exemplar=torch.zeros(2, 3, 64, 64), exemplar_label=label)

    def spread(*tricks: str, **other: Any) -> float:
        return float(painted(painter(family, *tricks, **{**changes, **other}), batch).std((2, 3)).max())

    assert spread("borders") < 1e-5
    assert spread() > 1e-2
    if family == "unite":
        assert spread("borders", adaptor={}) > 1e-3, "its published labels have coordinates beside them"


def test_bilinear_maps_have_no_steps() -> None:
    """Nearest pixels give a ramp steps of two: the odd differences are zero. Bilinear gives it equal ones inside."""
    ramp = torch.arange(8.0).expand(1, 4, 8, 8)
    nearest, bilinear = (painter("oasis", *more).get_submodule("generator.doubled") for more in ([], ["bilinear"]))
    assert (nearest(ramp).diff(dim=3)[..., ::2] == 0).all()
    assert torch.allclose(bilinear(ramp).diff(dim=3)[..., 1:-1], torch.tensor(0.5))


@pytest.mark.parametrize("trick", ["borders", "bilinear", "even_start"])
def test_changes_without_weights_keep_the_keys(trick: str) -> None:
    plain, changed = painter("gaugan"), painter("gaugan", trick)
    assert plain.state_dict().keys() == changed.state_dict().keys()
    differing = [name for name, value in plain.state_dict().items() if value.shape != changed.state_dict()[name].shape]
    assert differing == (["generator.fc.weight", "generator.fc.bias"] if trick == "even_start" else [])
    assert not torch.allclose(
        painted(plain, without_exemplars(a_batch())), painted(changed, without_exemplars(a_batch()))
    )


@pytest.mark.parametrize("family", ["gaugan", "unite"])
def test_every_strength_gets_a_gradient_where_its_class_stands(family: str) -> None:
    model, batch = painter(family, "class_noise"), a_batch(torch.zeros(2, 64, 64, dtype=torch.long))
    noise = model.prior(2, seed=0)
    model(batch if family == "unite" else without_exemplars(batch), noise=noise).image.square().sum().backward()
    for part in model.modules():
        if isinstance(part, ClassNoise):
            assert part.weight.grad is not None
            there = part.weight.grad.abs().sum(1) > 0
            assert there.tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("model", "trick", "values", "words"),
    [
        ("gaugan", "borders", {"mode": "zero"}, "trick.borders.mode=zero is not one of replicate, reflect"),
        ("gaugan", "bilinear", {"mode": "cubic"}, "trick.enlarging.mode=cubic is not one of bilinear, nearest"),
        ("gaugan", "class_noise", {"gain": 0}, "trick.noise.gain=0 must be a positive number"),
        ("sasame", "even_start", {}, "evenly already; leave it out, or use model=gaugan model.vae=true"),
        ("oasis", "even_start", {}, "evenly already; leave it out"),
        ("scenenet", "class_noise", {}, "trick=class_noise changes a generator that paints label maps"),
        ("scenenet", "bilinear", {}, "trick=bilinear changes a generator that paints label maps"),
    ],
)
def test_changes_that_a_model_cannot_take(model: str, trick: str, values: dict[str, Any], words: str) -> None:
    made = built("model/scenenet", num_classes=5, seed=0, edges=False) if model == "scenenet" else painter(model)
    with pytest.raises(Refusal, match=words):
        built(f"trick/{trick}", at=SLOTS[trick], model=made, **values)


def test_layers_outside_a_pass_draw_nothing() -> None:
    with pytest.raises(Refusal, match="paint with the model, not with its generator alone"):
        ClassNoise(4, classes=3, gain=1.0, field=NoiseField(), layer=0)(torch.zeros(1, 4, 2, 2))


def test_gain_of_class_noise_multiplies_its_weights() -> None:
    once, thrice = (painter("gaugan") for _ in range(2))
    built("trick/class_noise", at="noise", model=once)
    built("trick/class_noise", at="noise", model=thrice, gain=3.0)
    for model, strength in ((once, 0.3), (thrice, 0.1)):
        for part in model.modules():
            if isinstance(part, ClassNoise):
                torch.nn.init.constant_(part.weight, strength)
    batch = without_exemplars(a_batch())
    torch.testing.assert_close(painted(thrice.eval(), batch), painted(once.eval(), batch))
