"""The leaderboard: our runs task by task, each with its own measures, and the log's numbers beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import t as student

from scenegen.reporting.escaping import code, prose
from scenegen.reporting.ledger import Entry
from scenegen.reporting.results import Result
from scenegen.scoring.record import Better

NEUTRAL = ("data.root", "trainer", "logger", "weights.dir", "evaluate", "grid_every", "log_every", "checkpoint_every")
"""Overrides that do not make another recipe."""

TOTAL = "total"


@dataclass(frozen=True)
class Mean:
    """One number of one recipe.

    Attributes:
        value: mean over seeds.
        low, high: 95 % interval: over seeds (Student's t) with two or more, else over the pictures of the one run.
        better: direction in which it improves; None where neither is better, or the result says none.
    """

    value: float
    low: float | None
    high: float | None
    better: Better | None


@dataclass(frozen=True)
class Ours:
    """Result of one recipe's runs.

    Attributes:
        runs: by seed.
        numbers: role -> mean, "total" first; a run without total has none.
        protocol: id of the protocol, or "mixed".
        marks: cautions that must stand beside the number.
    """

    runs: Sequence[Result]
    numbers: Mapping[str, Mean]
    protocol: str
    marks: tuple[str, ...]

    @property
    def total(self) -> Mean | None:
        """The contest total, or None where a part was not measured."""
        return self.numbers.get(TOTAL)


@dataclass(frozen=True)
class Row:
    """One line: a recipe of the log, of ours, or both."""

    recipe: str
    description: str
    recorded: Mapping[str, float]
    ours: Ours | None


@dataclass(frozen=True)
class Board:
    """Our recipes of one task.

    Attributes:
        task: option of task=.
        rows: best first; all are of ours.
        conclusion: sentences of the comparison.
        logged: recipe -> the numbers that a sister task's note recorded for it, in words.
    """

    task: str
    rows: Sequence[Row]
    conclusion: Sequence[str]
    logged: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Heading of the board."""
        return f"Our runs: {self.task.replace('_', ' ')}"

    @property
    def roles(self) -> list[str]:
        """Numbers that any of the rows has, in the order of the first that has them."""
        return list(dict.fromkeys(role for row in self.rows if row.ours for role in row.ours.numbers))


def summarise(runs: Sequence[Result]) -> Ours:
    """One recipe's runs as one line."""
    numbers = {}
    totals = [run.total for run in runs if run.total is not None]
    if len(totals) == len(runs):
        numbers[TOTAL] = _mean(totals, "higher", runs[0].record.get("total_interval95"))
    for role, part in runs[0].measures.items():
        numbers[role] = _mean([run.parts[role] for run in runs], part.better, part.interval95)
    protocols = {str(run.record["protocol"]["id"]) for run in runs}
    return Ours(
        runs=runs,
        numbers=numbers,
        protocol=protocols.pop() if len(protocols) == 1 else "mixed",
        marks=tuple(dict.fromkeys(str(mark) for run in runs for mark in run.record.get("marks", ()))),
    )


def _mean(values: Sequence[float], better: Better | None, alone: tuple[float, float] | None) -> Mean:
    """Mean of a number over seeds; `alone` is the interval over the pictures of a single run."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Mean(mean, *(alone or (None, None)), better)
    reach = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return Mean(mean, mean - reach, mean + reach, better)


def rows(entries: Sequence[Entry], recipes: Mapping[str, Sequence[Result]]) -> list[Row]:
    """Our recipes, best first, then the log's rows, best first; a run of `experiment=<row>` joins its row."""
    known = {entry.slug: entry for entry in entries}
    ours = {name: summarise(runs) for name, runs in recipes.items()}
    joined = {slug: name for name, runs in recipes.items() if (slug := _row_of(runs[0].recipe)) in known}
    free = [Row(name, "", {}, own) for name, own in ours.items() if name not in joined.values()]
    logged = [
        Row(e.slug, e.description, e.recorded, ours[joined[e.slug]] if e.slug in joined else None) for e in entries
    ]
    logged.sort(key=lambda row: (row.ours is None, "total" not in row.recorded, -row.recorded.get("total", 0.0)))
    return ordered(free) + logged


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Our recipes, best first: by the total, or without any by the mean of their places in the measures that improve
    in a direction."""
    found: dict[str, list[tuple[float, int]]] = {}
    for place, row in enumerate(rows):
        for role, mean in row.ours.numbers.items() if row.ours else ():
            if mean.better:
                found.setdefault(role, []).append((mean.value if mean.better == "lower" else -mean.value, place))
    places: dict[int, list[int]] = {}
    for values in [found[TOTAL]] if TOTAL in found else found.values():
        for value, row in values:
            places.setdefault(row, []).append(sum(other < value for other, _ in values))
    return [rows[place] for place in sorted(range(len(rows)), key=lambda place: _mean_place(places.get(place)))]


def _mean_place(places: Sequence[int] | None) -> float:
    return float(np.mean(places)) if places else float("inf")


def best(board: Board) -> set[tuple[str, str]]:
    """(recipe, role) of the best means, by each number's own direction, among rows of one protocol.

    A protocol with one row has no best, and neither has a number without a direction.
    """
    found = set()
    for role in board.roles:
        protocols: dict[str, list[tuple[float, str]]] = {}
        for row in board.rows:
            if row.ours and (number := row.ours.numbers.get(role)) and number.better:
                signed = number.value if number.better == "higher" else -number.value
                protocols.setdefault(row.ours.protocol, []).append((signed, row.recipe))
        found |= {(recipe, role) for one in protocols.values() if len(one) > 1 for value, recipe in one
                  if value == max(one)[0]}  # fmt: skip
    return found


def logged(rows: Iterable[Row], sisters: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Numbers of the sister tasks' notes for the `experiment=` that a row changes or repeats, in words by recipe."""
    found = {}
    for row in rows:
        recipe = row.ours.runs[0].recipe if row.ours else row.recipe
        chosen = [part.removeprefix("experiment=") for part in recipe.split(" ") if part.startswith("experiment=")]
        if chosen and (numbers := sisters.get(chosen[0])):
            found[row.recipe] = ", ".join(f"{role} {value:g}" for role, value in numbers.items())
    return found


def markdown(boards: Sequence[Board], table: Iterable[Row]) -> str:
    """The leaderboard as a page of Markdown: a table per task, then the log."""
    lines = ["# Leaderboard", ""]
    lines += ["Made by `python -m scenegen.report`. Numbers of unlike protocols do not compare: the log's were",
              "measured by the contest's own judges, ours by those that the protocol names. In bold: a protocol's best",
              "mean.", ""]  # fmt: skip
    for board in boards:
        lines += [f"## {board.title}", "", *_lines(board), "", *map(prose, board.conclusion), ""]
    head = "| experiment | description | mask_acc | aesthetic | FID | total | ours |"
    table = [row for row in table if row.recorded]
    lines += [
        "## The log",
        "",
        f"All {len(table)} rows have a recipe, posts included: `experiment=<row>`.",
        "",
        head,
        "|---|---|---|---|---|---|---|",
    ]
    for row in table:
        recorded = " | ".join(
            number(row.recorded.get(key), digits) for key, digits in (("mask_acc", 4), ("aesthetic", 4), ("fid", 2))
        )
        total = number(row.recorded.get("total"))
        lines.append(f"| {prose(row.recipe)} | {prose(row.description)} | {recorded} | {total} | {total_of(row)} |")
    return "\n".join(lines) + "\n"


def _lines(board: Board) -> list[str]:
    """One board as a table of Markdown."""
    marked, more = best(board), ["the log's own"] if board.logged else []
    lines = [f"| recipe | seeds | {' | '.join([*map(prose, board.roles), *more])} | protocol | marks |",
             f"|---|---|{'---|' * len([*board.roles, *more])}---|---|"]  # fmt: skip
    for row in board.rows:
        assert row.ours is not None
        cells = []
        for role in board.roles:
            text = " ".join(words(row.ours.numbers.get(role)))
            cells.append(f"**{text}**" if (row.recipe, role) in marked else text)
        cells += [board.logged.get(row.recipe, "") for _ in more]
        lines.append(f"| {code(row.recipe)} | {len(row.ours.runs)} | {' | '.join(cells)} "
                     f"| {prose(row.ours.protocol)} | {prose('; '.join(row.ours.marks))} |")  # fmt: skip
    return lines


def number(value: float | None, digits: int = 4) -> str:
    """A number, or nothing where it was not measured."""
    return "" if value is None else f"{value:.{digits}f}"


def words(mean: Mean | None) -> list[str]:
    """The value, and its interval where there is one; nothing where it was not measured."""
    if mean is None:
        return []
    value, *ends = ("" if one is None else f"{one:#.4g}".rstrip(".") for one in (mean.value, mean.low, mean.high))
    return [value, f"[{', '.join(ends)}]"] if all(ends) else [value]


def total_of(row: Row) -> str:
    """Our total of a row of the log, or that it was not run."""
    return " ".join(words(row.ours.total)) if row.ours else "not run"


def _row_of(recipe: str) -> str | None:
    """The slug of `experiment=<slug>` where all other overrides are neutral."""
    pairs = [part.split("=", 1) for part in recipe.split(" ")]
    left = [pair for pair in pairs if not any(pair[0] == n or pair[0].startswith(f"{n}.") for n in NEUTRAL)]
    return left[0][1] if len(left) == 1 and left[0][0] == "experiment" and len(left[0]) == 2 else None
