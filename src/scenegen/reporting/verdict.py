"""A comparison for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from scenegen.base import files
from scenegen.base.console import shown
from scenegen.base.listing import few
from scenegen.reporting.comparison import LEVEL, Comparison, Pair


def show(comparison: Comparison, console: Console) -> None:
    """Print the recipes and the answer to every pair."""
    console.print(_recipes(comparison))
    console.print(_pairs(comparison))
    for line in conclusion(comparison):
        console.print(shown(line), highlight=False)


def conclusion(comparison: Comparison) -> list[str]:
    """Conclusions of a comparison, in sentences."""
    differing = [pair for pair in comparison.pairs if pair.p < LEVEL]
    count = len(comparison.pairs)
    lines = [f"{len(differing)} of {count} pairs differ (p < {LEVEL} after Holm's correction for {count} questions)."]
    best = next(iter(comparison.means))
    rivals = [pair.second for pair in comparison.pairs if pair.first == best and pair.p >= LEVEL]
    if rivals:
        lines.append(f"The largest mean is that of {best}, but it cannot be told apart from {few(rivals)}.")
    else:
        lines.append(f"{best} is better than every other recipe here.")
    if min(len(seeds) for seeds in comparison.seeds.values()) < 2:
        lines.append("Some recipe has one seed only: what another training of it would give is not known.")
    return lines


def write_json(comparison: Comparison, path: Path) -> None:
    """Write the comparison as JSON."""
    content = asdict(comparison)
    content["pairs"] = [{**asdict(pair), "verdict": pair.verdict} for pair in comparison.pairs]
    content["conclusion"] = conclusion(comparison)
    files.write_json(path, content)


def is_comparison(content: bytes) -> bool:
    """True for the content of a file that `write_json` has written."""
    return b'"conclusion"' in content and b'"pairs"' in content


def _recipes(comparison: Comparison) -> Table:
    table = Table(title=f"recipes, {comparison.pictures} label maps", box=box.SIMPLE, title_justify="left")
    roles = list(next(iter(comparison.parts.values())))
    table.add_column("recipe", overflow="fold")
    for name in ("total", "seeds", *roles):
        table.add_column(shown(name), justify="right")
    for name, mean in comparison.means.items():
        parts = [f"{comparison.parts[name][role]:.4g}" for role in roles]
        table.add_row(shown(name), f"{mean:.4f}", str(len(comparison.seeds[name])), *parts)
    return table


def _pairs(comparison: Comparison) -> Table:
    table = Table(title="is the first better than the second?", box=box.SIMPLE, title_justify="left")
    for name in ("first", "second"):
        table.add_column(name, overflow="fold")
    for name in ("difference", "95 % interval", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answer")
    for pair in comparison.pairs:
        table.add_row(
            shown(pair.first),
            shown(pair.second),
            f"{pair.difference:+.4f}",
            _interval(pair),
            f"{pair.p:.3g}",
            pair.verdict,
        )
    return table


def _interval(pair: Pair) -> str:
    return f"[{pair.low:+.4f}, {pair.high:+.4f}]"
