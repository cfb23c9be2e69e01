"""Record of a score: values with intervals, the stamps of their judges, and the protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from scenegen.metrics.synonyms import Confusion
from scenegen.scoring.gains import Gain
from scenegen.scoring.per_picture import PerPicture

Better = Literal["higher", "lower"]
"""Direction in which a number improves."""


@dataclass(frozen=True)
class Number:
    """One number of a score.

    Attributes:
        name: as it may be shown, e.g. "FID(scenenet)".
        value: the number.
        count: pictures behind it.
        judge: stamp of the judge or measure that gave it.
        interval: 95 % bootstrap interval over the pictures, or None.
        better: direction in which it improves; None where neither is better.
    """

    name: str
    value: float
    count: int
    judge: str
    interval: tuple[float, float] | None = None
    better: Better | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        interval = list(self.interval) if self.interval else None
        own = {"value": self.value, "interval95": interval, "count": self.count, "judge": self.judge}
        return own if self.better is None else own | {"better": self.better}


@dataclass(frozen=True)
class Score:
    """Score of a folder of generated pictures.

    Attributes:
        scorer: name of the total, or None where measures were asked for alone.
        total: the total, or None when a part is not measured or no total was asked for.
        parts: every measure by role, those of the total ("mask_acc", "aesthetic", "hist_corr", "fid") first.
        pictures: number of scored pictures.
        picture_acc: mean of the per-picture accuracies, or None without a segmenter.
        iou: per class its IoU and share of the label maps' pixels, classes that occur only.
        mean_iou: mean over the classes that occur, or None without a segmenter.
        floor: the Frechet distance between real and real pictures, or None when there are too few.
        marks: cautions that must stand beside every number.
        warnings: cautions about the files.
        protocol: see `scoring.protocol`.
        per_picture: contribution of each picture; kept in a file beside the record, not in it.
        total_interval: 95 % interval of the total, see `scoring.uncertainty`.
        beside: by role ("kid", "fid_infinity"), distances that are no part of the total.
        waterfall: role -> gain of a step in that part, the largest first.
        synonyms: confusion of near-synonym classes, by group.
        forgiving_acc: mask_acc if confusions inside the groups were right, or None without a segmenter.
    """

    scorer: str | None
    total: float | None
    parts: dict[str, Number]
    pictures: int
    protocol: dict[str, Any]
    per_picture: PerPicture = field(repr=False, compare=False)
    total_interval: tuple[float, float] | None = None
    beside: dict[str, Number] = field(default_factory=dict)
    waterfall: dict[str, Gain] = field(default_factory=dict)
    synonyms: dict[str, Confusion] = field(default_factory=dict)
    forgiving_acc: float | None = None
    picture_acc: float | None = None
    iou: dict[str, tuple[float, float]] = field(default_factory=dict)
    mean_iou: float | None = None
    floor: Number | None = None
    marks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_metrics(self) -> dict[str, float]:
        """For loggers: the total and every measure, by role."""
        values = {f"score/{role}": part.value for role, part in self.parts.items()}
        return values if self.total is None else {"score/total": self.total, **values}

    def as_dict(self) -> dict[str, Any]:
        """For JSON: parts stand under the name that they may be shown by."""
        return {
            "scorer": self.scorer,
            "total": self.total,
            "total_interval95": list(self.total_interval) if self.total_interval else None,
            "marks": list(self.marks),
            "warnings": list(self.warnings),
            "pictures": self.pictures,
            "parts": {part.name: part.as_dict() for part in self.parts.values()},
            "beside": {part.name: part.as_dict() for part in self.beside.values()},
            "floor": {self.floor.name: self.floor.as_dict()} if self.floor else None,
            "waterfall": {role: gain.as_dict() for role, gain in self.waterfall.items()},
            "picture_acc": self.picture_acc,
            "forgiving_acc": self.forgiving_acc,
            "synonyms": {name: {**asdict(group), "outside": group.outside} for name, group in self.synonyms.items()},
            "mean_iou": self.mean_iou,
            "iou": {name: iou for name, (iou, _) in self.iou.items()},
            "pixels": {name: share for name, (_, share) in self.iou.items()},
            "protocol": self.protocol,
        }
