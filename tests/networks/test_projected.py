"""The projected discriminator: what is frozen, what learns, what it sees of the label map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.discriminators.projected import ProjectedDiscriminator
from scenegen.networks.frozen import weights
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import vgg
from scenegen.networks.layers.init import initialise
from scenegen.networks.layers.norm import SpectralConv2d
from tests import options

LAYERS = ("relu2_2", "relu3_2", "relu4_2", "relu5_2")
TAKES = {"semantic_channels": 5, "height": 32, "width": 64, "layers": LAYERS, "ndf": 4}


def narrow_vgg() -> Extractor:
    """VGG19's shape, four channels wide."""
    features, taps = vgg((2, 2, 4, 4, 4), pool=lambda channels: nn.MaxPool2d(2), widths=(4,) * 5)
    weights.randomise(features)
    return Extractor(features, taps=taps, stamp="narrow")


def lite() -> Extractor:
    return options.built("extractor/efficientnet", at="nets.efficientnet", size="lite1")


BACKBONES = {"scenenet": lambda: options.built("extractor/scenenet", at="nets.scenenet"), "vgg": narrow_vgg}


def built(backbone: str = "scenenet", **changes) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    option = "discriminator/projected_perceptual"
    net = options.built(option, backbone=BACKBONES[backbone](), **{**TAKES, **changes})
    initialise(net, gain=options.INIT_GAIN)
    return net


def published(**changes) -> ProjectedDiscriminator:
    """On Lite1, with the option's own layers, deviations and condition."""
    torch.manual_seed(0)
    takes = {"semantic_channels": 5, "height": 64, "width": 64, "ndf": 4}
    net = options.built("discriminator/projected", backbone=lite(), **{**takes, **changes})
    initialise(net, gain=options.INIT_GAIN)
    return net


