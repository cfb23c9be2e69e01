"""A score is a record, not a float: values with intervals, what judged them, and the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Measure:
    """One number of a score.

    Attributes:
        name: as it may be shown, e.g. "FID(scenenet)".
        value: the number.
        count: pictures behind it.
        judge: stamp of what measured it.
        interval: 95 % bootstrap interval over the pictures, or None.
    """

    name: str
    value: float
    count: int
    judge: str
    interval: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        interval = list(self.interval) if self.interval else None
        return {"value": self.value, "interval95": interval, "count": self.count, "judge": self.judge}


@dataclass(frozen=True)
class Score:
    """What a folder of generated pictures is worth.

    Attributes:
        scorer: name of the total.
        total: the total, or None when a part is not measured.
        parts: by role ("mask_acc", "aesthetic", "hist_corr", "fid").
        pictures: how many were scored.
        picture_acc: mean of the per-picture accuracies, or None without a segmenter.
        iou: per class its IoU and share of the label maps' pixels, classes that occur only.
        mean_iou: mean over the classes that occur, or None without a segmenter.
        floor: the Frechet distance between real and real pictures, or None when there are too few.
        marks: what must stand beside every number.
        warnings: about the files.
        protocol: see `scoring.protocol`.
    """

    scorer: str
    total: float | None
    parts: dict[str, Measure]
    pictures: int
    protocol: dict[str, Any]
    picture_acc: float | None = None
    iou: dict[str, tuple[float, float]] = field(default_factory=dict)
    mean_iou: float | None = None
    floor: Measure | None = None
    marks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_metrics(self) -> dict[str, float]:
        """For loggers: the total and its parts, by role."""
        values = {f"score/{role}": measure.value for role, measure in self.parts.items()}
        return values if self.total is None else {"score/total": self.total, **values}

    def as_dict(self) -> dict[str, Any]:
        """For JSON: parts stand under the name that they may be shown by."""
        return {
            "scorer": self.scorer,
            "total": self.total,
            "marks": list(self.marks),
            "warnings": list(self.warnings),
            "pictures": self.pictures,
            "parts": {measure.name: measure.as_dict() for measure in self.parts.values()},
            "floor": {self.floor.name: self.floor.as_dict()} if self.floor else None,
            "picture_acc": self.picture_acc,
            "mean_iou": self.mean_iou,
            "iou": {name: iou for name, (iou, _) in self.iou.items()},
            "pixels": {name: share for name, (_, share) in self.iou.items()},
            "protocol": self.protocol,
        }


def bootstrap_interval(
    top: np.ndarray, bottom: np.ndarray, *, rng: np.random.Generator, resamples: int = 2000
) -> tuple[float, float] | None:
    """95 % percentile interval of sum(top) / sum(bottom) over resampled pictures.

    Args:
        top, bottom: (n,) per picture, e.g. right pixels and counted pixels, or marks and ones.
        rng: source of the resamples.
        resamples: how many.

    Returns:
        (low, high), or None for fewer than 2 pictures.

    Source: Efron & Tibshirani, An introduction to the bootstrap (1993), section 13.3.
    """
    n = len(top)
    if n < 2:
        return None
    values = np.empty(resamples)
    for k in range(resamples):
        pick = rng.integers(0, n, n)
        values[k] = top[pick].sum() / max(bottom[pick].sum(), 1e-300)
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
