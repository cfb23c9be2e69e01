"""The totals of the Jittor landscape contests, and the check of a table of rows against them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from scenegen.base.documents import read_table
from scenegen.base.refusal import Refusal

TOLERANCE = 1e-4
"""Published rows carry four decimals, some of them cut off rather than rounded."""


def jittor2022(*, mask_acc: float, aesthetic: float, fid: float) -> float:
    """Total of the 2022 contest, track 1 (A board).

    Args:
        mask_acc: pixel accuracy in [0, 1].
        aesthetic: mean mark in [0, 10].
        fid: at least 0; above 100 counts as 100.

    Returns:
        mask_acc * (aesthetic / 10 + (100 - min(fid, 100)) / 100) / 2, in [0, 1].

    Raises:
        Refusal: a value out of its range.

    Source: the contest's rules; reproduces the 62 online rows of the log.
    """
    _require(mask_acc=(mask_acc, 0, 1), aesthetic=(aesthetic, 0, 10), fid=(fid, 0, math.inf))
    return mask_acc * (aesthetic / 10 + (100 - min(fid, 100)) / 100) / 2


def jittor2023(*, mask_acc: float, aesthetic: float, hist_corr: float, fid: float) -> float:
    """Total of the 2023 contest, track 1 (A board).

    Args:
        mask_acc: pixel accuracy in [0, 1].
        aesthetic: mean mark in [0, 1], a tenth of 2022's.
        hist_corr: correlation of the colour histograms with the style picture, in [-1, 1].
        fid: at least 0; above 100 counts as 100.

    Returns:
        mask_acc * (0.2 aesthetic + 0.3 (0.5 hist_corr + 0.5) + 0.5 (100 - min(fid, 100)) / 100), in [0, 1].

    Raises:
        Refusal: a value out of its range.

    Source: the contest's rules.
    """
    _require(
        mask_acc=(mask_acc, 0, 1), aesthetic=(aesthetic, 0, 1), hist_corr=(hist_corr, -1, 1), fid=(fid, 0, math.inf)
    )
    style, realism = 0.5 * hist_corr + 0.5, (100 - min(fid, 100)) / 100
    return mask_acc * (0.2 * aesthetic + 0.3 * style + 0.5 * realism)


class Contest(Protocol):
    """Interface of a contest's total: its name, its parts, the top of its aesthetic scale, and its formula."""

    name: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]
    aesthetic_top: ClassVar[float]

    @property
    def bins(self) -> int | None:
        """Bins per channel of the histogram correlation; None where the total has none."""
        ...

    def total(self, **parts: float) -> float:
        """The total of the named parts."""
        ...

    def slopes(self, **parts: float) -> dict[str, float]:
        """The partial derivative of the total by every part."""
        ...


@dataclass(frozen=True)
class Jittor2022:
    """`jittor2022` as a choice of the scorer."""

    name: ClassVar[str] = "jittor2022"
    parts: ClassVar[tuple[str, ...]] = ("mask_acc", "aesthetic", "fid")
    aesthetic_top: ClassVar[float] = 10.0

    @property
    def bins(self) -> int | None:
        """This total reads no histogram."""
        return None

    def total(self, **parts: float) -> float:
        """See `jittor2022`."""
        return jittor2022(**parts)

    def slopes(self, **parts: float) -> dict[str, float]:
        """Exact partial derivatives; FID's is 0 from 100 on."""
        mask_acc, fid = parts["mask_acc"], parts["fid"]
        quality = parts["aesthetic"] / 10 + (100 - min(fid, 100)) / 100
        return {"mask_acc": quality / 2, "aesthetic": mask_acc / 20, "fid": -mask_acc / 200 * (fid < 100)}


