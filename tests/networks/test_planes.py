"""Planes beside the labels: what they hold, and that the generator alone sees them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.config import build
from scenegen.losses.objective import Evidence
from scenegen.networks.generators.gaugan import GauGAN
from tests.options import built, loss_term

SMALL: dict[str, Any] = {
    "num_classes": 3,
    "edges": False,
    "height": 64,
    "width": 96,
    "ngf": 2,
    "hidden": 4,
    "latent": 4,
}


def a_batch() -> Batch:
    draw = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (2, 8, 12), generator=draw).repeat_interleave(8, 1).repeat_interleave(8, 2)
    picture, style = torch.rand(2, 2, 3, 64, 96, generator=draw) * 2 - 1
    return Batch(label=label, image=picture, exemplar=style, exemplar_label=label, instance=label)


def planes(name: str, **changes: Any) -> Any:
    sizes = {"height": 64, "width": 96, "num_classes": 3} if name == "prior" else {}
    return built(f"planes/{name}", at=name, **sizes, **changes)


@pytest.mark.parametrize("name", ["prior", "texture", "instance"])
def test_the_generator_sees_them_and_the_discriminator_does_not(name: str) -> None:
    torch.manual_seed(0)
    model: GauGAN = built("model/gaugan", planes=nn.ModuleList([planes(name)]), **SMALL)
    batch = a_batch()
    field = {"texture": "exemplar", "instance": "instance"}.get(name)
    assert model.reads == {"label", "image"} | ({field} if field else set())
    made = model(batch, noise=torch.zeros(2, 4))
    assert made.image.shape == (2, 3, 64, 96)
    assert model.shown(batch, made).condition is not None
    assert model.condition_channels == model.condition(batch).shape[1] == 3
    assert (made.coarse is not None) == (name == "prior") == ("coarse" in model.offers)
    first = model.generator.fc  # of the VAE: the planes enter in the modulations alone
    assert first.weight.shape[1] == 4
    weights = dict(model.generator.named_parameters())
    widths = {weight.shape[1] for key, weight in weights.items() if key.endswith("mlp_shared.0.weight")}
    assert widths == {3 + planes(name).channels}


def seen(batch: Batch, coarse: Tensor) -> Evidence:
    synthesis = Synthesis(image=batch.require("image"), coarse=coarse)
    return Evidence(batch=batch, synthesis=synthesis, fake=None, real=None, features={})  # pyright: ignore[reportArgumentType]


def test_a_prior_learns_from_the_small_real_picture() -> None:
    """loss.coarse of a picture with itself, averaged, is 0; its gradient enters the prior."""
    torch.manual_seed(0)
    prior = planes("prior", divisor=2)
    batch = a_batch()
    coarse = prior(batch)
    assert coarse.shape == (2, 3, 32, 64), "sides are rounded to multiples of 32"
    term = loss_term("coarse")
    value = term(seen(batch, coarse))
    value.backward()
    assert prior.generator.conv_img.weight.grad.abs().sum() > 0
    same = torch.nn.functional.adaptive_avg_pool2d(batch.require("image"), (32, 64))
    assert float(term(seen(batch, same))) < 1e-6


def test_texture_is_the_deviation_of_grey_levels_around_a_pixel() -> None:
    picture = torch.zeros(1, 3, 9, 9)
    assert float(planes("texture")(Batch(exemplar=picture)).abs().max()) < 1e-3
    picture[:, :, :, 5:] = 1.0
    found = planes("texture", windows=[3])(Batch(exemplar=picture))[0, 0, 4]
    beside = (1 / 3 * 2 / 3) ** 0.5  # three of nine pixels are 1, or six
    assert torch.allclose(found, torch.tensor([0, 0, 0, 0, beside, beside, 0, 0, 0]), atol=1e-3)


def test_an_instance_is_seen_from_its_middle() -> None:
    ids = torch.zeros(2, 4, 6, dtype=torch.long)
    ids[0, :, 3:] = 7
    rows, columns, size = planes("instance")(Batch(instance=ids))[0].unbind()
    middle = torch.tensor([-1.0, 0.0, 1.0]) / 6
    assert torch.allclose(columns[0], middle.repeat(2))
    assert torch.allclose(rows[:, 0], torch.tensor([-1.5, -0.5, 0.5, 1.5]) / 4)
    assert torch.allclose(size, torch.tensor(0.5**0.5))
    assert torch.allclose(planes("instance")(Batch(instance=ids))[1, 2], torch.tensor(1.0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: planes("texture", windows=[4]), "must be odd sides of 3 pixels or more"),
        (lambda: planes("prior", divisor=0), "8 makes 64 pixels of 512"),
    ],
)
def test_planes_that_cannot_be(make: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        make()


def test_a_model_without_a_place_for_them() -> None:
    class Data:
        classes, has_instances = range(3), False

    node = {"_target_": "scenegen.networks.planes.Texture", "windows": [3]}
    config = {"planes": {"texture": node}, "model": {"_target_": "scenegen.networks.generators.oasis.Oasis"}}
    with pytest.raises(Refusal, match="no place for them; use model=gaugan or sasame, or planes=none"):
        build.model(config, Data())
