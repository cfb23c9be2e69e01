"""GMSD against piq where piq has gradients, and where it has none."""

from __future__ import annotations

import piq
import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.gradient_similarity import gmsd, ms_gmsd

LOSSES = {
    "gmsd": (piq.gmsd, gmsd),
    "ms_gmsd": (piq.multi_scale_gmsd, ms_gmsd),
    "ms_gmsdc": (lambda x, y: piq.multi_scale_gmsd(x, y, chromatic=True), lambda x, y: ms_gmsd(x, y, chromatic=True)),
}


def pictures(*shape, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return [torch.rand(*shape, generator=g, dtype=dtype) for _ in range(2)]


@pytest.mark.parametrize("size", [(24, 32), (25, 32), (33, 35)])
@pytest.mark.parametrize("name", LOSSES)
def test_values_of_piq_at_even_and_odd_sizes(name, size):
    x, y = pictures(2, 3, *size, dtype=torch.float32)
    theirs, ours = LOSSES[name]
    torch.testing.assert_close(ours(x, y), theirs(x, y))


@pytest.mark.parametrize("name", LOSSES)
def test_equal_pictures_where_piq_has_no_gradient(name):
    for index, loss in enumerate(LOSSES[name]):
        x = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
        (gradient,) = torch.autograd.grad(loss(x, x.detach()), x)
        assert gradient.isfinite().all() == bool(index)
    assert not gradient.any()


def test_scale_weights_are_relative():
    x, y = pictures(1, 3, 16, 16)
    torch.testing.assert_close(ms_gmsd(x, y, scales=[2, 6]), ms_gmsd(x, y, scales=[0.25, 0.75]))


@pytest.mark.parametrize(
    "loss",
    [
        gmsd,
        lambda x, y: ms_gmsd(x, y, scales=[1, 2]),
        lambda x, y: ms_gmsd(x, y, chromatic=True, scales=[1]),
    ],
)
def test_gradcheck(loss):
    x, y = pictures(1, 3, 7, 8)
    assert torch.autograd.gradcheck(lambda a: loss(a, y), x.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss_term("ms_gmsd", scales=[]), r"loss.ms_gmsd.scales=\[\] are not weights >= 0"),
        (lambda: loss_term("ms_gmsd", scales=[1.0, -1.0]), r"scales=\[1.0, -1.0\] are not weights >= 0"),
        (lambda: loss_term("ms_gmsd", scales=[0.0]), "not all 0"),
        (lambda: ms_gmsd(*pictures(1, 3, 16, 32)), "with 4 scales needs more than 16 pixels a side, but has 16x32"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(Refusal, match=message):
        call()
