"""Properties of OASIS' networks that the specification states: counts, noise, sizes, what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.networks.discriminators.oasis import DownBlock, UpBlock
from scenegen.networks.generators.oasis import Oasis
from scenegen.networks.layers.init import initialise
from tests.networks.filled import filled
from tests.options import INIT_GAIN, built

TINY: dict[str, Any] = {"num_classes": 5, "height": 32, "width": 64, "ngf": 4, "hidden": 8, "latent": 8}
JUDGE: dict[str, Any] = {"semantic_channels": 5, "num_classes": 5, "height": 64, "width": 128, "ndf": 2}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def a_batch(b: int = 2, *, height: int = 32, width: int = 64) -> Batch:
    label = torch.randint(0, 5, (b, height, width), generator=torch.Generator().manual_seed(1))
    return Batch(label=label, image=random(b, 3, height, width).tanh())


def tiny(**changes: Any) -> Oasis:
    model = built("model/oasis", **{**TINY, **changes})
    initialise(model, gain=INIT_GAIN, generator=torch.Generator().manual_seed(0))
    return model


def settled(**changes: Any) -> Oasis:
    """After some power steps: with random u and v the weights are divided by next to nothing."""
    model = tiny(**changes)
    for seed in range(5):
        model(a_batch(), noise=random(2, 8, seed=seed))
    return model.eval()


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("classes", "generator", "judge"),
    [(151, 74_314_691, 22_258_904), (183, 75_199_427, 22_260_984), (35, 71_107_523, 22_251_364),
     (30, 70_969_283, 22_251_039)],
)  # fmt: skip
def test_parameters(classes: int, generator: int, judge: int) -> None:
    """ADE20K, COCO-Stuff, Cityscapes and 29 classes beside unknown (specification, sections 2 and 3)."""
    with torch.device("meta"):
        g = built("model/oasis", num_classes=classes, height=256, width=256).generator
        d = built("discriminator/oasis", semantic_channels=classes, num_classes=classes, height=256, width=256)
    assert (parameters(g), len(g.state_dict())) == (generator, 208)
    assert (parameters(d), len(d.state_dict())) == (judge, 130)


@pytest.mark.parametrize(("height", "width"), [(192, 256), (384, 512), (256, 512), (64, 160), (96, 128), (160, 256)])
def test_sizes(height: int, width: int) -> None:
    with torch.device("meta"):
        generator = built("model/oasis", num_classes=5, height=height, width=width).generator
        image = generator(torch.zeros(2, 5, height, width), torch.zeros(2, 64))
        judge = built("discriminator/oasis", semantic_channels=5, num_classes=5, height=height, width=width)
        judgement = judge(torch.zeros(2, 5, height, width), image)
    assert image.shape == (2, 3, height, width)
    assert [tuple(s.shape) for s in judgement.logits] == [(2, 6, height, width)]
    assert judge.step == (64 if height % 64 == width % 64 == 0 else 32)
    assert judgement.features == ()


@pytest.mark.parametrize(
    "changes",
    [{}, {"latent": 0}, {"norm": "instance", "height": 64}, {"norm": "per_process_batch"}, {"spectral": False},
     {"kernel": 5}, {"kernel": 1}],
)  # fmt: skip
def test_gradient_reaches_every_parameter(changes: dict[str, Any]) -> None:
    model = tiny(**changes)
    batch = a_batch(2, height=changes.get("height", 32))
    noise = random(2, *model.noise_shape) if model.noise_shape else None
    painted = model(batch, noise=noise)
    assert painted.image.shape == batch.require("image").shape
    assert filled(painted) == model.offers - {"again"}
    (painted.image * random(*painted.image.shape, seed=3)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        zero_by_theory = name.endswith(".bias") and ("conv_" in name or "fc" in name)
        assert zero_by_theory or parameter.grad.any(), name


def test_noise_stands_in_front_of_the_labels_and_is_one_vector() -> None:
    """Swapped condition channels give the picture of swapped weights; a constant map equals the vector (O4)."""
    model = settled()
    z = random(2, 8)
    vector = model.sample(a_batch(), noise=z).image
    constant = model.sample(a_batch(), noise=z[:, :, None, None].expand(-1, -1, 32, 64)).image
    assert torch.equal(vector, constant)
    plain = tiny(latent=0).eval()
    state = model.state_dict()
    for key, value in plain.state_dict().items():
        took = state[key][:, 8:] if state[key].shape != value.shape else state[key]  # the labels' columns
        value.copy_(took)
    silent = model.sample(a_batch(), noise=torch.zeros(2, 8)).image
    torch.testing.assert_close(plain.sample(a_batch()).image, silent)


def test_noise_of_its_own_at_every_pixel_edits_locally() -> None:
    model = settled()
    z = random(1, 8, 1, 1).expand(1, -1, 32, 64).clone()
    other = z.clone()
    other[..., 48:] = random(1, 8, 1, 1, seed=4)
    one, two = (model.sample(a_batch(1), noise=noise).image for noise in (z, other))
    changed = (one - two).abs().amax((0, 1, 2))
    assert changed[56] > 0
    assert changed[56] > 10 * changed[0]


def test_again_is_another_picture() -> None:
    model = settled()
    first, second = (model.sample(a_batch(), noise=random(2, 8, seed=s)).image for s in (1, 2))
    assert not torch.equal(first, second)
    shared = model.sample(a_batch(), noise=random(2, 8, seed=1)[:1]).image
    torch.testing.assert_close(shared[0], first[0])


def test_models_can_be_copied_and_mix_precisions() -> None:
    model = settled().train()
    noise = random(2, 8)
    want = copy.deepcopy(model)(a_batch(), noise=noise).image
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = model(a_batch(), noise=noise).image
    assert image.dtype == torch.float32
    assert (image - want).abs().mean() < 0.02


def test_the_start_is_xavier_everywhere() -> None:
    """0.02 sqrt(2 / (fan in + fan out)) in the spectrally normalised layers too (specification, section 5)."""
    judge = built("discriminator/oasis", **{**JUDGE, "ndf": 16})
    initialise(judge, gain=INIT_GAIN, generator=torch.Generator().manual_seed(0))
    model = tiny(ngf=16)
    for net, key, fan in ((judge, "body_down.4.conv2.1.weight_orig", 128 * 9),
                          (model, "generator.body.0.conv_0.weight_orig", 256 * 9)):  # fmt: skip
        assert net.get_parameter(key).std().item() == pytest.approx(0.02 * fan**-0.5, rel=0.02), key
    assert not judge.get_parameter("body_up.1.conv_s.bias").any()


def test_shortcuts_commute_with_halving_and_doubling() -> None:
    """The published order is convolution, then mean (or after doubling); ours is cheaper and equal."""
    down, up = DownBlock(3, out=5).double().eval(), UpBlock(4, out=2).double().eval()
    x, y = random(2, 3, 8, 8).double(), random(2, 4, 4, 4).double()
    want = F.avg_pool2d(down.conv_s(x), 2) + F.avg_pool2d(down.conv2(down.conv1(x)), 2)
    torch.testing.assert_close(down(x), want)
    want = up.conv_s(F.interpolate(y, scale_factor=2, mode="nearest")) + up.conv2(up.conv1(y))
    torch.testing.assert_close(up(y), want)


def test_the_label_is_read_from_the_semantics() -> None:
    judge = built("discriminator/oasis", **{**JUDGE, "semantic_channels": 6})  # an edge channel behind the classes
    batch = a_batch(2, height=64, width=128)
    label = batch.require("label")
    planes = torch.cat([F.one_hot(label, 5).permute(0, 3, 1, 2).float(), torch.ones(2, 1, 64, 128)], dim=1)
    judgement = judge(planes, batch.image)
    assert judgement.label is not None
    assert torch.equal(judgement.label, label)
    assert judge.joint is False


def test_gradient_reaches_every_parameter_of_the_discriminator() -> None:
    judge = built("discriminator/oasis", **JUDGE)
    initialise(judge, gain=INIT_GAIN, generator=torch.Generator().manual_seed(0))
    judge(torch.zeros(2, 5, 64, 128), random(2, 3, 64, 128)).logits[0].square().mean().backward()
    for name, parameter in judge.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"height": 100}, "height 96 or 128"), ({"width": 16}, "width 32"), ({"num_classes": 0}, "num_classes"),
     ({"ngf": 0}, "positive"), ({"latent": -1}, "latent"), ({"norm": "group"}, "norm"), ({"kernel": 4}, "odd")],
)  # fmt: skip
def test_models_that_do_not_fit(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        tiny(**changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"depth": 6, "height": 96}, "divisible by 64, got 96x128"), ({"height": 65}, "divisible by 2, got 65x128"),
     ({"depth": 7}, "halves 7 times, at most 6"), ({"ndf": 0}, "positive"), ({"num_classes": 6}, "semantic_channels"),
     ({"widths": [2, 0]}, "positive")],
)  # fmt: skip
def test_discriminators_that_do_not_fit(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        built("discriminator/oasis", **{**JUDGE, **changes})


@pytest.mark.parametrize(
    ("semantics", "image", "why"),
    [((1, 6, 64, 64), (1, 3, 64, 64), "5, h, w"), ((1, 5, 64, 64), (1, 3, 128, 128), "as large as"),
     ((1, 5, 96, 64), (1, 3, 96, 64), "divisible by 64, got 96x64")],
)  # fmt: skip
def test_discriminator_refuses_other_inputs(semantics: tuple[int, ...], image: tuple[int, ...], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        built("discriminator/oasis", **JUDGE)(torch.zeros(semantics), torch.zeros(image))


@pytest.mark.parametrize(
    ("latent", "noise", "why"),
    [(8, None, r"\(2, 8\), got none"), (8, (2, 7), r"\(2, 8\), got \(2, 7\)"), (8, (3, 8), r"got \(3, 8\)"),
     (0, (2, 8), "takes no noise")],
)  # fmt: skip
def test_noise_that_does_not_fit(latent: int, noise: tuple[int, ...] | None, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        tiny(latent=latent).sample(a_batch(), noise=None if noise is None else torch.zeros(noise))
