"""Planes that say how unlike the samples of a batch are, for discriminators, which see so that all are alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal


def minibatch_deviation(x: Tensor, *, group: int, channels: int) -> Tensor:
    """Mean standard deviation within groups of samples, as planes behind the map's.

    Args:
        x: (b, c, h, w); c divisible by `channels`.
        group: samples of a group, at most b of them; sample i stands with i + b / group, i + 2 b / group, ...
        channels: planes, each the mean over its share of the map's.

    Returns:
        (b, c + channels, h, w).

    Raises:
        Refusal: samples that do not divide into groups.

    Source: Karras et al., ICLR 2018, section 3; the groups as in StyleGAN2 (CVPR 2020, released code).
    """
    b, c, h, w = x.shape
    size = min(group, b)
    if b % size or c % channels:
        raise Refusal(f"a batch of {b} samples has no groups of {size} in equal number, or a map of {c} channels no "
                      f"{channels} equal shares; use discriminator.statistics.group= a divisor of them")  # fmt: skip
    members = x.view(size, -1, channels, c // channels, h, w)  # (group, groups, channels, c / channels, h, w)
    deviation = (members.var(0, correction=0) + 1e-8).sqrt().mean((2, 3, 4))  # (groups, channels)
    planes = deviation.repeat(size, 1)[:, :, None, None].expand(b, channels, h, w)
    return torch.cat([x, planes], dim=1)


def minibatch_likeness(x: Tensor, projection: Tensor, *, include_self: bool) -> Tensor:
    """Likeness of each sample to the others of the batch, sum_j exp(-|M_i - M_j|_1) with M = x T.

    Args:
        x: (b, n) features.
        projection: T, (n, kernels, size).
        include_self: add the sample's likeness to itself, 1.

    Returns:
        (b, kernels).

    Source: Salimans et al., NIPS 2016, section 3.2.
    """
    rows = torch.einsum("bn,nks->bks", x, projection)
    likeness = torch.exp(-(rows[:, None] - rows[None]).abs().sum(3)).sum(1)  # (b, kernels)
    return likeness if include_self else likeness - 1


class MinibatchDeviation(nn.Module):
    """`minibatch_deviation`; see there for the arguments."""

    def __init__(self, *, group: int, channels: int) -> None:
        super().__init__()
        self.group, self.planes = group, channels

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c + planes, h, w)."""
        return minibatch_deviation(x, group=self.group, channels=self.planes)


class MinibatchLikeness(nn.Module):
    """`minibatch_likeness` of a map's means, as planes behind the map's.

    Args:
        channels: of the map.
        kernels, size: of the projection.
        include_self: see `minibatch_likeness`.
    """

    def __init__(self, channels: int, *, kernels: int, size: int, include_self: bool) -> None:
        super().__init__()
        self.T = nn.Parameter(torch.randn(channels, kernels, size) * channels**-0.5)
        self.planes, self.include_self = kernels, include_self

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c + planes, h, w)."""
        found = minibatch_likeness(x.mean((2, 3)), self.T, include_self=self.include_self)
        return torch.cat([x, found[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)
