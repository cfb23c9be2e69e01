"""A comparison for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from scenegen.base import files
from scenegen.base.console import shown
from scenegen.base.listing import few
from scenegen.reporting.comparison import LEVEL, Comparison, Pair


def show(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print the recipes, and the answer to every pair by each number."""
    console.print(_recipes(comparisons[0]))
    for comparison in comparisons:
        console.print(_pairs(comparison))
    for line in conclusion(comparisons):
        console.print(shown(line), highlight=False)


def conclusion(comparisons: Sequence[Comparison]) -> list[str]:
    """Conclusions of comparisons by one number or several, in sentences."""
    pairs = [pair for comparison in comparisons for pair in comparison.pairs]
    differing = [pair for pair in pairs if pair.p < LEVEL]
    count, of = len(pairs), "" if len(comparisons) == 1 else f" by {len(comparisons)} measures"
    lines = [
        f"{len(differing)} of {count} pairs{of} differ (p < {LEVEL} after Holm's correction for {count} questions)."
    ]
    lines += [_best(comparison) for comparison in comparisons]
    if min(len(seeds) for seeds in comparisons[0].seeds.values()) < 2:
        lines.append("Some recipe has one seed only: what another training of it would give is not known.")
    return lines


def _best(comparison: Comparison) -> str:
    """The best recipe by one number, and those that cannot be told apart from it."""
    best = next(iter(comparison.means))
    rivals = [pair.second for pair in comparison.pairs if pair.first == best and pair.p >= LEVEL]
    of = "" if comparison.quantity == "total" else f" {comparison.quantity}"
    if not rivals:
        return f"{best} is better than every other recipe here{f' by{of}' if of else ''}."
    most = "largest" if comparison.better == "higher" else "smallest"
    return f"The {most} mean{of} is that of {best}, but it cannot be told apart from {few(rivals)}."


def write_json(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the comparisons as JSON: the first, the conclusion of all, and the others as "further"."""
    first, *others = (
        {**asdict(one), "pairs": [{**asdict(pair), "verdict": pair.verdict} for pair in one.pairs]}
        for one in comparisons
    )
    files.write_json(path, {**first, "conclusion": conclusion(comparisons), "further": others})


def is_comparison(content: bytes) -> bool:
    """True for the content of a file that `write_json` has written."""
    return b'"conclusion"' in content and b'"pairs"' in content


def _recipes(comparison: Comparison) -> Table:
    table = Table(title=f"recipes, {comparison.pictures} pictures", box=box.SIMPLE, title_justify="left")
    roles = list(next(iter(comparison.parts.values())))
    table.add_column("recipe", overflow="fold")
    of = comparison.quantity
    roles = [role for role in roles if role != of]
    for name in (of, "seeds", *roles):
        table.add_column(shown(name), justify="right")
    for name, mean in comparison.means.items():
        parts = [_number(comparison.parts[name][role]) for role in roles]
        table.add_row(shown(name), _number(mean), str(len(comparison.seeds[name])), *parts)
    return table


def _pairs(comparison: Comparison) -> Table:
    table = Table(
        title=f"{comparison.quantity}: is the first better than the second?", box=box.SIMPLE, title_justify="left"
    )
    for name in ("first", "second"):
        table.add_column(name, overflow="fold")
    for name in ("difference", "95 % interval", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answer")
    for pair in comparison.pairs:
        table.add_row(
            shown(pair.first),
            shown(pair.second),
            _number(pair.difference, "+"),
            _interval(pair),
            f"{pair.p:.3g}",
            pair.verdict,
        )
    return table


def _interval(pair: Pair) -> str:
    return f"[{_number(pair.low, '+')}, {_number(pair.high, '+')}]"


def _number(value: float, sign: str = "") -> str:
    """Four decimals; two of numbers from 10 on, such as decibels and Hounsfield units."""
    return f"{value:{sign}.{4 if abs(value) < 10 else 2}f}"
