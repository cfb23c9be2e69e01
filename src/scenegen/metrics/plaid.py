"""Plaid: grid lines of small periods, as a generator's upsampling leaves them where a label is constant."""

from __future__ import annotations

import torch
from torch import Tensor

SIDE = 32
"""Differences a square; grid lines of periods 2, 4, 8 and 16 stand at its even frequencies alone."""

PERIODS = (2, 4, 8, 16)


def plaid_of(image: Tensor, label: Tensor, *, ignore: int | None = None) -> Tensor:
    """Strength of grid lines in the squares of one label.

    Each square's profile along x (and along y) is differenced, which makes the spectrum of a natural texture level: its
    power at a grid's frequency is about that of the frequencies beside it. A grid adds power at its own. The logarithm
    keeps a few strong squares from speaking for all.

    Args:
        image: (b, 3, h, w) in [0, 255].
        label: (b, h, w) int64 ids.
        ignore: id that means "unknown", whose squares are left out.

    Returns:
        (b, 2) float64: sum over squares and axes of log2(power at a grid's frequency / power beside it), mean over the
        periods, and the number of summands; (0, 0) where no square has one label.
    """
    grey = image.double().mean(1)  # (b, h, w)
    ids = _squares(label)  # (b, n, 33, 33)
    flat = (ids == ids[..., :1, :1]).flatten(2).all(-1)  # (b, n)
    if ignore is not None and ids.shape[1]:
        flat &= ids[..., 0, 0] != ignore
    squares = _squares(grey)
    ratios = torch.stack([_excess(squares.mean(axis)) for axis in (-2, -1)], -1)  # (b, n, 2)
    return torch.stack([(ratios * flat[..., None]).sum((1, 2)), 2.0 * flat.sum(1)], 1)


def _excess(profile: Tensor) -> Tensor:
    """log2 of a profile's power at a grid's frequency over that beside it, mean over the periods; profile (..., 33)."""
    power = torch.fft.rfft(profile.diff()).abs().square() + 1e-2  # (..., 17); a flat square says nothing
    places = [SIDE // period for period in PERIODS]
    beside = [power[..., [place - 1, min(place + 1, SIDE - place - 1)]].mean(-1) for place in places]
    return torch.stack([(power[..., at] / near).log2() for at, near in zip(places, beside, strict=True)], -1).mean(-1)


def _squares(plane: Tensor) -> Tensor:
    """(b, h, w) -> (b, n, 33, 33), half overlapping, from the picture's corner on; n is 0 for smaller pictures."""
    if min(plane.shape[-2:]) <= SIDE:
        return plane.new_zeros((len(plane), 0, SIDE + 1, SIDE + 1))
    return plane.unfold(1, SIDE + 1, SIDE // 2).unfold(2, SIDE + 1, SIDE // 2).flatten(1, 2)
