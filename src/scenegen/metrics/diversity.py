"""Diversity of several pictures of one input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.fidelity import lpips


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
    first, second = _pairs(len(made))
    return float((inside[first] - inside[second]).abs().mean())


def pairwise_lpips(features: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Mean over all pairs of pictures of `fidelity.lpips`.

    Args:
        features: per layer (n, c, h, w), n >= 2 pictures of one input.
        heads: per layer (c,), at least 0.

    Returns:
        A scalar >= 0; 0 where all pictures are one.

    Raises:
        Refusal: fewer than two pictures.

    Source: Zhu et al., NIPS 2017 (BicycleGAN), section 5.2; of holes Zheng et al., CVPR 2019 (PICNet), section 4.2.
    """
    n = len(features[0])
    if n < 2:
        raise Refusal(
            f"diversity compares two results of one input or more, got {n}; sample with n_per_label=2 or more"
        )
    first, second = _pairs(n)
    return lpips([maps[first] for maps in features], [maps[second] for maps in features], heads).mean()


def _pairs(n: int) -> Tensor:
    """(2, n (n - 1) / 2) all pairs i < j."""
    return torch.triu_indices(n, n, offset=1)
