"""Looked-up modulations paint the pictures of the generator that they were taken from."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.data.world import render
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.generators.layer_changes import set_borders
from scenegen.networks.layers import filtering, lookup, windows
from scenegen.networks.layers.init import initialise
from scenegen.networks.layers.lookup import LookupSPADE, look_up, looks_up, tabulate
from scenegen.networks.layers.norm import SpectralConv2d
from scenegen.networks.layers.spade import SPADE
from scenegen.networks.layers.windows import distinct_pixels, distinct_windows
from tests.options import built

SMALL: dict[str, Any] = {"num_classes": 29, "ngf": 4, "hidden": 16, "height": 64, "width": 64}
WIDER = 128
"""Pixels that six doublings need: batch statistics of the single one of 64x64 magnify rounding."""
MODELS = {
    "gaugan": lambda: gaugan(),
    "edges": lambda: gaugan(edges=True),
    "vae": lambda: gaugan(vae=True),
    "wide_kernel": lambda: gaugan(kernel=5),
    "more": lambda: gaugan(upsampling="more", width=WIDER),
    "instance_norm": lambda: gaugan(norm="instance"),
    "torch_norm_plain": lambda: gaugan(norm="per_process_batch", spectral=False),
    "oasis": lambda: built("model/oasis", **SMALL),
    "oasis_without_noise": lambda: built("model/oasis", **SMALL, latent=0),
}


def gaugan(**changes: Any) -> GauGAN:
    return built("model/gaugan", **{**SMALL, "edges": False, "vae": False, **changes})


TABULATED = {**MODELS, "replicated": lambda: replicated(gaugan())}


def replicated(model: GauGAN) -> GauGAN:
    set_borders(model=model, mode="replicate")
    return model


def maps(count: int, width: int = 64) -> Tensor:
    return torch.stack([torch.from_numpy(render(0, i, height=64, width=width).label).long() for i in range(count)])


def batch_of(label: Tensor) -> Batch:
    stream = torch.Generator().manual_seed(3)
    instance = (label * 7 + torch.arange(label.shape[2]) // 40).long()  # edges between classes and within them
    image = torch.rand(len(label), 3, *label.shape[1:], generator=stream) * 2 - 1
    return Batch(label=label, image=image, instance=instance)


def trained(model, batch: Batch):
    """Weights wide enough for contrast, and statistics of the model's own features."""
    torch.manual_seed(0)
    initialise(model, gain=1.0)

    def unsaturate(conv, _, result):
        conv.weight.div_(2 * result.std())

    with torch.no_grad():
        for norm in model.modules():
            if hasattr(norm, "momentum"):
                norm.momentum = 1.0
        model.train()(batch, noise=noise_of(model, batch))
        hook = model.generator.conv_img.register_forward_hook(unsaturate)
        model.eval()(batch, noise=noise_of(model, batch))
        hook.remove()
    return model


def noise_of(model, batch: Batch) -> Tensor | None:
    stream = torch.Generator().manual_seed(1)
    return None if model.noise_shape is None else torch.randn(len(batch), *model.noise_shape, generator=stream)


@cache
def trained_once(name: str):
    """A trained model and its batch, for tests that change a copy."""
    batch = batch_of(maps(2, WIDER) if name == "more" else maps(2))
    return trained(TABULATED[name](), batch), batch


PAYING = ("gaugan", "edges", "oasis")
"""Models whose layers are also looked up where it pays alone, in `make test`: one of each kind of condition."""
WAYS = [
    pytest.param(name, everywhere, id=f"{name}-{'everywhere' if everywhere else 'where_it_pays'}",
                 marks=() if everywhere or name in PAYING else pytest.mark.thorough)
    for name in MODELS
    for everywhere in (False, True)
]  # fmt: skip


