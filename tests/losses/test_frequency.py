"""Focal frequency loss against Parseval's theorem, a plain formulation and derivatives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.frequency import focal_frequency


def pictures(*shape, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.rand(*shape, generator=g, dtype=dtype) for _ in range(2)]


@pytest.mark.parametrize("size", [(6, 8), (6, 7), (5, 8), (5, 7), (1, 1), (4, 2)])
def test_equal_weights_give_the_mean_square(size):
    # Parseval: an orthonormal transform keeps the energy, for even and odd sizes
    x, y = pictures(2, 3, *size)
    torch.testing.assert_close(focal_frequency(x, y, alpha=0), F.mse_loss(x, y))


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_half_a_spectrum_equals_the_whole(size):
    x, y = pictures(2, 3, *size)
    energy = torch.fft.fft2(x - y, norm="ortho").abs().square()
    weight = energy.sqrt() / energy.sqrt().amax((-2, -1), keepdim=True)
    torch.testing.assert_close(focal_frequency(x, y), (weight * energy).mean())
    matrix = torch.rand(2, 1, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(focal_frequency(x, y, matrix=matrix), (matrix[:, 0] * energy).mean())


def test_twice_the_range_is_four_times_the_loss():
    x, y = pictures(2, 3, 6, 8)
    torch.testing.assert_close(focal_frequency(2 * x, 2 * y), 4 * focal_frequency(x, y))


def test_gradcheck_with_fixed_weights():
    x, y = pictures(1, 2, 4, 6)
    matrix = torch.rand(1, 4, 2, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = {"matrix": matrix, "patch_factor": 2}
    assert torch.autograd.gradcheck(lambda a: focal_frequency(a, y, **options), x.requires_grad_())


def test_half_precision_pictures():
    x, y = pictures(1, 3, 8, 8, dtype=torch.float32)
    value = focal_frequency(x.bfloat16(), y.bfloat16())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, focal_frequency(x, y), rtol=0.05, atol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss_term("focal_frequency", alpha=-1.0), "alpha=-1.0 is not a number >= 0"),
        (lambda: loss_term("focal_frequency", alpha=float("nan")), "alpha=nan is not a number >= 0"),
        (lambda: loss_term("focal_frequency", patch_factor=0), "patch_factor=0 is not a number >= 1"),
        (lambda: focal_frequency(*pictures(1, 3, 8, 9), patch_factor=2), "patch_factor=2 cannot cut a 8x9 picture"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(Refusal, match=message):
        call()
