"""Halving and doubling of maps through a fixed binomial filter, so that no pixel is dropped (antialiasing)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def binomial(taps: list[float], channels: int) -> Tensor:
    """(channels, 1, k, k) the outer product of the taps, summing to 1, for every channel."""
    row = torch.tensor(taps)
    square = row[:, None] * row[None]
    return (square / square.sum())[None, None].repeat(channels, 1, 1, 1)


class BlurDown(nn.Module):
    """Halves both sides: (b, c, h, w) -> (b, c, ceil(h / 2), ceil(w / 2)).

    Args:
        channels: of the maps.

    Source: Zhang, ICML 2019 (making convolutional networks shift-invariant again), filter [1, 2, 1].
    """

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", binomial([1.0, 2.0, 1.0], channels))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, self.filt.to(x.dtype), stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Doubles both sides: (b, c, h, w) -> (b, c, 2h, 2w).

    Args:
        channels: of the maps.

    Source: Zhang, ICML 2019, filter [1, 3, 3, 1] on zeros between the pixels.
    """

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", 4 * binomial([1.0, 3.0, 3.0, 1.0], channels))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        spread = F.conv_transpose2d(padded, self.filt.to(x.dtype), stride=2, padding=2, groups=x.shape[1])
        return spread[..., 1:-1, 1:-1]
