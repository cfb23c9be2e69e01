"""LPIPS' trunks against torchvision's, its normalisation, the smallest pictures, and its heads."""

from __future__ import annotations

import lpips as package
import pytest
import torch
import torchvision

from scenegen.base.records import Refusal
from scenegen.networks.frozen import lpips_trunks
from scenegen.networks.frozen.extractors import IMAGENET_MEAN, IMAGENET_STD, Normalise
from scenegen.networks.frozen.lpips_trunks import NETS, lpips_heads, smallest_side
from tests.options import built

THEIRS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


@pytest.mark.parametrize("net", NETS)
def test_parameters_are_torchvisions(net):
    with torch.device("meta"):
        ours, _ = NETS[net].build()
        theirs = getattr(torchvision.models, THEIRS[net])(weights=None).features
    shapes = [{name: p.shape for name, p in features.named_parameters()} for features in (ours, theirs)]
    assert list(shapes[0].items()) == list(shapes[1].items())


def test_squeezenet_computes_as_torchvisions():
    ours, taps = NETS["squeeze"].build()
    theirs = torchvision.models.squeezenet1_1(weights=None).features.eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    for layer, index in zip(NETS["squeeze"].layers, (1, 4, 7, 9, 10, 11, 12), strict=True):  # LPIPS' slices
        assert taps[layer] == index
        torch.testing.assert_close(ours[: index + 1](x), theirs[: index + 1](x))


def test_the_normalisation_is_lpips_scaling_layer():
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(Normalise(IMAGENET_MEAN, IMAGENET_STD)(x), package.ScalingLayer()(x))


@pytest.mark.parametrize("net", NETS)
def test_smallest_picture(net):
    features, taps = NETS[net].build()
    index = taps[NETS[net].layers[-1]]
    side = smallest_side(features, index)
    assert side == {"alex": 31, "vgg": 16, "squeeze": 17}[net]  # 31: specs/losses.md, section 4
    trunk = features[: index + 1].to("meta")
    assert min(trunk(torch.zeros(1, 3, side, side, device="meta")).shape) == 1
    with pytest.raises(RuntimeError):
        trunk(torch.zeros(1, 3, side - 1, side - 1, device="meta"))


def test_a_picture_too_small_for_a_layer():
    trunk = built("extractor/vgg", at="nets.lpips", net="alex", weights="random")
    with pytest.raises(Refusal, match=r"30x48 picture is too small for layer relu5 .* needs at least 31 pixels"):
        trunk(torch.zeros(1, 3, 30, 48), ("relu5",))
    assert trunk.layers == ("image", "relu1", "relu2", "relu3", "relu4", "relu5")
    assert trunk.stamp == "alexnet RANDOM WEIGHTS, LPIPS"


@pytest.mark.parametrize(("net", "channels"), [
    ("alex", [64, 192, 384, 256, 256]), ("vgg", [64, 128, 256, 512, 512]),
    ("squeeze", [64, 128, 256, 384, 384, 512, 512]),
])  # fmt: skip
def test_heads(net, channels):
    heads = lpips_heads(net)
    assert [len(head) for head in heads] == channels  # specs/losses.md, section 4
    assert min(head.min() for head in heads) >= 0


def test_pins():
    assert [net.source.sha256_prefix for net in NETS.values()] == ["7be5be79", "397923af", "b8a52dc0"]


def test_refusals(monkeypatch):
    with pytest.raises(Refusal, match="net=resnet of LPIPS is not one of alex, vgg, squeeze"):
        built("extractor/vgg", at="nets.lpips", net="resnet", weights="random")
    monkeypatch.setattr(lpips_trunks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"heads of LPIPS are not at .*install lpips 0.1.4"):
        lpips_heads("alex")
