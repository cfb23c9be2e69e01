"""Pictures of a generator's smaller maps: what a growing one ends with, and what a discriminator of scales is shown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.painter import Painter
from scenegen.networks.layers.init import initialise
from scenegen.networks.layers.small_pictures import SmallPictures, apart, halves, stacked
from tests.options import built

SMALL: dict[str, Any] = {"num_classes": 5, "height": 64, "width": 96, "ngf": 2, "hidden": 4, "spectral": False}
OWN: dict[str, dict[str, Any]] = {"gaugan": {"edges": False, "latent": 4}, "oasis": {"latent": 4}}


def painter(family: str, *tricks: str, **values: Any) -> Painter:
    torch.manual_seed(0)
    model = built(f"model/{family}", **SMALL, **OWN[family])
    for trick in tricks:
        built(f"trick/{trick}", at="small", model=model, **values)
    initialise(model, gain=0.5, generator=torch.Generator().manual_seed(1))
    return model


def a_batch() -> Batch:
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(0, 5, (2, 8, 12), generator=draw).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return Batch(label=ids, image=torch.rand(2, 3, 64, 96, generator=draw) * 2 - 1)


def at(model: Painter, level: int, fade: float = 1.0) -> Tensor:
    """The picture of a training pass."""
    small = model.get_submodule("generator.small")
    assert isinstance(small, SmallPictures)
    small.set_grown(level, fade)
    batch = a_batch()
    with torch.no_grad():
        return model.train()(batch, noise=torch.ones(2, 4)).image


def test_smaller_pictures_travel_in_planes_of_their_own() -> None:
    image = torch.rand(2, 3, 8, 12)
    smaller = halves(image, 2)
    assert all(torch.equal(one, other) for one, other in zip(apart(stacked(image, smaller), 2), [image, *smaller],
                                                              strict=True))  # fmt: skip
    assert torch.allclose(smaller[1].mean(), image.mean())


@pytest.mark.parametrize("family", OWN)
def test_a_generator_grows_to_the_one_that_it_was(family: str) -> None:
    """Every level is half of the next; a fade is the mean that Karras et al. draw in figure 2."""
    plain, growing = painter(family), painter(family, "grow", count=2)
    theirs = plain.state_dict()
    growing.load_state_dict(theirs, strict=False)
    with torch.no_grad():
        want = plain.train()(a_batch(), noise=torch.ones(2, 4)).image
    assert torch.equal(at(growing, 0), want)
    quarter, half = at(growing, 2), at(growing, 1)
    assert [tuple(p.shape[-2:]) for p in (quarter, half)] == [(16, 24), (32, 48)]
    for below, level in ((quarter, 1), (half, 0)):
        mixed = 0.75 * F.interpolate(below, scale_factor=2) + 0.25 * at(growing, level)
        torch.testing.assert_close(at(growing, level, 0.25), mixed)
    at(growing, 1)
    with torch.no_grad():
        assert growing.eval().sample(a_batch(), noise=torch.ones(2, 4)).image.shape[-2:] == (64, 96), "as it is written"


def test_the_stage_is_in_the_state() -> None:
    one, other = (painter("gaugan", "grow", count=2) for _ in range(2))
    at(one, 1, 0.25)
    other.load_state_dict(one.state_dict())
    small = other.get_submodule("generator.small")
    assert isinstance(small, SmallPictures)
    assert (small.level, small.fade) == (1, 0.25)


def test_each_scale_of_the_discriminator_teaches_the_map_of_its_size() -> None:
    """MSG-GAN: the gradient of a scale enters the generator there, not through the whole picture."""
    model = painter("gaugan", "multi_scale_gradient", count=1)
    judge = built("discriminator/patch", semantic_channels=5, ndf=4, layers=2)
    judge.take_smaller(model.smaller)
    batch = a_batch()
    shown = model.shown(batch, model(batch, noise=torch.ones(2, 4)))
    assert shown.fake.shape == shown.real.shape == (2, 6, 64, 96)
    small = model.get_parameter("generator.small.to_picture.0.weight")
    large = model.get_parameter("generator.conv_img.weight")
    for scale, (own, others) in enumerate(((large, small), (small, large))):
        logits = judge(shown.condition, shown.fake).logits
        grads = torch.autograd.grad(logits[scale].sum(), [own, others], allow_unused=True, retain_graph=True)
        assert grads[0] is not None
        assert float(grads[0].abs().sum()) > 0
        assert grads[1] is None or float(grads[1].abs().sum()) == 0
    plain = built("discriminator/patch", semantic_channels=5, ndf=4, layers=2)
    plain.load_state_dict(judge.state_dict())
    own = plain(shown.condition, shown.real[:, :3]).logits
    both = judge(shown.condition, shown.real).logits
    assert torch.equal(own[0], both[0])
    assert own[1].shape == both[1].shape


@pytest.mark.parametrize("trick", ["grow", "multi_scale_gradient"])
def test_more_sizes_than_the_generator_has_maps(trick: str) -> None:
    with pytest.raises(Refusal, match="doubles its map 5 times; give 1 to 5 sizes below its own"):
        painter("gaugan", trick, count=6)
    with pytest.raises(Refusal, match="which model=gaugan, sasame and oasis do"):
        built(f"trick/{trick}", at="small", model=built("model/unite", num_classes=5, height=64, width=64, ngf=4))


def test_a_discriminator_without_scales_for_them() -> None:
    judge = built("discriminator/patch", semantic_channels=5, ndf=4)
    with pytest.raises(Refusal, match=r"need as many scales below the first.*use discriminator.scales=3"):
        judge.take_smaller(2)
    judge = built("discriminator/oasis", semantic_channels=5, num_classes=5, ndf=4, height=64, width=64)
    with pytest.raises(Refusal, match="has no scales for them; use discriminator=patch or sesame"):
        judge.take_smaller(1)