def pictures(count: int = 2, *, height: int = 32, width: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Semantics and pictures."""
    stream = torch.Generator().manual_seed(seed)
    blocks = torch.randint(5, (count, height // 8, width // 8), generator=stream)
    label = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    image = torch.rand(count, 3, height, width, generator=stream) * 2 - 1
    return nn.functional.one_hot(label, 5).movedim(3, 1).float(), image


@pytest.mark.parametrize("backbone", BACKBONES)
def test_only_the_heads_learn(backbone):
    net = built(backbone)
    semantics, image = pictures()
    frozen = [*net.stages.backbone.features.parameters(), *net.projection.buffers()]
    before = [t.clone() for t in frozen]
    heads = [p.detach().clone() for p in net.heads.parameters()]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(2):
        net.requires_grad_(False)  # as the generator's step does
        net.requires_grad_(True)
        score = torch.stack([logits.mean() for logits in net(semantics, image + step).logits]).sum()
        optimizer.zero_grad()
        score.backward()
        optimizer.step()
    assert not any(p.requires_grad for p in net.stages.backbone.features.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, frozen, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(heads, net.heads.parameters(), strict=True))
    assert all(p.grad is None for p in net.stages.backbone.features.parameters())
    assert {id(p) for p in net.parameters()} == {id(p) for p in net.heads.parameters()}
    assert all(name.startswith(("heads.", "projection.")) for name in net.state_dict())


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_picture_gets_its_gradient_through_every_head(backbone, autocast):
    net = built(backbone).requires_grad_(False)
    semantics, image = pictures()
    for scale in range(len(LAYERS)):
        picture = image.clone().requires_grad_(True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            judged = net(semantics, picture)
        judged.logits[scale].float().mean().backward()
        assert picture.grad is not None
        assert picture.grad.isfinite().all()
        assert (picture.grad.abs().amax((1, 2, 3)) > 0).all()


def test_state_dict_loads_strictly_into_another_seed():
    one, other = built(), built(seed=7)
    semantics, image = pictures()
    one.eval()
    other.eval()
    want = one(semantics, image).logits
    assert not torch.equal(want[0], other(semantics, image).logits[0])
    other.load_state_dict(one.state_dict(), strict=True)
    for a, b in zip(want, other(semantics, image).logits, strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(built().projection.buffers(), one.projection.buffers(), strict=True):
        assert torch.equal(a, b)  # initialise, and torch's own seed, leave the mixing alone


def test_one_map_of_scores_per_layer_of_about_one_size():
    net = built(height=64, width=128)
    assert all(isinstance(m, SpectralConv2d) for m in net.heads.modules() if isinstance(m, nn.Conv2d))
    judged = net(*pictures(3, height=64, width=128))
    assert [tuple(t.shape) for t in judged.logits] == [(3, 1, 4, 8)] * 4
    assert [len(maps) for maps in judged.features] == [4, 3, 2, 1]
    halves = judged.split([1, 2])
    assert [len(half.logits[0]) for half in halves] == [1, 2]


def test_mixing_hands_coarse_features_down_and_never_fine_ones_up():
    net = built()
    layers = list(net.stages.backbone(pictures()[1], LAYERS).values())
    mixed = net.projection(layers)
    other = net.projection([*layers[:3], layers[3] + 1])
    assert all(not torch.equal(a, b) for a, b in zip(mixed, other, strict=True))
    other = net.projection([layers[0] + 1, *layers[1:]])
    assert [torch.equal(a, b) for a, b in zip(mixed, other, strict=True)] == [False, True, True, True]


def test_every_head_looks_at_the_labels():
    net = built().eval()
    semantics, image = pictures(1)
    moved = semantics.roll(1, dims=1)
    for a, b in zip(net(semantics, image).logits, net(moved, image).logits, strict=True):
        assert (a - b).abs().max() > 1e-2 * a.std()


def test_what_does_not_fit_is_refused():
    for height, width in ((8, 64), (32, 15)):
        with pytest.raises(Refusal, match=r"smaller than one position of layer relu5_2, which needs 16 pixels"):
            built(height=height, width=width)
    net = built()
    with pytest.raises(Refusal, match="a 32x8 picture is smaller"):
        net(*pictures(1, height=32, width=8))
    with pytest.raises(Refusal, match=r"needs a condition \(b, 5, h, w\) as large as the pictures"):
        net(torch.zeros(1, 4, 32, 64), torch.zeros(1, 3, 32, 64))
    with pytest.raises(Refusal, match="must get coarser, but their strides are relu3_2 4, relu2_2 2"):
        built(layers=("relu3_2", "relu2_2"))
    with pytest.raises(Refusal, match="has no layer relu9_1"):
        built(layers=("relu9_1",))
    with pytest.raises(Refusal, match="layers is empty; choose some of image"):
        built(layers=())
    with pytest.raises(Refusal, match="ndf must be positive"):
        built(ndf=0)


SCENENET = (194039.65625, -10021.53125, -265.9056702, -70.897789)
"""Means of the four score maps of `built("scenenet")` on `pictures()`, spectral vectors as drawn, by the code of commit
9a4595d."""


def test_on_scenenet_it_gives_what_it_always_gave():
    net = built().eval()
    judged = net(*pictures())
    found = torch.stack([logits.mean() for logits in judged.logits])
    torch.testing.assert_close(found, torch.tensor(SCENENET), rtol=1e-4, atol=0)


def test_on_lite1_every_head_scores_each_class_by_its_share():
    net = published().eval()
    assert net.stages.strides == [4, 8, 16, 32]
    semantics, image = pictures(2, width=64, height=64)
    judged = net(semantics, image)
    assert [tuple(logits.shape[1:]) for logits in judged.logits] == [(1, 8, 8), (1, 8, 8), (1, 4, 4), (1, 2, 2)]
    # the labels' blocks are as wide as a position of stride 8: the vote is the class' own score
    *_, scores = net.heads[1](torch.cat([net.projection(net.stages(image))[1], semantics[..., 4::8, 4::8]], dim=1))
    chosen = semantics[..., 4::8, 4::8].argmax(1, keepdim=True)
    torch.testing.assert_close(judged.logits[1], scores[:, :1] + scores[:, 1:].gather(1, chosen))


def test_published_scores_stand_at_the_coarsest_stride():
    shapes = [tuple(s.shape[2:]) for s in published(score_stride=None)(*pictures(1, height=64, width=64)).logits]
    assert shapes == [(2, 2)] * 4
    assert all("backbone" not in name for name in published().state_dict())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"condition": "sum"}, "condition=sum is not one of shares, projection"),
        ({"score_stride": 6}, "score_stride=6 is no power of 2; use 8, or null, the coarsest"),
        ({"height": 16}, "smaller than one position of layer bottleneck_s32, which needs 32 pixels"),
        ({"layers": ["bottleneck_s8", "expansion_s8"]}, "must get coarser, but their strides are bottleneck_s8 8"),
        ({"layers": ["bottleneck_s64"]}, "has no layer bottleneck_s64; use one of image, bottleneck_s2"),
    ],
)
def test_what_does_not_fit_lite1_is_refused(changes, said):
    with pytest.raises(Refusal, match=said):
        published(**changes)
