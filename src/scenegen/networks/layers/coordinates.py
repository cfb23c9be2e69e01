"""Coordinates of each pixel as two more channels of a convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal


def with_coordinates(x: Tensor, *, radius: bool = False) -> Tensor:
    """A map beside the coordinates of its pixels.

    Args:
        x: (b, c, h, w), h and w at least 2.
        radius: append the distance from the middle too.

    Returns:
        (b, c + 2, h, w), or c + 3: behind x the column (-1 left, 1 right), the row (-1 top, 1 bottom).

    Raises:
        Refusal: for a map of one row or column, which has no such coordinate.

    Source: Liu et al., NeurIPS 2018 (CoordConv), section 3.
    """
    h, w = x.shape[-2:]
    if min(h, w) < 2:
        raise Refusal(f"coordinates need two pixels a side, but a map is {h}x{w}; choose larger pictures, or "
                      "model.convolution=plain")  # fmt: skip
    across = torch.linspace(-1, 1, w, device=x.device, dtype=x.dtype).expand(h, w)
    down = torch.linspace(-1, 1, h, device=x.device, dtype=x.dtype)[:, None].expand(h, w)
    planes = [across, down, *([(across.square() + down.square()).sqrt()] if radius else [])]
    return torch.cat([x, torch.stack(planes).expand(len(x), -1, -1, -1)], 1)


class CoordinateConv(nn.Module):
    """`with_coordinates` in front of a convolution of two more channels, with PICNet's key `conv`."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(with_coordinates(x))
