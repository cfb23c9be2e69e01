"""Haar terms: HaarPSI, piq's perceptual index, and L1 on the sub-bands of the Haar wavelet transform.

Family: Pictures
"""

from __future__ import annotations

import math

import piq
import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import clamped, pair, unit_pair

POWERS = {1: torch.abs, 2: torch.square}
LEAST_SIDE = 16  # twice the largest of the three filters


def haarpsi(x: Tensor, y: Tensor, *, subsample: bool = True, c: float = 30.0, alpha: float = 4.2) -> Tensor:
    """1 - HaarPSI, by piq 0.8, which is right for its three scales (and wrong for another number of them).

    Two things are mended around it: it stops at 1.0001, so pictures are clamped to [0, 1]; and two black
    pictures, which weigh nothing anywhere, give infinity there: they are lifted by 1, which makes them equal
    white ones.

    Args:
        x, y: (b, 3, h, w) in [0, 1], the generated and the target picture, at least 16 pixels a side.
        subsample: averages 2x2 pixels first, as seen from a distance.
        c: constant of the similarity, of coefficients in 0..255.
        alpha: slope of the logistic curve.

    Returns:
        A scalar in [0, 1]; 0 within 1e-5 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size or are too small.

    Source: Reisenhofer et al., Signal Processing: Image Communication 2018, eqs. 6-11.
    """
    refuse_unlike(x, y, term="haar", where="the pixels")
    h, w = x.shape[-2:]
    if min(h, w) < LEAST_SIDE:
        raise Refusal(f"loss.haar needs at least {LEAST_SIDE} pixels a side, but has {h}x{w} pictures")
    x, y = clamped(x), clamped(y)
    with torch.autocast(x.device.type, enabled=False):
        black = torch.maximum(x, y).detach().amax((1, 2, 3), keepdim=True) < 1e-6
        x, y = clamped(x + black), clamped(y + black)
        return 1 - piq.haarpsi(x, y, subsample=subsample, c=c, alpha=alpha)


class HaarPsi(Term):
    """`haarpsi` of pictures brought to [0, 1].

    Args:
        subsample, c, alpha: see `haarpsi`.
        target: "real" or "exemplar".

    Formula: 1 - HaarPSI = 1 - logit(sum(w l) / sum(w))^2 / alpha^2, l = logistic(alpha likeness), w the coarsest
        coefficients
    Range: pictures in [-1, 1], brought to [0, 1]; in [0, 1], 0 within 1e-5 for equal pictures
    """

    def __init__(self, *, subsample: bool, c: float, alpha: float, target: str) -> None:
        super().__init__()
        if not 0 < c < math.inf or not 0 < alpha < math.inf:
            raise Refusal(f"loss.haar needs c > 0 and alpha > 0, but has {c=}, {alpha=}")
        self.needs = target_needs(target, term="haar")
        self.subsample, self.c, self.alpha, self.target = subsample, c, alpha, target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = unit_pair(evidence, self.target, term="haar")
        return haarpsi(x, y, subsample=self.subsample, c=self.c, alpha=self.alpha)


def haar_bands(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One level of the orthonormal Haar transform: mean, and row, column and diagonal differences.

    Args:
        x: (b, c, h, w), h and w even.

    Returns:
        LL, H (top minus bottom), V (left minus right) and D, each (b, c, h/2, w/2).

    Source: Mallat, TPAMI 1989; PyWavelets' cA, cH, cV, cD.
    """
    top, bottom = x[..., ::2, :] + x[..., 1::2, :], x[..., ::2, :] - x[..., 1::2, :]
    (low, v), (h, d) = ((row[..., ::2] + row[..., 1::2], row[..., ::2] - row[..., 1::2]) for row in (top, bottom))
    return low / 2, h / 2, v / 2, d / 2


def haar_l1(x: Tensor, y: Tensor, *, levels: int = 3, power: int = 1, detail: float = 1.0, low: float = 1.0) -> Tensor:
    """Mean size of each sub-band of the difference, summed over bands and levels.

    Args:
        x, y: (b, c, h, w) of any range, the generated and the target picture, h and w divisible by 2^levels.
        levels: number of splits of the low band.
        power: 1 (absolute) or 2 (square).
        detail: weight of each of the 3 levels detail bands.
        low: weight of the last low band; 0 leaves mean colours free.

    Returns:
        A scalar >= 0; 0 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size or cannot be halved so often.
    """
    refuse_unlike(x, y, term="haar_l1", where="the pixels")
    h, w = x.shape[-2:]
    if h % 2**levels or w % 2**levels:
        raise Refusal(
            f"loss.haar_l1.levels={levels} needs sides divisible by {2**levels}, but has {h}x{w} pictures; "
            f"use fewer levels"
        )
    size, rest, values = POWERS[power], full_precision(x) - full_precision(y), []
    for _ in range(levels):
        rest, *details = haar_bands(rest)
        values += [detail * size(band).mean() for band in details]
    return torch.stack([*values, low * size(rest).mean()]).sum()


class HaarL1(Term):
    """`haar_l1` on pictures in [-1, 1].

    Args:
        levels, power, detail, low: see `haar_l1`.
        target: "real" or "exemplar".

    Formula: sum over levels and sub-bands B of mean(abs(B(x) - B(y)))
    Range: pictures in [-1, 1]; >= 0, 0 for equal pictures
    Source: the transform, Mallat, TPAMI 1989; the sum is this project's reading of the log's "haar loss".
    """

    def __init__(self, *, levels: int, power: int, detail: float, low: float, target: str) -> None:
        super().__init__()
        if levels < 1:
            raise Refusal(f"loss.haar_l1.levels={levels} is not a number >= 1")
        if power not in POWERS:
            raise Refusal(f"power={power} of loss.haar_l1 is not one of {', '.join(map(str, POWERS))}")
        if not 0 <= detail < math.inf or not 0 <= low < math.inf or detail == low == 0:
            raise Refusal(f"loss.haar_l1 needs weights >= 0, not both 0, but has {detail=}, {low=}")
        self.needs = target_needs(target, term="haar_l1")
        self.levels, self.power, self.detail, self.low, self.target = levels, power, detail, low, target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = pair(evidence, self.target, term="haar_l1")
        return haar_l1(x, y, levels=self.levels, power=self.power, detail=self.detail, low=self.low)
