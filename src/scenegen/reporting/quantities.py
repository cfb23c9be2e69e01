"""Numbers by which recipes are compared: a contest's total, or one measure, each on resampled pictures too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from scenegen.base.refusal import Refusal
from scenegen.metrics.accuracy import iou_of
from scenegen.reporting.results import Result
from scenegen.scoring.contest import Contest, contest_named
from scenegen.scoring.record import Better
from scenegen.scoring.scorer import PARTS
from scenegen.scoring.uncertainty import draws


class Quantity(Protocol):
    """One number of every run.

    Attributes:
        name: "total", or the measure's role.
        better: direction in which it improves.
    """

    @property
    def name(self) -> str: ...

    @property
    def better(self) -> Better: ...

    def of(self, run: Result) -> float:
        """The run's number.

        Raises:
            Refusal: where it has none.
        """
        ...

    def drawn(self, run: Result, *, seed: int, resamples: int) -> np.ndarray:
        """(resamples,) the number on resampled pictures; one seed resamples the same ones for every run.

        Raises:
            Refusal: where the run kept no values of single pictures.
        """
        ...


@dataclass(frozen=True)
class Total:
    """The total of a contest."""

    contest: Contest

    @property
    def name(self) -> str:
        return "total"

    @property
    def better(self) -> Better:
        return "higher"

    def of(self, run: Result) -> float:
        if run.total is None:
            raise Refusal(f"{run.name} has no total (a part was not measured); score it again with a segmenter")
        return run.total

    def drawn(self, run: Result, *, seed: int, resamples: int) -> np.ndarray:
        found = draws(run.pictures, fid=run.parts.get("fid"), rng=np.random.default_rng(seed), resamples=resamples)
        if absent := [role for role in self.contest.parts if role not in found]:
            raise Refusal(f"{run.name} kept no {', '.join(absent)} per picture; score its pictures again")
        scale = {"aesthetic": self.contest.aesthetic_top / 10}
        columns = {role: found[role] * scale.get(role, 1.0) for role in self.contest.parts}
        return np.array([self.contest.total(**{r: column[k] for r, column in columns.items()})
                         for k in range(resamples)])  # fmt: skip


@dataclass(frozen=True)
class Single:
    """One measure, by its role."""

    name: str
    better: Better

    def of(self, run: Result) -> float:
        if self.name not in run.parts:
            raise Refusal(f"{run.name} has no {self.name}, only {', '.join(run.parts)}; score it again with "
                          f"measure={self.name}, or compare by another")  # fmt: skip
        return run.parts[self.name]

    def drawn(self, run: Result, *, seed: int, resamples: int) -> np.ndarray:
        if reason := not_resampled(run, self.name):
            raise Refusal(f"{self.name} of {run.name} is not compared: {reason}")
        values = {} if self.name in PARTS else {self.name: _value(run, self.name)}
        rng = np.random.default_rng(seed)
        return draws(run.pictures, fid=run.parts.get("fid"), rng=rng, resamples=resamples, values=values)[self.name]


def quantities(runs: Sequence[Result], *, by: Sequence[str] = ()) -> tuple[list[Quantity], list[str]]:
    """Quantities by which runs of one task are compared.

    Args:
        runs: at least one.
        by: roles, or "total"; none is the total, or where there is none every measure that improves in a direction
            and that all runs have.

    Returns:
        Them, and reasons why measures of the runs are not among them.

    Raises:
        Refusal: totals of several contests, a role that no run has or whose direction is unknown, or nothing left.
    """
    scorers = {run.record["scorer"] for run in runs}
    if len(scorers) > 1 and (not by or "total" in by):
        raise Refusal(f"the runs have totals of {' and '.join(sorted(map(str, scorers)))}; name those of one in runs=")
    scorer = None if len(scorers) > 1 else next(iter(scorers))
    if "total" in by and scorer is None:
        raise Refusal(f"the runs have no total, as no scorer was chosen; by= may name {', '.join(runs[0].parts)}")
    if not by and scorer is not None:
        return [Total(contest_named(scorer))], []
    if by:
        return [Total(contest_named(str(scorer))) if role == "total" else _single(runs, role) for role in by], []
    reasons = {role: _unfit(runs, role) for role in runs[0].parts}
    found: list[Quantity] = [_single(runs, role) for role, reason in reasons.items() if not reason]
    left = [f"{role} is not compared: {reason}" for role, reason in reasons.items() if reason]
    if not found:
        raise Refusal("the runs have no number by which they compare; " + "; ".join(left))
    return found, left


def not_resampled(run: Result, role: str) -> str:
    """Reason why a measure has no values on resampled pictures; "" where it has."""
    pictures = run.pictures
    if role in PARTS:
        kept = {"mask_acc": pictures.right, "fid": pictures.fid_influence, "aesthetic": pictures.aesthetic,
                "hist_corr": pictures.hist_corr}[role]  # fmt: skip
        return "" if kept is not None else "no values of single pictures"
    if role not in pictures.measures:
        return "no values of single pictures"
    told = run.parts[role]
    found = _value(run, role)(pictures.measures[role])
    return "" if math.isclose(found, told, rel_tol=1e-6, abs_tol=1e-9) else "it is no mean over the pictures"


def _value(run: Result, role: str) -> Callable[[np.ndarray], float]:
    """Function from some pictures' rows to the measure: the mean IoU of pooled counts, the mean of all others."""
    if role != "mean_iou":
        return lambda rows: float(rows.mean())
    ignore = run.record["protocol"]["measure"].get("ignore")
    return lambda rows: float(iou_of(torch.from_numpy(rows.sum(0)), ignore=ignore).nanmean())


def _single(runs: Sequence[Result], role: str) -> Single:
    known: set[Better | None] = {run.measures[role].better for run in runs if role in run.measures}
    if not known:
        raise Refusal(f"no run has {role}; by= may name {', '.join(runs[0].parts)}")
    better = next(iter(known))
    if len(known) > 1 or better is None:
        raise Refusal(f"whether a higher or a lower {role} is better stands in no result; name another in by=, or "
                      "score the runs again")  # fmt: skip
    return Single(role, better)


def _unfit(runs: Sequence[Result], role: str) -> str:
    """Reason why runs are not compared by a measure; "" where they are."""
    if absent := [run.name for run in runs if role not in run.parts]:
        return f"{absent[0]} does not have it"
    if {run.measures[role].better for run in runs} not in ({"higher"}, {"lower"}):
        return "neither direction is better"
    return next((reason for run in runs if (reason := not_resampled(run, role))), "")
