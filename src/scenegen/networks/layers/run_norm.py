"""Group norm over equal runs of a sample's values, also where the groups do not divide the channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal


class RunNorm(nn.Module):
    """Values of each run less their mean, over the root of their unbiased variance, times a scale, plus a shift.

    A run is an equal share of a sample's c h w values in memory order: of 131 channels in 32 groups it cuts channels,
    where torch.nn.GroupNorm refuses; where it does not, torch's variance is biased.

    Args:
        channels: of the maps.
        groups: runs per sample.

    Source: the code behind the log's seed 000, with its shapes (1, c, 1, 1).
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (b, channels, h, w).

        Raises:
            Refusal: where the values of a sample do not divide into the groups, or each would have one.
        """
        count = x[0].numel()
        if count % self.groups or count < 2 * self.groups:
            raise Refusal(f"{self.groups} groups of two values or more do not divide a sample's {tuple(x.shape[1:])} "
                          "values; choose larger pictures, or model.norm=group")  # fmt: skip
        runs = x.reshape(len(x), self.groups, -1)  # (b, groups, values)
        var, mean = torch.var_mean(runs, dim=2, keepdim=True, correction=1)
        return ((runs - mean) * (var + 1e-5).rsqrt()).view_as(x) * self.weight + self.bias
