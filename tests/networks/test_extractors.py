"""Frozen extractors: ranges, layers, and that training never touches them."""

from __future__ import annotations

import copy

import pytest
import torch
from piq.functional import L2Pool2d
from torch import nn

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights
from scenegen.networks.frozen.extractors import IMAGENET_MEAN, IMAGENET_STD, Extractor, Normalise
from scenegen.networks.frozen.vgg import L2Pool, vgg
from tests.options import built


@pytest.fixture
def narrow():
    features, taps = vgg((1, 1, 1, 1, 1), pool=lambda channels: nn.MaxPool2d(2), widths=(4,) * 5)
    weights.randomise(features)
    return Extractor(features, taps=taps, stamp="narrow", resize_to=None)


def test_normalise_takes_minus_one_to_one():
    # round trip: a picture that equals ImageNet's mean, given in [-1, 1], becomes 0; one deviation more, 1
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
    torch.testing.assert_close(normalise(2 * mean - 1), torch.zeros(1, 3, 1, 1))
    torch.testing.assert_close(normalise(2 * (mean + std) - 1), torch.ones(1, 3, 1, 1))


def test_vgg19_has_torchvisions_names():
    # torchvision.models.vgg19: conv5_4 is features.34, 20,024,384 parameters in features
    features, taps = vgg((2, 2, 4, 4, 4), pool=lambda channels: nn.MaxPool2d(2))
    assert [taps[f"relu{k}_1"] for k in range(1, 6)] == [1, 6, 11, 20, 29]
    assert list(features.state_dict())[-1] == "34.bias"
    assert sum(p.numel() for p in features.parameters()) == 20_024_384


def test_nothing_trains_or_saves_it(narrow):
    parent = nn.Sequential(nn.Linear(1, 1), narrow)
    parent.train().requires_grad_(True)
    assert not any(m.training for m in narrow.features.modules())
    assert not any(p.requires_grad for p in narrow.features.parameters())
    assert set(parent.state_dict()) == {"0.weight", "0.bias"}
    parent.load_state_dict(parent.state_dict(), strict=True)
    assert len(list(parent.parameters())) == 2


def test_it_moves_and_copies_with_its_parent(narrow):
    parent = nn.ModuleList([narrow]).double()
    weight = narrow.features.get_parameter("0.weight")
    assert weight.dtype == torch.float64
    twin = copy.deepcopy(parent)[0]
    assert isinstance(twin, Extractor)
    assert twin.features.get_parameter("0.weight").data_ptr() != weight.data_ptr()


def test_layers_are_given_as_asked_and_no_deeper(narrow):
    ran = []
    for index, module in enumerate(narrow.features):
        module.register_forward_hook(lambda *_, index=index: ran.append(index))
    found = narrow(torch.zeros(1, 3, 16, 24), ("image", "relu2_1"))
    assert {k: tuple(v.shape) for k, v in found.items()} == {"image": (1, 3, 16, 24), "relu2_1": (1, 4, 8, 12)}
    assert torch.equal(found["image"], torch.full((1, 3, 16, 24), 0.5))
    assert max(ran) == 4  # conv, relu, pool, conv, relu
    with pytest.raises(Refusal, match=r"narrow has no layer relu6_1; use one of image, (conv1_1, )?relu1_1, .*relu5_1"):
        narrow(torch.zeros(1, 3, 16, 16), ("relu6_1",))
    with pytest.raises(Refusal, match="8x24 picture is too small for layer relu5_1"):
        narrow(torch.zeros(1, 3, 8, 24), ("relu5_1",))


@pytest.mark.parametrize(("size", "resized"), [((64, 64), (64, 64)), ((96, 128), (64, 85)), ((48, 200), (48, 200))])
def test_resize_shrinks_the_smaller_side(size, resized):
    features, taps = vgg((1, 1, 1, 1, 1), pool=L2Pool, widths=(2,) * 5)
    image = Extractor(features, taps=taps, stamp="n", resize_to=64)(torch.zeros(1, 3, *size), ("image",))["image"]
    assert tuple(image.shape[-2:]) == resized  # as piq: floor of the longer side


def test_l2_pool_is_piqs_and_survives_half_precision_zeros():
    x = torch.rand(2, 3, 9, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(L2Pool(3)(x), L2Pool2d(kernel_size=3, stride=2, padding=1)(x))
    zero = torch.zeros(1, 3, 8, 8, dtype=torch.float16, requires_grad=True)
    L2Pool(3)(zero).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


def test_bad_options():
    with pytest.raises(Refusal, match="normalise=half of Vgg19 is not one of imagenet, none"):
        built("extractor/vgg", at="nets.vgg", weights="random", normalise="half")
    with pytest.raises(Refusal, match="weights=mine is not a policy"):
        built("extractor/vgg", at="nets.vgg", weights="mine")
