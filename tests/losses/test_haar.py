"""HaarPSI around piq's, and Haar sub-bands: energy, a picture that can be done by hand, derivatives."""

from __future__ import annotations

import piq
import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.haar import haar_bands, haar_l1, haarpsi


def pictures(*shape, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.rand(*shape, generator=g, dtype=dtype) for _ in range(2)]


def test_black_pairs_where_piq_is_infinite():
    x, y = pictures(2, 3, 16, 16, dtype=torch.float32)
    x[1] = y[1] = 0
    assert not piq.haarpsi(x, y).isfinite()
    alone = haarpsi(x[:1], y[:1])
    torch.testing.assert_close(haarpsi(x.requires_grad_(), y), alone / 2, atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(haarpsi(x, y), x)
    assert gradient.isfinite().all()


def test_beyond_the_range_where_piq_stops():
    x, y = pictures(1, 3, 16, 16)
    with pytest.raises(AssertionError):
        piq.haarpsi(1.0001 + 0 * x, y)
    torch.testing.assert_close(haarpsi(1.0001 + 0 * x, y), 1 - piq.haarpsi(torch.ones_like(x), y))


def test_gradcheck_of_haarpsi():
    x, y = pictures(1, 3, 16, 16)
    x = (0.1 + 0.8 * x).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: haarpsi(a, y), x, fast_mode=True)


def test_bands_keep_the_energy():
    x, _ = pictures(2, 3, 8, 12)
    torch.testing.assert_close(sum(band.square().sum() for band in haar_bands(x)), x.square().sum())


def test_bands_of_one_block():
    block = torch.tensor([[1.0, 2.0], [3.0, 5.0]]).view(1, 1, 2, 2)
    assert [band.item() for band in haar_bands(block)] == [5.5, -2.5, -1.5, 0.5]


def test_a_constant_shift_is_in_the_low_band_alone():
    x, _ = pictures(1, 3, 8, 8)
    # each level doubles a constant: 0.25 2^3
    torch.testing.assert_close(haar_l1(x + 0.25, x, levels=3, low=1.0).item(), 2.0)
    torch.testing.assert_close(haar_l1(x + 0.25, x, levels=3, low=0.0).item(), 0.0)


def test_gradcheck_of_squares():
    x, y = pictures(1, 2, 4, 8)
    assert torch.autograd.gradcheck(lambda a: haar_l1(a, y, levels=2, power=2), x.requires_grad_())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss_term("haar", c=0.0), "loss.haar needs c > 0 and alpha > 0, but has c=0.0, alpha=4.2"),
        (lambda: loss_term("haar_l1", levels=0), "loss.haar_l1.levels=0 is not a number >= 1"),
        (lambda: loss_term("haar_l1", power=3), "power=3 of loss.haar_l1 is not one of 1, 2"),
        (lambda: loss_term("haar_l1", detail=0.0, low=0.0), "not both 0, but has detail=0.0, low=0.0"),
        (lambda: loss_term("haar_l1", low=-1.0), "weights >= 0, .*low=-1.0"),
        (lambda: haarpsi(*pictures(1, 3, 15, 32)), "loss.haar needs at least 16 pixels a side, but has 15x32"),
        (lambda: haar_l1(*pictures(1, 3, 8, 12)), "levels=3 needs sides divisible by 8, but has 8x12 pictures"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(Refusal, match=message):
        call()
