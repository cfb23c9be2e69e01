"""Learnt enlarging of a map: sub-pixel convolution with ICNR, and convolution behind a nearest enlarging."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def icnr(kernels: Tensor, *, factor: int) -> Tensor:
    """Weights of a sub-pixel convolution whose result is that of `kernels`, enlarged by nearest neighbours.

    Args:
        kernels: (out, channels, k, k).
        factor: of the enlarging.

    Returns:
        (out * factor^2, channels, k, k), each kernel repeated factor^2 times.

    Source: Aitken et al. 2017 (checkerboard artifact free sub-pixel convolution), section 3.
    """
    return kernels.repeat_interleave(factor**2, 0)


class Enlarging(nn.Conv2d):
    """Base of both: a 3x3 convolution that draws its own start, uniform within 1 / sqrt(fan in)."""

    @torch.no_grad()
    def reset(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew; the bias becomes zero."""
        bound = self.weight[0].numel() ** -0.5
        self.weight.uniform_(-bound, bound, generator=generator)
        if self.bias is not None:
            self.bias.zero_()


class PixelShuffled(Enlarging):
    """A convolution to four times the channels, whose groups of four become 2x2 pixels.

    Args:
        channels: of the map.
        nearest_start: start as a nearest enlarging (ICNR), without the checkerboard of a random start.

    Source: Shi et al., CVPR 2016 (sub-pixel convolution), section 3.2.
    """

    def __init__(self, channels: int, *, nearest_start: bool) -> None:
        self.nearest_start = nearest_start
        super().__init__(channels, 4 * channels, 3, padding=1)

    @torch.no_grad()
    def reset(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew, with ICNR where it is asked for."""
        super().reset(generator)
        if self.nearest_start:
            self.weight.copy_(icnr(self.weight[::4].clone(), factor=2))

    def forward(self, input: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, channels, 2 h, 2 w)."""
        return F.pixel_shuffle(super().forward(input), 2)


class ResizeConv(Enlarging):
    """A nearest enlarging, then a convolution.

    Args:
        channels: of the map.

    Source: Odena et al., Distill 2016 (deconvolution and checkerboard artifacts).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, channels, 2 h, 2 w)."""
        return super().forward(F.interpolate(input, scale_factor=2, mode="nearest"))
