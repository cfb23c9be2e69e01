"""The leaderboard: the log's numbers beside those of our runs, as rows and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from scenegen.reporting.escaping import code, prose
from scenegen.reporting.ledger import Entry
from scenegen.reporting.results import Result

NEUTRAL = ("data.root", "trainer", "logger", "weights.dir", "evaluate", "grid_every", "log_every", "checkpoint_every")
"""Overrides that do not make another recipe."""


@dataclass(frozen=True)
class Ours:
    """Result of one recipe's runs.

    Attributes:
        runs: by seed.
        total: mean over seeds, or None where a part was not measured.
        low, high: 95 % interval: over seeds (Student's t) with two or more, else over the pictures of the one run.
        parts: role -> mean.
        protocol: id of the protocol, or "mixed".
        marks: cautions that must stand beside the number.
    """

    runs: Sequence[Result]
    total: float | None
    low: float | None
    high: float | None
    parts: Mapping[str, float]
    protocol: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One line: a recipe of the log, of ours, or both."""

    recipe: str
    description: str
    recorded: Mapping[str, float]
    ours: Ours | None


def summarise(runs: Sequence[Result]) -> Ours:
    """One recipe's runs as one line."""
    totals = [run.total for run in runs if run.total is not None]
    total = float(np.mean(totals)) if len(totals) == len(runs) else None
    low = high = None
    if total is not None and len(runs) > 1:
        reach = float(student.ppf(0.975, len(runs) - 1) * np.std(totals, ddof=1) / len(runs) ** 0.5)
        low, high = total - reach, total + reach
    elif runs[0].record.get("total_interval95"):
        low, high = runs[0].record["total_interval95"]
    protocols = {str(run.record["protocol"]["id"]) for run in runs}
    return Ours(
        runs=runs,
        total=total,
        low=low,
        high=high,
        parts={role: float(np.mean([run.parts[role] for run in runs])) for role in runs[0].parts},
        protocol=protocols.pop() if len(protocols) == 1 else "mixed",
        marks=tuple(dict.fromkeys(str(mark) for run in runs for mark in run.record.get("marks", ()))),
    )


def rows(entries: Sequence[Entry], recipes: Mapping[str, Sequence[Result]]) -> list[Row]:
    """Our recipes, best first, then the log's rows, best first; a run of `experiment=<row>` joins its row."""
    known = {entry.slug: entry for entry in entries}
    ours = {name: summarise(runs) for name, runs in recipes.items()}
    joined = {slug: name for name, runs in recipes.items() if (slug := _row_of(runs[0].recipe)) in known}
    free = [Row(name, "", {}, own) for name, own in ours.items() if name not in joined.values()]
    logged = [
        Row(e.slug, e.description, e.recorded, ours[joined[e.slug]] if e.slug in joined else None) for e in entries
    ]
    free.sort(key=lambda row: -(row.ours.total or 0) if row.ours else 0)
    logged.sort(key=lambda row: (row.ours is None, "total" not in row.recorded, -row.recorded.get("total", 0.0)))
    return free + logged


def markdown(table: Sequence[Row], *, conclusion: Sequence[str]) -> str:
    """The leaderboard as a page of Markdown."""
    ours = [row for row in table if row.ours]
    lines = ["# Leaderboard", ""]
    lines += ["Made by `python -m scenegen.report`. Totals of unlike protocols do not compare: the log's were measured",
              "by the contest's own judges, ours by those that the protocol names.", ""]  # fmt: skip
    if ours:
        lines += ["## Our runs", "", "| recipe | total | 95 % interval | seeds | parts | protocol | marks |",
                  "|---|---|---|---|---|---|---|"]  # fmt: skip
        for row in ours:
            own = row.ours
            assert own is not None
            parts = ", ".join(f"{prose(role)} {value:.4g}" for role, value in own.parts.items())
            lines.append(
                f"| {code(row.recipe)} | {number(own.total)} | {interval(own)} | {len(own.runs)} | {parts} "
                f"| {prose(own.protocol)} | {prose('; '.join(own.marks))} |"
            )
        lines += ["", *map(prose, conclusion), ""]
    head = "| experiment | description | mask_acc | aesthetic | FID | total | ours |"
    logged = sum(bool(row.recorded) for row in table)
    lines += [
        "## The log",
        "",
        f"All {logged} rows have a recipe, posts included: `experiment=<row>`.",
        "",
        head,
        "|---|---|---|---|---|---|---|",
    ]
    for row in table:
        if row.recorded:
            recorded = " | ".join(
                number(row.recorded.get(key), digits) for key, digits in (("mask_acc", 4), ("aesthetic", 4), ("fid", 2))
            )
            own = f"{number(row.ours.total)} {interval(row.ours)}" if row.ours else "not run"
            total = number(row.recorded.get("total"))
            lines.append(f"| {prose(row.recipe)} | {prose(row.description)} | {recorded} | {total} | {own} |")
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int = 4) -> str:
    """A number, or nothing where it was not measured."""
    return "" if value is None else f"{value:.{digits}f}"


def interval(own: Ours) -> str:
    """[low, high], or nothing."""
    return "" if own.low is None or own.high is None else f"[{own.low:.4f}, {own.high:.4f}]"


def _row_of(recipe: str) -> str | None:
    """The slug of `experiment=<slug>` where all other overrides are neutral."""
    pairs = [part.split("=", 1) for part in recipe.split(" ")]
    left = [pair for pair in pairs if not any(pair[0] == n or pair[0].startswith(f"{n}.") for n in NEUTRAL)]
    return left[0][1] if len(left) == 1 and left[0][0] == "experiment" and len(left[0]) == 2 else None
