"""Diversity of several completions of one picture."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal


def pairwise_difference(made: Tensor, hole: Tensor) -> float:
    """Mean absolute difference in the hole, mean over all pairs of completions.

    Args:
        made: (n, c, h, w) uint8, n >= 2 completions of one picture.
        hole: (1, h, w) bool, with a hole.

    Returns:
        A number in [0, 1]; 0 where all completions are one.

    Raises:
        Refusal: fewer than two completions, or no hole.

    Source: the mean over pairs of Zhu et al., NIPS 2017 (BicycleGAN), section 5.2, with plain differences.
    """
    if len(made) < 2 or not hole.any():
        raise Refusal(f"diversity compares two completions of a hole or more, got {len(made)} and a hole of "
                      f"{int(hole.sum())} pixels")  # fmt: skip
    inside = made.double()[:, :, hole[0]] / 255  # (n, c, pixels)
    first, second = torch.triu_indices(len(made), len(made), offset=1)
    return float((inside[first] - inside[second]).abs().mean())
