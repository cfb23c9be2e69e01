"""Spatially probabilistic diversity normalisation: a coarse completion modulates less, the deeper in the hole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.log_spdnorm import LogSPDBlock
from scenegen.networks.layers.norm import SpectralConv2d, positional_norm
from scenegen.networks.layers.spade import nearest

HIDDEN = 128
"""Channels inside the modulations."""


def hard_map(visible: Tensor, *, rings: int, window: int) -> Tensor:
    """Confidence that falls with the distance from what is visible.

    Args:
        visible: (b, 1, h, w) 1 where the picture is known.
        rings: dilations of the visible part.
        window: side of the box that dilates, odd.

    Returns:
        (b, 1, h, w): 1 on visible pixels, e^-i on those that the i-th dilation reaches, e^-rings on the others.

    Source: Liu et al., CVPR 2021 (PD-GAN), section 3.2 (hard SPDNorm).
    """
    reached, found = visible, visible.clone()
    for ring in range(1, rings + 1):
        wider = F.max_pool2d(reached, window, stride=1, padding=window // 2)
        found = found + (wider - reached) * math.exp(-ring)
        reached = wider
    return found + (1 - reached) * math.exp(-rings)


def per_picture_norm(x: Tensor) -> Tensor:
    """Instance norm of (b, c, h, w); 0 on a map of one place, which torch's refuses."""
    var, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=0)
    return (x - mean) * (var + 1e-5).rsqrt()