@pytest.mark.parametrize(("name", "everywhere"), WAYS)
def test_pictures_are_those_of_the_dense_generator(name, everywhere, monkeypatch):
    if everywhere:
        monkeypatch.setattr(windows, "MOST_DISTINCT", 1.0)
    kept, batch = trained_once(name)
    model = copy.deepcopy(kept)
    noise = noise_of(model, batch)
    want = model.sample(batch, noise=noise).image
    assert 0.1 < want.std() < 0.8  # neither grey nor saturated
    dense, counted = copy.deepcopy(model).double(), []
    look_up(model)
    for layer in (m for m in model.modules() if isinstance(m, LookupSPADE)):
        layer.spade.register_forward_hook(lambda *_: counted.append(1))
    torch.testing.assert_close(model.sample(batch, noise=noise).image, want, atol=1e-5, rtol=0)
    layers = sum(isinstance(m, LookupSPADE) for m in model.modules())
    assert len(counted) == 0 if everywhere else len(counted) < layers
    exact = dense.sample(batch, noise=None if noise is None else noise.double()).image
    look_up(dense)
    found = dense.sample(batch, noise=None if noise is None else noise.double()).image
    torch.testing.assert_close(found, exact, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in PAYING else pytest.mark.thorough) for n in MODELS])
def test_pictures_of_winograd_in_every_layer_are_the_exact_ones(name, monkeypatch):
    monkeypatch.setattr(lookup, "WIDE", 1)
    kept, batch = trained_once(name)
    noise = noise_of(kept, batch)
    for precise, tolerance in ((False, 1e-5), (True, 1e-9)):
        model = copy.deepcopy(kept).double() if precise else copy.deepcopy(kept)
        dense = copy.deepcopy(kept).double()
        look_up(model)
        assert any(isinstance(module, filtering.Filtered) for module in model.modules())
        exact = dense.sample(batch, noise=None if noise is None else noise.double()).image
        found = model.sample(batch, noise=None if noise is None else noise.double() if precise else noise).image
        torch.testing.assert_close(found.double(), exact, atol=tolerance, rtol=0)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize("size", [(2, 2), (3, 8), (7, 5), (40, 36)])
def test_winograds_convolution_is_the_direct_one(mode, size, monkeypatch):
    monkeypatch.setattr(filtering, "TILES", 30)  # several pictures, or part of one, at a time
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(6, 5, 3, padding=1, padding_mode=mode).double()
    maps = torch.randn(3, 6, *size, dtype=torch.float64)
    found = filtering.Filtered(conv, down=lookup.WINOGRAD, across=lookup.WINOGRAD, alone=True)(maps)
    torch.testing.assert_close(found, conv(maps), atol=1e-12, rtol=0)


def test_convolutions_of_another_kind_stay_direct():
    conv = partial(torch.nn.Conv2d, lookup.WIDE, lookup.WIDE, padding=1)
    assert lookup.suits(conv(3))
    others = [conv(3, stride=2), conv(3, dilation=2), conv(3, groups=2), conv(1), conv(5)]
    others += [torch.nn.Conv2d(lookup.WIDE, lookup.WIDE - 1, 3, padding=1), conv(3, device="meta")]
    assert not any(map(lookup.suits, others))