@dataclass(frozen=True)
class Jittor2023:
    """`jittor2023` as a choice of the scorer.

    Attributes:
        bins: bins per channel of the colour histograms; the contest did not publish its own.
    """

    bins: int
    name: ClassVar[str] = "jittor2023"
    parts: ClassVar[tuple[str, ...]] = ("mask_acc", "aesthetic", "hist_corr", "fid")
    aesthetic_top: ClassVar[float] = 1.0

    def total(self, **parts: float) -> float:
        """See `jittor2023`."""
        return jittor2023(**parts)

    def slopes(self, **parts: float) -> dict[str, float]:
        """Exact partial derivatives; FID's is 0 from 100 on."""
        mask_acc, fid = parts["mask_acc"], parts["fid"]
        style, realism = 0.5 * parts["hist_corr"] + 0.5, (100 - min(fid, 100)) / 100
        return {
            "mask_acc": 0.2 * parts["aesthetic"] + 0.3 * style + 0.5 * realism,
            "aesthetic": 0.2 * mask_acc,
            "hist_corr": 0.15 * mask_acc,
            "fid": -mask_acc / 200 * (fid < 100),
        }


CONTESTS: tuple[Contest, ...] = (Jittor2022(), Jittor2023(bins=8))
"""Contests by which results are compared; a total reads no bins, which the judges have read before."""


def contest_named(name: Any) -> Contest:
    """The contest whose total a result was scored with, by the name in its record.

    Raises:
        Refusal: no contest of that name.
    """
    for contest in CONTESTS:
        if contest.name == name:
            return contest
    known = " and ".join(contest.name for contest in CONTESTS)
    raise Refusal(f"the runs have the total {name!r:.60}, and known are {known}; score them with one of these scorer=")


@dataclass(frozen=True)
class Row:
    """A published row beside what its parts give.

    Attributes:
        name: the row's own name, or its line.
        parts: the values of the total's parts.
        published, computed: both totals.
    """

    name: str
    parts: dict[str, float]
    published: float
    computed: float

    @property
    def difference(self) -> float:
        return self.computed - self.published

    @property
    def agrees(self) -> bool:
        return abs(self.difference) <= TOLERANCE


def recompute(path: Path, contest: Contest) -> list[Row]:
    """Recompute the total of every row of a CSV file from its parts.

    Args:
        path: a CSV file with a header that names the contest's parts and `total`; `row` names the rows.
        contest: which total.

    Returns:
        One Row per line, in order.

    Raises:
        Refusal: no such file, no rows, a missing column, or cells that are no numbers or out of range, all at once.
    """
    needed = (*contest.parts, "total")
    cure = f"{contest.name} needs a CSV with the columns {', '.join(needed)}, numbers with a decimal point"
    lines = read_table(path, what="rows", cure=cure, columns=needed)
    if not lines:
        raise Refusal(f"rows {path} has a header but no rows; {cure}")
    rows, faults = [], []
    for number, line in enumerate(lines, start=2):
        try:
            rows.append(_row(line, number, contest))
        except Refusal as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        raise Refusal(f"{path} has {len(faults)} unusable rows:\n  " + "\n  ".join(faults))
    return rows


def _row(line: dict[str, str], number: int, contest: Contest) -> Row:
    parts = {name: _number(line, name) for name in contest.parts}
    name = line.get("row") or f"line {number}"
    return Row(name, parts, published=_number(line, "total"), computed=contest.total(**parts))


def _number(line: dict[str, str], column: str) -> float:
    text = line[column].strip()
    try:
        value = float(text.replace("_", "?"))  # 5_0 is 50 to Python alone
    except ValueError:
        raise Refusal(f"{column}={text!r} is not a number") from None
    if not math.isfinite(value):
        raise Refusal(f"{column}={text} is not finite")
    return value


def _require(**values: tuple[float, float, float]) -> None:
    for name, (value, low, high) in values.items():
        if not (math.isfinite(value) and low <= value <= high):
            wanted = f"{low}..{high}" if math.isfinite(high) else f"{low} or more"
            raise Refusal(f"{name}={value:g} is out of its range, which is {wanted}")
