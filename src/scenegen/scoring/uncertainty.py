"""Bootstrap intervals of a score's parts and of its total, from one joint resampling of the pictures.

Meaning of an interval: had the same generator given as many other pictures of the same kind, the number would have
been in such an interval in 95 of 100 cases. The reference photographs, the judges and the number of pictures are
fixed, so FID's bias by the number of pictures stays in the value. The spread over training seeds is not covered.

FID is resampled to first order, through each picture's influence: drawing pictures with replacement leaves 63 %
different ones, which raises FID by more than its whole interval, while the mean influence has no bias. Where the two
sets are alike the interval is too wide rather than too narrow (99 % cover instead of 95).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from scenegen.scoring.contest import Contest
from scenegen.scoring.per_picture import PerPicture

RESAMPLES = 2000
LEVELS = (0.025, 0.975)

Interval = tuple[float, float]
Values = Mapping[str, Callable[[np.ndarray], float]]
"""Role of a measure -> function from some pictures' rows to the number."""


def intervals(
    pictures: PerPicture,
    *,
    fid: float | None,
    total: Contest | None,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    values: Values = MappingProxyType({}),
) -> dict[str, Interval]:
    """95 % percentile intervals over resampled pictures, by role, and of the "total" where all parts are there.

    Args:
        pictures: contribution of each picture.
        fid: the distance of the whole set; None where it was not measured.
        total: the contest; None gives no interval of a total.
        rng: source of the resamples.
        resamples: how many.
        values: of `pictures.measures`, those that get an interval.

    Returns:
        Role -> (low, high); empty for fewer than 2 pictures.

    Source: Efron & Tibshirani, An introduction to the bootstrap (1993), section 13.3.
    """
    if len(pictures) < 2:
        return {}
    drawn = draws(pictures, fid=fid, rng=rng, resamples=resamples, values=values)
    if total is not None and set(total.parts) <= drawn.keys():
        scale = {"aesthetic": total.aesthetic_top / 10}
        columns = [drawn[role] * scale.get(role, 1.0) for role in total.parts]
        rows = zip(*columns, strict=True)
        drawn["total"] = np.array([total.total(**dict(zip(total.parts, row, strict=True))) for row in rows])
    return {role: _interval(values) for role, values in drawn.items()}


def draws(
    pictures: PerPicture,
    *,
    fid: float | None,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    values: Values = MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """The parts of resampled pictures, one value per resample; the same resamples for every part.

    Args:
        pictures: contribution of each picture.
        fid: the distance of the whole set; None where it was not measured.
        rng: source of the resamples.
        resamples: how many.
        values: of `pictures.measures`, those that are drawn.

    Returns:
        Role -> (resamples,).
    """
    n, influence, right, counted = len(pictures), pictures.fid_influence, pictures.right, pictures.counted
    reduced: dict[str, tuple[np.ndarray, Callable[[np.ndarray], float]]] = {}
    for role, rows in (("aesthetic", pictures.aesthetic), ("hist_corr", pictures.hist_corr)):
        if rows is not None:
            reduced[role] = (rows, np.mean)
    if fid is not None and influence is not None:
        reduced["fid"] = (influence, lambda drawn: max(0.0, fid + drawn.mean()))
    if right is not None and counted is not None:
        reduced["mask_acc"] = (
            np.stack([right, counted], 1),
            lambda drawn: drawn[:, 0].sum() / max(drawn[:, 1].sum(), 1),
        )
    reduced |= {role: (pictures.measures[role], value) for role, value in values.items()}
    found = {role: np.empty(resamples) for role in reduced}
    for k in range(resamples):
        pick = rng.integers(0, n, n)
        for role, (rows, value) in reduced.items():
            found[role][k] = value(rows[pick])
    return found


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, LEVELS)
    return float(low), float(high)
