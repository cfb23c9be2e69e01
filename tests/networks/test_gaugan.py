"""Properties of GauGAN's networks that the specification states and no recorded run can show."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.generators.spade import SpadeGenerator, start_grid
from scenegen.networks.layers.encoder import ImageEncoder, input_side
from scenegen.networks.layers.init import initialise
from scenegen.networks.layers.norm import GlobalBatchNorm, SpectralConv2d
from scenegen.networks.layers.semantics import instance_edges, semantics
from scenegen.networks.layers.spade import SPADE, nearest
from tests.networks.filled import filled
from tests.options import INIT_GAIN, built

TINY: dict[str, Any] = {
    "num_classes": 5, "edges": False, "height": 32, "width": 64, "ngf": 4, "hidden": 8, "latent": 16, "vae": False,
}  # fmt: skip


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def a_batch(b: int = 2, *, height: int = 32, width: int = 64, edges: bool = False) -> Batch:
    draw = torch.Generator().manual_seed(1)
    label = torch.randint(0, 5, (b, height, width), generator=draw)
    instance = torch.randint(0, 3, (b, height, width), generator=draw) if edges else None
    return Batch(label=label, image=random(b, 3, height, width).tanh(), instance=instance)


def tiny(**changes: Any) -> GauGAN:
    model = built("model/gaugan", **{**TINY, **changes})
    initialise(model, gain=INIT_GAIN, generator=torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize(
    ("height", "width", "upsampling", "ids"),
    [
        (192, 256, "normal", "192 fits"),
        (384, 512, "normal", "the contest's size"),
        (384, 512, "more", "six doublings"),
        (384, 512, "most", "seven doublings"),
        (512, 512, "normal", "512"),
        (64, 160, "normal", "row 3 of the specification's size table"),
        (128, 224, "normal", "row 4"),
        (160, 256, "normal", "row 5"),
        (288, 288, "normal", "row 6"),
    ],
)
@pytest.mark.parametrize("vae", [False, True])
def test_sizes(height: int, width: int, upsampling: str, ids: str, vae: bool) -> None:
    with torch.device("meta"):
        net = SpadeGenerator(
            semantic_channels=5,
            height=height,
            width=width,
            ngf=64,
            hidden=128,
            latent=16 if vae else None,
            upsampling=upsampling,
            norm="batch",
        )
        image = net(torch.zeros(2, 5, height, width), torch.zeros(2, 16) if vae else None)
    assert image.shape == (2, 3, height, width)


@pytest.mark.parametrize(
    ("height", "width", "upsampling", "cure"),
    [
        (100, 128, "normal", "height 96 or 128 and width 128"),
        (192, 250, "normal", "width 224 or 256"),
        (16, 32, "normal", "height 32"),
        (96, 128, "more", "height 64 or 128"),
        (192, 256, "most", "height 128 or 256"),
        (192, 256, "mots", "normal, more, most"),
    ],
)
def test_sizes_that_do_not_fit(height: int, width: int, upsampling: str, cure: str) -> None:
    with pytest.raises(Refusal, match=cure):
        start_grid(height, width, upsampling=upsampling)
    with pytest.raises(Refusal, match=cure):
        built("model/gaugan", **{**TINY, "height": height, "width": width, "upsampling": upsampling})


@pytest.mark.parametrize(
    "changes",
    [{"ngf": 0}, {"ngf": 1, "upsampling": "most", "height": 128, "width": 128}, {"num_classes": 0},
     {"norm": "group"}, {"kernel": 2}, {"vae": True, "latent": 0}, {"vae": True, "encoder_norm": "layer"},
     {"hidden": 0}],
)  # fmt: skip
def test_arguments_that_do_not_fit(changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        tiny(**changes)


@pytest.mark.parametrize(
    "changes", [{"ndf": 0}, {"layers": 0}, {"scales": 0}, {"semantic_channels": -1}, {"norm": "batchy"}]
)
def test_discriminators_that_do_not_fit(changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        built("discriminator/patch", **{"semantic_channels": 5, "ndf": 4, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vae": True},
        {"edges": True},
        {"norm": "instance", "height": 64},
        {"norm": "per_process_batch"},
        {"spectral": False},
        {"kernel": 5},
        {"kernel": 1},
        {"upsampling": "more", "height": 64, "width": 128},
        {"upsampling": "most", "height": 128, "width": 128},
        {"vae": True, "encoder_norm": "none"},
        {"vae": True, "encoder_norm": "batch"},
    ],
)
def test_gradient_reaches_every_parameter(changes: dict[str, Any]) -> None:
    """A gradient that is None means a parameter outside the graph; zeros are the spec's conv_0 and fc biases."""
    model = tiny(**changes)
    batch = a_batch(2, height=changes.get("height", 32), width=changes.get("width", 64), edges=model.edges)
    noise = random(2, 16) if model.noise_shape else None
    painted = model(batch, noise=noise)
    assert painted.image.shape == batch.require("image").shape
    assert filled(painted) == model.offers - {"encode", "again"}
    (painted.image * random(*painted.image.shape, seed=3)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        zero_by_theory = name.endswith(".bias") and ("conv_" in name or "fc" in name or "layer" in name)
        assert zero_by_theory or parameter.grad.abs().max() > 0, name


def test_same_seed_same_picture() -> None:
    first, second = (tiny(vae=True).eval().sample(a_batch(), noise=random(2, 16)).image for _ in range(2))
    assert torch.equal(first, second)
    other = tiny(vae=True).eval().sample(a_batch(), noise=random(2, 16, seed=9)).image
    assert not torch.equal(first, other)


def test_initialise_leaves_the_global_generator_alone() -> None:
    model = built("model/gaugan", **TINY)
    before = torch.get_rng_state()
    initialise(model, gain=INIT_GAIN, generator=torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


def test_initial_scales() -> None:
    """Xavier 0.02 for plain layers; spectrally normalised ones keep torch's uniform (specification, section 6)."""
    model = tiny(ngf=16, hidden=64, vae=True)
    judge = built("discriminator/patch", semantic_channels=5, ndf=16)
    initialise(judge, gain=INIT_GAIN, generator=torch.Generator().manual_seed(0))
    gamma = model.generator.get_parameter("head_0.norm_0.mlp_gamma.weight")
    fan_in, fan_out = 64 * 9, 256 * 9
    assert gamma.std().item() == pytest.approx(0.02 * (2 / (fan_in + fan_out)) ** 0.5, rel=0.02)
    wide = model.generator.get_parameter("head_0.conv_0.weight_orig")
    assert wide.std().item() == pytest.approx((256 * 9) ** -0.5 / 3**0.5, rel=0.02)
    assert wide.abs().max().item() <= (256 * 9) ** -0.5
    first = judge.get_parameter("discriminator_1.model0.0.weight")
    assert first.std().item() == pytest.approx(0.02 * (2 / (8 * 16 + 16 * 16)) ** 0.5, rel=0.1)
    biases = [p for net in (model, judge) for name, p in net.named_parameters() if name.endswith("bias")]
    assert len(biases) > 40
    assert all(not bias.any() for bias in biases)


def test_vae_needs_noise_or_style() -> None:
    model = tiny(vae=True)
    with pytest.raises(Refusal, match="noise"):
        model.sample(a_batch())
    with pytest.raises(Refusal, match="noise"):
        model(a_batch())
    with pytest.raises(Refusal, match="give 1 or 2"):
        model.sample(a_batch(), noise=random(3, 16))
    with pytest.raises(Refusal, match="give 1 or 2"):
        model.sample(replace(a_batch(), exemplar=random(3, 3, 32, 64)))
    with pytest.raises(Refusal, match="no VAE"):
        tiny().sample(a_batch(), noise=random(2, 16))
    with pytest.raises(Refusal, match="no VAE"):
        tiny().sample(replace(a_batch(), exemplar=random(2, 3, 32, 64)))


def test_one_style_paints_the_whole_batch() -> None:
    model = tiny(vae=True).eval()
    style = random(1, 3, 48, 40)  # of another size than the model's
    painted = model.sample(replace(a_batch(3), exemplar=style))
    assert painted.posterior is not None
    z, mu = painted.posterior.z, painted.posterior.mu
    assert mu is not None
    assert torch.equal(z, mu)
    assert torch.equal(z[0], z[2])
    repeated = model.sample(replace(a_batch(3), exemplar=style.expand(3, -1, -1, -1)))
    assert torch.allclose(painted.image, repeated.image, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "side", "depth"),
    [((256, 256), 256, 6), ((192, 256), 256, 6), ((384, 512), 256, 6), ((96, 128), 128, 5), ((128, 128), 128, 5),
     ((64, 64), 64, 4), ((96, 96), 64, 4), ((32, 64), 64, 4), ((32, 32), 32, 3), ((16, 16), 16, 2)],
)  # fmt: skip
def test_encoder_sides(size: tuple[int, int], side: int, depth: int) -> None:
    with torch.device("meta"):
        encoder = ImageEncoder(height=size[0], width=size[1], ngf=4, latent=16, norm="instance")
        mu, logvar = encoder(torch.zeros(2, 3, *size))
    assert (encoder.side, encoder.depth) == (side, depth)
    assert mu.shape == logvar.shape == (2, 16)


def test_encoder_refuses_stamps() -> None:
    with pytest.raises(Refusal, match="16"):
        input_side(8, 15)


@pytest.mark.parametrize(
    ("label", "why"),
    [
        (torch.tensor([[[0, 5]]]), "0 to 5, but the model has 5"),
        (torch.tensor([[[-1, 4]]]), "-1 to 4"),
        (torch.tensor([[[0, 255]]], dtype=torch.uint8), "255"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.int64), "channel axis"),
        (torch.zeros(1, 4, 4), "integers"),
    ],
)
def test_labels_that_do_not_fit(label: Tensor, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        semantics(label, num_classes=5)


def test_semantics_is_one_hot() -> None:
    label = torch.tensor([[[0, 4], [2, 2]]])
    planes = semantics(label, num_classes=5)
    assert torch.equal(planes.argmax(1), label)
    assert torch.equal(planes.sum(1), torch.ones(1, 2, 2))
    with pytest.raises(Refusal, match="nearest"):
        semantics(label, num_classes=5, instance=torch.zeros(1, 4, 4, dtype=torch.int64))
    with pytest.raises(Refusal, match="no instance ids; give data with instance maps"):
        tiny(edges=True).condition(a_batch())


def test_edges_mark_both_sides() -> None:
    instance = torch.tensor([[[1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 3]]])
    want = torch.tensor([[0, 1, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]).float()
    assert torch.equal(instance_edges(instance)[0, 0], want)
    assert not instance_edges(torch.full((1, 4, 4), 7)).any()


@pytest.mark.parametrize(("size", "to"), [((50, 70), (64, 64)), ((64, 64), (7, 12)), ((6, 4), (12, 8))])
def test_nearest_takes_the_floor(size: tuple[int, int], to: tuple[int, int]) -> None:
    condition = random(1, 2, *size)
    rows = torch.arange(to[0]) * size[0] // to[0]
    columns = torch.arange(to[1]) * size[1] // to[1]
    assert torch.equal(nearest(condition, to), condition[:, :, rows][:, :, :, columns])


def test_spade_formula() -> None:
    """Constant maps: the result is norm(x) * (1 + gamma) + beta in closed form."""
    layer = SPADE(3, condition_channels=2, norm=GlobalBatchNorm(3), hidden=4).eval()
    for conv, bias in ((layer.mlp_gamma, 0.5), (layer.mlp_beta, -2.0)):
        conv.weight.data.zero_()
        conv.bias.data.fill_(bias)  # type: ignore[union-attr]
    x = random(2, 3, 8, 8)
    want = x / (1 + 1e-5) ** 0.5 * 1.5 - 2.0
    assert torch.allclose(layer(x, random(2, 2, 16, 16)), want, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("out", [4, 64])
@pytest.mark.parametrize("side", [2, 32])
@pytest.mark.parametrize("bias", [True, False])
def test_spectral_convolution_equals_the_hook(training: bool, out: int, side: int, bias: bool) -> None:
    """The authority is torch.nn.utils.spectral_norm, in both ways of dividing (weight or output smaller)."""
    ours = SpectralConv2d(16, out, 3, padding=1, bias=bias).double()
    hook = torch.nn.utils.spectral_norm(torch.nn.Conv2d(16, out, 3, padding=1, bias=bias)).double()
    assert list(ours.state_dict()) == list(hook.state_dict())
    ours.load_state_dict(hook.state_dict())
    ours.train(training)
    hook.train(training)
    grads = []
    for net in (ours, hook):
        x = random(2, 16, side, side).double().requires_grad_()
        net(x)
        net(x).square().sum().backward()
        grads.append([x.grad, *(p.grad for p in net.parameters())])
    for got, want in zip(*grads, strict=True):
        assert torch.allclose(got, want, rtol=1e-10)
    for key, want in hook.state_dict().items():
        assert torch.allclose(ours.state_dict()[key], want, rtol=1e-10), key


def test_models_can_be_copied_after_a_step() -> None:
    """Averaged copies of the weights are made this way; the hook of torch cannot be copied."""
    model = tiny(vae=True)
    model(a_batch(), noise=random(2, 16)).image.mean().backward()
    twin = copy.deepcopy(model).eval()
    assert torch.equal(
        twin.sample(a_batch(), noise=random(2, 16)).image, model.eval().sample(a_batch(), noise=random(2, 16)).image
    )


@pytest.mark.parametrize("vae", [False, True])
def test_mixed_precision_and_channels_last(vae: bool) -> None:
    model = tiny(vae=vae)
    noise = random(2, 16) if vae else None
    for _ in range(2):  # u and v of fresh weights are far from converged, which blows small differences up
        model(a_batch(), noise=noise)
    with torch.no_grad():
        want = copy.deepcopy(model)(a_batch(), noise=noise).image
        twin = copy.deepcopy(model).to(memory_format=torch.channels_last)
        assert torch.allclose(twin(a_batch(), noise=noise).image, want, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = model(a_batch(), noise=noise).image
    assert image.dtype == torch.float32
    image.mean().backward()
    assert (image - want).abs().mean() < 0.02
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize(("layers", "scales", "norm"), [(4, 2, "instance"), (3, 1, "instance"), (5, 3, "none"),
                                                        (2, 2, "batch"), (1, 1, "instance")])  # fmt: skip
def test_discriminator_maps(layers: int, scales: int, norm: str) -> None:
    net = built("discriminator/patch", semantic_channels=5, ndf=4, layers=layers, scales=scales, norm=norm)
    fake, real = net(random(4, 5, 64, 96), random(4, 3, 64, 96)).split([2, 2])
    assert len(fake.logits) == len(real.features) == scales
    assert all(len(maps) == layers for maps in fake.features)
    assert [tuple(s.shape[:2]) for s in fake.logits] == [(2, 1)] * scales


def test_discriminator_sizes_at_256() -> None:
    """129, 65, 33, 34, 35 and 65, 33, 17, 18, 19, and the width capped at 512 (specification, section 5)."""
    with torch.device("meta"):
        given = torch.zeros(1, 5, 256, 256), torch.zeros(1, 3, 256, 256)
        judgement = built("discriminator/patch", semantic_channels=5, layers=5)(*given)
        four = built("discriminator/patch", semantic_channels=5)(*given)
    assert [maps.shape[1] for maps in judgement.features[0]] == [64, 128, 256, 512, 512]
    sides = [[*(m.shape[-1] for m in f), s.shape[-1]] for f, s in zip(four.features, four.logits, strict=True)]
    assert sides == [[129, 65, 33, 34, 35], [65, 33, 17, 18, 19]]


def test_discriminator_refuses_other_semantics() -> None:
    net = built("discriminator/patch", semantic_channels=5, ndf=4)
    with pytest.raises(Refusal, match="5, h, w"):
        net(random(2, 6, 32, 32), random(2, 3, 32, 32))
    with pytest.raises(Refusal, match="as large as"):
        net(random(2, 5, 64, 64), random(2, 3, 32, 32))


@pytest.mark.parametrize("z", [None, torch.zeros(2, 8), torch.zeros(1, 16)])
def test_generator_refuses_other_latents(z: Tensor | None) -> None:
    with pytest.raises(Refusal, match=r"\(2, 16\)"):
        tiny(vae=True).generator(torch.zeros(2, 5, 32, 64), z)
