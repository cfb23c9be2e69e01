"""Bootstrap intervals of a score's parts and of its total, from one joint resampling of the pictures.

What an interval means: had the same generator given as many other pictures of the same kind, the number would have
been in such an interval in 95 of 100 cases. The reference photographs, the judges and the number of pictures stay as
they are, so what depends on the number of pictures (FID's bias) stays in the value; that the pictures were made by
one training run of one seed is not in it either.

FID is resampled to first order, through each picture's influence: drawing pictures with replacement leaves 63 %
different ones, which raises FID by more than its whole interval, while the mean influence has no bias. Where the two
sets are alike the interval is too wide rather than too narrow (99 % cover instead of 95).
"""

from __future__ import annotations

import numpy as np

from scenegen.scoring.contest import Contest
from scenegen.scoring.per_picture import PerPicture

RESAMPLES = 2000
LEVELS = (0.025, 0.975)

Interval = tuple[float, float]


def intervals(
    pictures: PerPicture, *, fid: float, total: Contest, rng: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """95 % percentile intervals over resampled pictures, by role, and of the "total" where all parts are there.

    Args:
        pictures: what each picture contributed.
        fid: the distance of the whole set.
        total: the contest.
        rng: source of the resamples.
        resamples: how many.

    Returns:
        Role -> (low, high); empty for fewer than 2 pictures.

    Source: Efron & Tibshirani, An introduction to the bootstrap (1993), section 13.3.
    """
    if len(pictures) < 2:
        return {}
    drawn = draws(pictures, fid=fid, rng=rng, resamples=resamples)
    if set(total.parts) <= drawn.keys():
        scale = {"aesthetic": total.aesthetic_top / 10}
        columns = [drawn[role] * scale.get(role, 1.0) for role in total.parts]
        rows = zip(*columns, strict=True)
        drawn["total"] = np.array([total.total(**dict(zip(total.parts, row, strict=True))) for row in rows])
    return {role: _interval(values) for role, values in drawn.items()}


def draws(
    pictures: PerPicture, *, fid: float, rng: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, np.ndarray]:
    """The parts of resampled pictures, one value per resample; the same resamples for every part.

    Args:
        pictures: what each picture contributed.
        fid: the distance of the whole set.
        rng: source of the resamples.
        resamples: how many.

    Returns:
        Role -> (resamples,).
    """
    n = len(pictures)
    means: dict[str, np.ndarray | None] = {"aesthetic": pictures.aesthetic, "hist_corr": pictures.hist_corr}
    found = {role: np.empty(resamples) for role, values in means.items() if values is not None}
    found["fid"] = np.empty(resamples)
    if pictures.right is not None:
        found["mask_acc"] = np.empty(resamples)
    for k in range(resamples):
        pick = rng.integers(0, n, n)
        for role, values in means.items():
            if values is not None:
                found[role][k] = values[pick].mean()
        found["fid"][k] = max(0.0, fid + pictures.fid_influence[pick].mean())
        if pictures.right is not None and pictures.counted is not None:
            found["mask_acc"][k] = pictures.right[pick].sum() / max(pictures.counted[pick].sum(), 1)
    return found


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, LEVELS)
    return float(low), float(high)
