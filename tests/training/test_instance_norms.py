"""Instance norm's gradient against its closed form, for pictures and gradients in both memory formats."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from scenegen.training.instance_norms import order_slopes

FORMATS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("of_slope", FORMATS)
@pytest.mark.parametrize("of_picture", FORMATS)
@pytest.mark.parametrize("batch", [1, 2])
def test_gradient_in_any_memory_format(
    batch: int, of_picture: torch.memory_format, of_slope: torch.memory_format
) -> None:
    stream = torch.Generator().manual_seed(0)
    x, slope = (torch.randn(batch, 3, 5, 6, generator=stream, dtype=torch.float64) for _ in range(2))
    net = nn.Sequential(nn.InstanceNorm2d(3))
    order_slopes(net)
    y = copy.deepcopy(net)(own := x.contiguous(memory_format=of_picture).requires_grad_())  # a copy, as averages are
    (got,) = torch.autograd.grad(y, own, slope.contiguous(memory_format=of_slope))
    centred = x - x.mean((2, 3), keepdim=True)
    deviation = (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    unit = centred / deviation
    along = slope - slope.mean((2, 3), keepdim=True) - unit * (slope * unit).mean((2, 3), keepdim=True)
    assert torch.allclose(got, along / deviation, atol=1e-10)
