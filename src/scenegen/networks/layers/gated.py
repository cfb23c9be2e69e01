"""Gated convolutions: a second convolution of the same input opens and closes each value of the first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.layers.norm import SpectralConv2d


def gated(both: Tensor) -> Tensor:
    """First half of the channels through ELU, times the second half through a sigmoid.

    Args:
        both: (b, 2 c, h, w), one convolution's output.

    Returns:
        (b, c, h, w).

    Source: Yu et al., ICCV 2019 (free-form inpainting with gated convolution), eq. 3.
    """
    values, gates = both.chunk(2, 1)
    return F.elu(values) * torch.sigmoid(gates)


class GatedConv(nn.Conv2d):
    """`gated` of one convolution with twice the channels.

    Args:
        channels, out: of input and result.
        kernel: odd.
    """

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__(channels, 2 * out, kernel, padding=kernel // 2)

    def forward(self, input: Tensor) -> Tensor:
        return gated(super().forward(input))


class TwoGatedConvs(nn.Module):
    """LeakyReLU(0.2) of one spectrally normalised convolution times the sigmoid of another.

    A batch norm stands in the files and is never used.

    Args:
        channels, out: of input and result.
        kernel: odd.

    Source: the code behind the log's seed 000, with its keys.
    """

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv2d = SpectralConv2d(channels, out, kernel, padding=kernel // 2)
        self.mask_conv2d = SpectralConv2d(channels, out, kernel, padding=kernel // 2)
        self.batch_norm2d = nn.BatchNorm2d(out).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv2d(x), 0.2) * torch.sigmoid(self.mask_conv2d(x))
