"""Convolutions of fewer products: the same sums, so equal in float64, and near it in float32."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from scenegen.base.refusal import Refusal
from scenegen.networks.frozen.inception_blocks import ALGORITHMS, filtered
from scenegen.networks.layers.filtering import TILES, Filtered, fourier, toom_cook

CASES = {
    "3x3, valid, odd sides": ((3, 3), (0, 0), (73, 71)),
    "3x3, zeros around": ((3, 3), (1, 1), (35, 35)),
    "3x3, one tile": ((3, 3), (1, 1), (4, 3)),
    "1x3": ((1, 3), (0, 1), (8, 8)),
    "3x1": ((3, 1), (1, 0), (8, 9)),
    "1x7": ((1, 7), (0, 3), (17, 17)),
    "7x1": ((7, 1), (3, 0), (17, 17)),
}


def made(case: str, dtype: torch.dtype, *, channels: int = 64) -> tuple[nn.Conv2d, torch.Tensor]:
    kernel, padding, sides = CASES[case]
    stream = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(channels, channels, kernel, padding=padding, dtype=torch.float64)
    for parameter in conv.parameters():
        parameter.data = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
    x = torch.randn(3, channels, *sides, generator=stream, dtype=torch.float64)
    return conv.float().to(dtype).requires_grad_(False), x.float().to(dtype)


@pytest.mark.parametrize("case", CASES)
def test_the_same_sums(case):
    """Exact algorithms: what is left in float64 is its rounding."""
    conv, x = made(case, torch.float64)
    quick = filtered(conv)
    assert isinstance(quick, Filtered)
    with torch.inference_mode():
        found, want = quick(x), conv(x)
    assert found.shape == want.shape
    assert (found - want).abs().max() < 1e-12 * want.std()


@pytest.mark.parametrize(("case", "bound"), [("3x3, zeros around", 4.0), ("1x3", 4.0), ("1x7", 1.0), ("7x1", 1.0)])
def test_near_float64(case, bound):
    """Of float32's own error, root mean square: the Fourier transform adds none, tiles of 4 at most four times."""
    conv, x = made(case, torch.float32)
    exact = made(case, torch.float64)[0](x.double())
    with torch.inference_mode():
        quick, plain = ((part(x) - exact).square().mean().sqrt() for part in (filtered(conv), conv))
    assert quick < bound * plain


def test_parts_of_a_batch_are_the_batch():
    """More tiles than are multiplied at a time, and pictures whose tiles are few."""
    conv, x = made("7x1", torch.float64)
    many = x.repeat(TILES // 17 + 2, 1, 1, 1)
    with torch.inference_mode():
        found = filtered(conv)(many)
        assert (found - conv(many)).abs().max() < 1e-12 * found.std()


def test_products():
    """Lavin and Gray's count of F(4, 3), and 29 real ones for 17 outputs of 7 taps, in place of 119."""
    assert ALGORITHMS[3].given.shape == (6, 6)
    assert ALGORITHMS[7].given.shape == (29, 17)
    assert toom_cook((0, 1, -1), taps=3).given.tolist() == [[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]
    assert fourier(9, taps=5).made.shape == (9, 16)


def test_gradients_and_other_sides_take_the_convolution():
    conv, x = made("1x7", torch.float64)
    quick, other = filtered(conv), torch.cat([x, x], 3)
    with torch.inference_mode():
        assert torch.equal(quick(other), conv(other))
    x.requires_grad_()
    quick(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_takes_the_convolution(dtype):
    """The sums around the products would enlarge its rounding tenfold."""
    conv, x = made("3x3, zeros around", torch.float32)
    halved, quick = copy.deepcopy(conv).to(dtype), filtered(conv)
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(quick).to(dtype)(x.to(dtype)), halved(x.to(dtype)))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(quick(x), conv(x))
            assert torch.equal(quick(x.bfloat16()), conv(x.bfloat16()))


def test_no_pictures_and_one_without_a_batch():
    conv, x = made("1x7", torch.float32)
    quick = filtered(conv)
    with torch.inference_mode():
        assert quick(x[:0]).shape == conv(x[:0]).shape
        assert torch.equal(quick(x[0]), conv(x[0]))


@pytest.mark.parametrize("padding", [0, 2, 5])
def test_fourier_with_other_zeros_around_takes_the_convolution(padding):
    conv, x = made("1x7", torch.float32)
    conv.padding = (0, padding)
    with torch.inference_mode():
        assert torch.equal(Filtered(conv, across=fourier(17, taps=7))(x), conv(x))


OTHERS = ({"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": "same"})


@pytest.mark.parametrize("options", OTHERS)
def test_another_convolution_is_refused_and_stays(options):
    conv = nn.Conv2d(128, 128, 3, **{"padding": 1, **options})
    assert filtered(conv) is conv
    with pytest.raises(Refusal, match="call it as it is"):
        Filtered(conv, down=ALGORITHMS[3], across=ALGORITHMS[3])


@pytest.mark.parametrize("padding_mode", ["reflect", "replicate", "circular"])
def test_other_borders_are_the_same_sums_and_not_of_fourier(padding_mode):
    conv = nn.Conv2d(8, 9, 3, padding=(1, 2), padding_mode=padding_mode).double().requires_grad_(False)
    x = torch.randn(2, 8, 7, 10, dtype=torch.float64)
    with torch.inference_mode():
        found = Filtered(conv, down=ALGORITHMS[3], across=ALGORITHMS[3])(x)
        assert (found - conv(x)).abs().max() < 1e-12
    with pytest.raises(Refusal, match="call it as it is"):
        Filtered(conv, down=fourier(7, taps=3), across=ALGORITHMS[3])


def test_alone_it_keeps_no_other_weights_and_refuses_what_needs_them():
    conv, x = made("3x3, zeros around", torch.float32)
    alone = Filtered(conv, down=ALGORITHMS[3], across=ALGORITHMS[3], alone=True)
    assert [name for name, _ in alone.named_parameters()] == []
    assert torch.equal(alone(x.requires_grad_()), filtered(conv)(x.detach()))
    assert not alone(x).requires_grad
    for other in (x.double(), x.bfloat16(), x.to("meta")):
        with pytest.raises(Refusal, match="lookup=false"):
            alone(other)
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(Refusal, match="lookup=false"):
        alone(x)


def test_a_copy_gives_the_same():
    conv, x = made("3x3, zeros around", torch.float32)
    quick = filtered(conv)
    with torch.inference_mode():
        for other in (copy.deepcopy(quick), pickle.loads(pickle.dumps(quick))):
            assert torch.equal(other(x), quick(x))


def test_what_does_not_pay_stays():
    """Few channels, one tap, five."""
    for conv in (nn.Conv2d(32, 64, 3), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 64, 5)):
        assert filtered(conv) is conv
