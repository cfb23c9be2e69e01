"""L1 and total variation against closed forms."""

from __future__ import annotations

import piq
import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.pixels import clamped, l1, total_variation


def test_l1_of_a_shift():
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(l1(x + 0.25, x), torch.tensor(0.25))


@pytest.mark.parametrize(
    ("form", "value"),
    # a ramp of 0.5 a column, 3 channels, 4 rows, 5 columns: 48 pairs across, none differ downwards
    [("mean_abs", 0.5), ("mean_sq", 0.25), ("l1", 24.0), ("l2", 12**0.5), ("l2_squared", 12.0)],
)
def test_a_ramp(form, value):
    ramp = (0.5 * torch.arange(5.0)).expand(2, 3, 4, 5)
    torch.testing.assert_close(total_variation(ramp, form=form), torch.tensor(value))


def test_pairs_outside_the_hole_do_not_count():
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    valid = torch.ones(1, 1, 6, 6)
    assert total_variation(ramp, valid=valid) == 0
    valid[..., 2, 2] = 0  # grown to 3x3: 2 pairs in each of 3 rows, of 30
    torch.testing.assert_close(total_variation(ramp, valid=valid), torch.tensor(6 / 30))


def test_flat_pictures_where_piq_has_no_gradient():
    for module in (piq.TVLoss("l2"), lambda x: total_variation(x, form="l2")):
        x = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
        (gradient,) = torch.autograd.grad(module(x), x)
        assert gradient.isfinite().all() == (not isinstance(module, piq.TVLoss))


@pytest.mark.parametrize("form", ["mean_sq", "l2", "l2_squared"])
def test_gradcheck(form):
    x = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: total_variation(a, form=form), x)


def test_clamp_keeps_the_gradient():
    x = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.0001], requires_grad=True)
    y = clamped(x)
    assert y.tolist() == [0, 0, 0.5, 1, 1]
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [1] * 5


def test_refusals():
    with pytest.raises(Refusal, match=r"form=l3 of loss.tv is not one of mean_abs, mean_sq, l1, l2, l2_squared"):
        loss_term("tv", form="l3")
    with pytest.raises(Refusal, match="a 1x8 picture has none; it needs at least 2"):
        total_variation(torch.zeros(1, 3, 1, 8))
    with pytest.raises(Refusal, match=r"loss.l1 .*\(1, 3, 8, 8\).*\(1, 3, 8, 9\)"):
        l1(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))
