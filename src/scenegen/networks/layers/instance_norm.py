"""Instance norm whose gradient is right however the gradient that comes to it lies in memory."""

from __future__ import annotations

from torch import Tensor, nn


class InstanceNorm2d(nn.InstanceNorm2d):
    """torch's instance norm.

    For a batch of one picture on a CPU, torch 2.15 reads a gradient that lies channels last as if it lay channels
    first. Such gradients come from convolutions in channels_last memory and from features gathered place by place.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) with zero mean and unit deviation per sample and channel."""
        y = super().forward(x)
        if y.requires_grad:
            y.register_hook(lambda slope: slope.contiguous())
        return y