class SPDNorm(nn.Module):
    """positional norm * (1 + gamma m) + beta m, gamma and beta of the coarse completion, m a confidence.

    Args:
        channels: of the map.

    Source: Liu et al., CVPR 2021 (PD-GAN), eq. 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp_activate = nn.Sequential(nn.Conv2d(3, HIDDEN, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(HIDDEN, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(HIDDEN, channels, 3, padding=1)

    def forward(self, x: Tensor, coarse: Tensor, confidence: Tensor) -> Tensor:
        """Modulate.

        Args:
            x: (b, c, h, w).
            coarse: (b, 3, h', w') the coarse completion in [-1, 1].
            confidence: (b, 1 or c, h, w) in [0, 1].
        """
        hidden = self.mlp_activate(nearest(coarse, x.shape[-2:]))  # (b, 128, h, w)
        gamma, beta = self.mlp_gamma(hidden), self.mlp_beta(hidden)  # (b, c, h, w)
        return positional_norm(x) * (1 + gamma * confidence) + beta * confidence


class SPDBlock(nn.Module):
    """Residual block of a branch of hard maps and a shortcut of soft ones.

    Args:
        channels, out: of input and result.
        rings, window: see `hard_map`.
        spectral: spectral norm on the three convolutions.

    Source: Liu et al., CVPR 2021 (PD-GAN), figure 3; keys of the released network.
    """

    def __init__(self, channels: int, out: int, *, rings: int, window: int, spectral: bool) -> None:
        super().__init__()
        conv, middle = (SpectralConv2d if spectral else nn.Conv2d), min(channels, out)
        self.rings, self.window = rings, window
        # in the files and never read: a parameter, and the window as a convolution that asks "is anything visible?"
        self.v = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.conv_0 = conv(channels, middle, 3, padding=1)
        self.conv_1 = conv(middle, out, 3, padding=1)
        self.conv_s = conv(channels, out, 1, bias=False)
        self.norm_0 = SPDNorm(channels)
        self.norm_1 = SPDNorm(middle)
        self.norm_s = SPDNorm(channels)
        self.mask_conv = nn.Module()
        self.mask_conv.mask_conv = nn.Conv2d(1, 1, window, padding=window // 2, bias=False).requires_grad_(False)
        self.conv_to_f = nn.ModuleDict(
            {"0": nn.Conv2d(3, HIDDEN, 3, padding=1), "3": nn.Conv2d(HIDDEN, channels, 3, padding=1)}
        )
        self.attention = nn.ModuleDict({"0": nn.Conv2d(2 * channels, channels, 3, padding=1)})

    def forward(self, x: Tensor, coarse: Tensor, visible: Tensor) -> Tensor:
        """Widen or narrow a map.

        Args:
            x: (b, channels, h, w).
            coarse: (b, 3, h', w').
            visible: (b, 1, h', w') 1 where the picture is known.

        Returns:
            (b, out, h, w).
        """
        size = x.shape[-2:]
        known = nearest(visible, size)
        hard = hard_map(known, rings=self.rings, window=self.window)  # (b, 1, h, w)
        soft = self.soft_map(x, coarse, known)  # (b, channels, h, w)
        shortcut = self.convolved(self.conv_s, self.norm_s, x, coarse, soft, slope=None)  # (b, out, h, w)
        y = self.convolved(self.conv_0, self.norm_0, x, coarse, hard, slope=0.2)  # (b, middle, h, w)
        y = self.convolved(self.conv_1, self.norm_1, y, coarse, hard, slope=0.2)  # (b, out, h, w)
        return shortcut + y

    def convolved(
        self, conv: nn.Module, norm: nn.Module, x: Tensor, coarse: Tensor, confidence: Tensor, *, slope: float | None
    ) -> Tensor:
        """A convolution of the modulated map, behind a leaky ReLU unless `slope` is None."""
        y = norm(x, coarse, confidence)
        return conv(y if slope is None else F.leaky_relu(y, slope))

    def soft_map(self, x: Tensor, coarse: Tensor, known: Tensor) -> Tensor:
        """(b, channels, h, w) confidence that is learnt in the hole, 1 where the picture is known."""
        small = nearest(coarse, x.shape[-2:])
        found = self.conv_to_f["3"](F.relu(per_picture_norm(self.conv_to_f["0"](small))))  # (b, channels, h, w)
        learnt = torch.sigmoid(self.attention["0"](torch.cat([found, x], 1)))  # (b, channels, h, w)
        return learnt * (1 - known) + known


class SPDUnit(nn.Module):
    """A block, then a transposed convolution to twice the size.

    Args:
        block: of this unit.
        channels, out: of the block's result and of the unit's.
    """

    def __init__(self, block: nn.Module, channels: int, out: int) -> None:
        super().__init__()
        self.block = block
        self.up = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)

    def forward(self, x: Tensor, coarse: Tensor, visible: Tensor) -> Tensor:
        return self.up(self.block(x, coarse, visible))  # (b, out, 2h, 2w)


def _released(channels: int, out: int, rings: int, window: int, spectral: bool) -> SPDUnit:
    return SPDUnit(SPDBlock(channels, out, rings=rings, window=window, spectral=spectral), out, out)


def _log(channels: int, out: int, rings: int, window: int, spectral: bool) -> SPDUnit:
    return SPDUnit(LogSPDBlock(channels), channels, out)


BLOCKS: dict[str, Callable[[int, int, int, int, bool], SPDUnit]] = {"released": _released, "log": _log}
"""Options of model.block: (channels, out, rings, window, spectral) -> a unit."""

DILATIONS: Sequence[tuple[int, int]] = ((2, 3), (3, 3), (4, 3), (5, 3), (6, 5), (7, 5))
"""Rings and window of each unit."""

WIDTHS = (16, 16, 16, 8, 4, 2, 1)
"""Channels before the first unit and after each, times the base width."""


class PdganGenerator(nn.Module):
    """Six units from a latent vector to a picture, modulated by a coarse completion.

    Args:
        ngf: base width.
        z: length of the latent.
        height, width: of the pictures, multiples of 64.
        spectral: spectral norm in the blocks of the release.
        block: "released", or "log": `LogSPDBlock` in its place.

    Source: Liu et al., CVPR 2021 (PD-GAN), section 3.1; keys of the released PDGAN.
    """

    def __init__(self, *, ngf: int, z: int, height: int, width: int, spectral: bool, block: str) -> None:
        super().__init__()
        if block not in BLOCKS:
            raise Refusal(f"model.block={block} is not one of {', '.join(BLOCKS)}")
        self.start = WIDTHS[0] * ngf, height // 64, width // 64
        self.fc = nn.Linear(z, math.prod(self.start))
        self.generated = nn.ModuleList(
            BLOCKS[block](a * ngf, b * ngf, rings, window, spectral)
            for a, b, (rings, window) in zip(WIDTHS[:-1], WIDTHS[1:], DILATIONS, strict=True)
        )
        self.conv_img = nn.Conv2d(ngf, 3, 3, padding=1)

    def forward(self, z: Tensor, coarse: Tensor, visible: Tensor) -> Tensor:
        """Paint.

        Args:
            z: (b, z).
            coarse: (b, 3, h, w) in [-1, 1].
            visible: (b, 1, h, w) 1 where the picture is known.

        Returns:
            (b, 3, h, w) in [-1, 1].
        """
        x = self.fc(z).view(-1, *self.start)  # (b, 16 ngf, h/64, w/64)
        for unit in self.generated:
            x = unit(x, coarse, visible)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))
