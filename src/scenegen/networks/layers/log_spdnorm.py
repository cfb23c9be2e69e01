"""SPDNorm as the log rebuilt it: it differs from PD-GAN's in five points, each of which is said where it stands."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RINGS = 2
BASE = 4.0
"""Ring i of the hard map has confidence 4^-i; PD-GAN's has e^-i."""


def ring_map(visible: Tensor, *, rings: int, base: float) -> Tensor:
    """1 on visible pixels, base^-i on those that the i-th 3x3 dilation reaches, 0 on the others (PD-GAN: e^-rings).

    Args:
        visible: (b, 1, h, w) 1 where the picture is known.
        rings: dilations.
        base: above 1.
    """
    reached, found = visible, visible.clone()
    for ring in range(1, rings + 1):
        wider = F.max_pool2d(reached, 3, stride=1, padding=1)
        found, reached = found + (wider - reached) * base**-ring, wider
    return found


def whole_norm(x: Tensor) -> Tensor:
    """x less its mean over the root of its squared variance, both of all values, batch included (PD-GAN: per pixel)."""
    var, mean = torch.var_mean(x, correction=1)
    return (x - mean) * (var.square() + 1e-5).rsqrt()


class LogSPDNorm(nn.Module):
    """norm * gamma m + beta m, gamma and beta 1x1 convolutions of the coarse picture (PD-GAN: 1 + gamma m, an MLP).

    Args:
        channels: of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma_conv = nn.Conv2d(3, channels, 1)
        self.beta_conv = nn.Conv2d(3, channels, 1)

    def forward(self, normed: Tensor, coarse: Tensor, confidence: Tensor) -> Tensor:
        """Modulate a normalised map (b, c, h, w) by a picture and a confidence of its size."""
        return (normed * self.gamma_conv(coarse) + self.beta_conv(coarse)) * confidence


class SoftLogSPDNorm(LogSPDNorm):
    """`LogSPDNorm` with a learnt confidence, sigmoid(f (1 - m) + m): 0.73 where the picture is known (PD-GAN: 1).

    Args:
        channels: of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.p_conv = nn.Conv2d(3, channels, 1)
        self.f_conv = nn.Conv2d(2 * channels, 1, 1)

    def soft(self, normed: Tensor, coarse: Tensor, visible: Tensor) -> Tensor:
        """(b, 1, h, w) the confidence."""
        f = self.f_conv(torch.cat([self.p_conv(coarse), normed], 1))
        return torch.sigmoid(f * (1 - visible) + visible)


class LogSPDBlock(nn.Module):
    """Two hard modulations, each before a 3x3 convolution, plus one soft; ReLU after each modulation.

    Args:
        channels: of input and result.
        rings, base: see `ring_map`; 2 and 4 in the log.

    Source: the code behind the log's seed 000, with its keys.
    """

    def __init__(self, channels: int, *, rings: int = RINGS, base: float = BASE) -> None:
        super().__init__()
        self.rings, self.base = rings, base
        self.HardSPDNorm = LogSPDNorm(channels)
        self.SoftSPDNorm = SoftLogSPDNorm(channels)
        self.Conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.Conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.Conv3 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, coarse: Tensor, visible: Tensor) -> Tensor:
        """Modulate.

        Args:
            x: (b, channels, h, w).
            coarse: (b, 3, h 2^n, w 2^n), averaged down to x's size.
            visible: (b, 1, h 2^n, w 2^n), brought down by maxima: a place with any known pixel is known.

        Returns:
            (b, channels, h, w).
        """
        factor = coarse.shape[-1] // x.shape[-1]
        coarse, known = F.avg_pool2d(coarse, factor), F.max_pool2d(visible, factor)
        hard, normed = ring_map(known, rings=self.rings, base=self.base), whole_norm(x)
        y = self.Conv1(F.relu(self.HardSPDNorm(normed, coarse, hard)))
        y = self.Conv2(F.relu(self.HardSPDNorm(whole_norm(y), coarse, hard)))
        soft = self.SoftSPDNorm.soft(normed, coarse, known)
        return y + self.Conv3(F.relu(self.SoftSPDNorm(normed, coarse, soft)))
