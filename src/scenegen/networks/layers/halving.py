"""Means of 2x2 pixels that keep nothing for the gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def halved(x: Tensor) -> Tensor:
    """F.avg_pool2d(x, 2), for whose gradient torch keeps x itself; here nothing is kept where the sides are even."""
    even = not any(side % 2 for side in x.shape[-2:])
    return _Halved.apply(x) if even and torch.is_grad_enabled() and x.requires_grad else F.avg_pool2d(x, 2)


class _Halved(torch.autograd.Function):
    """Means of 2x2 pixels; a quarter of a mean's gradient goes to each of its pixels."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> Tensor:
        return F.interpolate(grads[0] / 4, scale_factor=2, mode="nearest")