def test_one_class_needs_no_convolution():
    # 9 positions of a window relative to the border on a map of one class: corners, sides, middle, in two rings
    pixels, ids = distinct_pixels(torch.nn.functional.one_hot(torch.zeros(2, 8, 9, dtype=torch.long), 5).movedim(3, 1))
    assert pixels.tolist() == [[1, 0, 0, 0, 0]]
    assert ids is not None
    inner, ids = distinct_windows(ids, outside=1, kernel=3)
    outer, _ = distinct_windows(ids, outside=len(inner), kernel=3)
    assert (len(inner), len(outer)) == (9, 25)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_windows_are_the_distinct_neighbourhoods(kernel):
    ids = torch.randint(3, (2, 7, 6), generator=torch.Generator().manual_seed(0)).cumsum(2) // 3
    outside = int(ids.max()) + 1
    windows, index = distinct_windows(ids, outside=outside, kernel=kernel)
    padded = torch.nn.functional.pad(ids, [kernel // 2] * 4, value=outside)
    for s, y, x in torch.cartesian_prod(*(torch.arange(n) for n in ids.shape)).tolist():
        around = padded[s, y : y + kernel, x : x + kernel]
        assert windows[index[s, y, x]].tolist() == around.flatten().tolist()
    assert len(windows.unique(dim=0)) == len(windows)


def test_other_labels_in_the_same_tensor_make_another_picture():
    batch = batch_of(maps(2))
    model = trained(gaugan(), batch)
    planes = model.condition(batch)
    dense = copy.deepcopy(model.generator)
    look_up(model)
    model.generator(planes)
    planes.copy_(planes.flip(3))
    torch.testing.assert_close(model.generator(planes), dense(planes), atol=1e-5, rtol=0)


def test_labels_without_pattern_and_noise_of_pixels_are_convolved():
    label = torch.randint(29, (1, 64, 64), generator=torch.Generator().manual_seed(0))
    batch = batch_of(label)
    model = trained(built("model/oasis", **SMALL), batch_of(maps(2)))
    everywhere = torch.randn(1, 64, 64, 64, generator=torch.Generator().manual_seed(2))
    looked = copy.deepcopy(model)
    look_up(looked)
    for noise in (noise_of(model, batch), everywhere):
        want = model.sample(batch, noise=noise).image
        # a sum in another order; some processors end 1.3e-5 apart
        torch.testing.assert_close(looked.sample(batch, noise=noise).image, want, atol=2e-5, rtol=0)


def test_nothing_is_left_to_divide_and_it_moves_with_the_model():
    batch = batch_of(maps(2))
    model = trained(gaugan(), batch)
    look_up(model)
    assert not any(isinstance(m, SpectralConv2d) for m in model.modules())
    twin = copy.deepcopy(model).double()
    layer = next(m for m in twin.modules() if isinstance(m, LookupSPADE))
    assert layer.both.dtype == torch.float64
    assert twin.sample(batch).image.dtype == torch.float64


def test_what_cannot_be_looked_up_is_refused():
    model = gaugan()
    assert looks_up(model)
    with pytest.raises(Refusal, match="trained models only; call eval"):
        look_up(model.train())
    exemplars = built("model/cocosnetv1", num_classes=5, height=64, width=64, ngf=4, hidden=8)
    assert any(isinstance(m, SPADE) for m in exemplars.generator.modules())
    assert not looks_up(exemplars)
    with pytest.raises(Refusal, match=r"nothing to look up; use trainer.lookup=false"):
        tabulate(exemplars)
    with pytest.raises(Refusal, match="nothing to look up; use lookup=false"):
        look_up(exemplars.eval())


@pytest.mark.parametrize("name", TABULATED)
def test_tabulated_steps_have_the_gradients_of_convolutions(name: str) -> None:
    kept, batch = trained_once(name)
    model = copy.deepcopy(kept).double()
    assert batch.image is not None
    batch = dataclasses.replace(batch, image=batch.image.double())
    twin = copy.deepcopy(model)
    tabulate(twin)
    assert list(twin.state_dict()) == list(model.state_dict())
    calls = []
    for layer in twin.modules():
        if isinstance(layer, SPADE):
            layer.mlp_gamma.register_forward_hook(lambda *_: calls.append(1))
    found = []
    for net in (model, twin):
        torch.manual_seed(1)
        noise = torch.randn(2, *net.noise_shape, dtype=torch.float64) if net.noise_shape else None
        image = net.train()(batch, noise=noise).image
        weights = torch.linspace(-1, 1, image.numel(), dtype=image.dtype).view_as(image)
        (image * weights).sum().backward()
        found.append((image.detach(), {n: p.grad for n, p in net.named_parameters()}))
    (expected, slopes), (image, others) = found
    assert torch.allclose(image, expected, atol=1e-6)
    assert len(calls) < sum(isinstance(layer, SPADE) for layer in twin.modules())  # most layers looked up
    largest = max(float(slope.abs().max()) for slope in slopes.values())
    for key, slope in slopes.items():
        assert torch.allclose(others[key], slope, rtol=1e-6, atol=1e-10 * largest), key
    fast = copy.deepcopy(model).eval()
    look_up(fast)
    assert torch.allclose(fast(batch, noise=noise).image, model.eval()(batch, noise=noise).image, atol=1e-9)
