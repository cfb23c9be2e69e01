"""Scores for people and for programs: the terminal's table, one line, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from scenegen.base import files
from scenegen.base.console import printable, shown
from scenegen.scoring.contest import TOLERANCE, Contest, Row
from scenegen.scoring.record import Score

BAR = 8


def show(score: Score, console: Console) -> None:
    """Print a score: parts, total, gains, IoU per class, warnings and marks."""
    body: list[RenderableType] = [_parts(score)]
    if score.waterfall:
        body += [_gains(score)]
    if score.iou:
        body += [Text(), _iou(score)]
    if score.synonyms:
        body += [_synonyms(score)]
    body += [Text(f"! {printable(warning)}", style="yellow") for warning in score.warnings]
    loud = "bold red" if any("RANDOM" in mark for mark in score.marks) else "yellow"
    body += [Text(f"! {printable(mark)}", style=loud) for mark in score.marks]
    title = f"{score.scorer or 'measures'}, {score.pictures} pictures"
    console.print(
        Panel(
            Group(*body),
            title=f"[bold]{title}[/]",
            subtitle=f"protocol {score.protocol['id']}",
            border_style="dim",
            expand=False,
        )
    )


def line(score: Score) -> str:
    """A score in one line, for logs and sweeps."""
    total = "left out (no segmenter)" if score.total is None else f"{score.total:.4f}{_span(score.total_interval)}"
    parts = [f"{part.name} {part.value:.4f}{_span(part.interval)}" for part in score.parts.values()]
    first = [] if score.scorer is None else [f"{score.scorer} total {total}"]
    fields = [*first, *parts, f"N {score.pictures}", f"protocol {score.protocol['id']}"]
    return " | ".join([*fields, *score.marks])


def write_json(score: Score, path: Path) -> None:
    """Write a score as JSON, and every picture's values as .npz beside it; each whole or not at all."""
    score.per_picture.save(path.with_suffix(".npz"))
    files.write_json(path, score.as_dict())


def is_score(content: bytes) -> bool:
    """True for the content of a file that `write_json` has written."""
    return b'"protocol"' in content and b'"marks"' in content


def show_rows(rows: Sequence[Row], contest: Contest, console: Console) -> None:
    """Print published totals beside recomputed ones."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{contest.name}: totals from their parts", title_style="bold")
    table.add_column("row", overflow="fold")
    for name in (*contest.parts, "total", "computed", "diff"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        values = [f"{row.parts[name]:.4f}" for name in contest.parts]
        style = "" if row.agrees else "bold red"
        sign = Text("ok", style="green") if row.agrees else Text("DIFFERS")
        numbers = [*values, f"{row.published:.4f}", f"{row.computed:.4f}", f"{row.difference:+.5f}"]
        table.add_row(shown(row.name), *numbers, sign, style=style)
    console.print(table)
    wrong = sum(not row.agrees for row in rows)
    worst = max(abs(row.difference) for row in rows)
    verdict = "all agree" if not wrong else f"{wrong} differ"
    console.print(f"{len(rows)} rows, {verdict} (tolerance {TOLERANCE:g}, largest difference {worst:.1e})")


def _parts(score: Score) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=False)
    table.add_column("part")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="center")
    table.add_column("N", justify="right")
    table.add_column("judged by", style="dim", overflow="fold")
    for part in score.parts.values():
        value, interval = f"{part.value:.4f}", _span(part.interval).strip()
        table.add_row(part.name, value, interval, str(part.count), part.judge)
    for beside in [*score.beside.values(), *([score.floor] if score.floor else [])]:
        table.add_row(beside.name, f"{beside.value:.4f}", "", str(beside.count), beside.judge, style="dim")
    if score.scorer is None:
        return table
    table.add_section()
    total = "-" if score.total is None else f"{score.total:.4f}"
    note = "needs mask_acc: choose a segmenter" if score.total is None else _note(score)
    interval = _span(score.total_interval).strip()
    table.add_row(
        Text("total", style="bold"), Text(total, style="bold green"), interval, "", Text(note, style="yellow")
    )
    return table


def _gains(score: Score) -> Table:
    """Gains of the total for a step in each part."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="what a step would give", title_justify="left")
    table.title_style = ""
    for name in ("step", "total", "per unit"):
        table.add_column(name, justify="right", no_wrap=True)
    for role, gain in score.waterfall.items():
        table.add_row(f"{gain.step:+.3g} {role}", f"{gain.gain:+.4f}", f"{gain.slope:+.4f}")
    return table


def _synonyms(score: Score) -> Table:
    """Confusion within the groups of classes that photographs hardly tell apart."""
    title = f"near-synonyms: mask_acc would be {score.forgiving_acc:.4f} if confusions inside a group were right"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="")
    for name in ("group", "pixels", "right", "within", "outside", "most confused"):
        table.add_column(name, justify="right" if name in ("pixels", "right", "within", "outside") else "left")
    for group in score.synonyms.values():
        shares = [f"{100 * x:.1f} %" for x in (group.share, group.right, group.within, group.outside)]
        most = f"{group.most[0]} as {group.most[1]}, {100 * group.most[2]:.1f} %" if group.most else ""
        table.add_row(shown(", ".join(group.classes)), *shares, shown(most))
    return table


def _note(score: Score) -> str:
    if any("RANDOM" in mark for mark in score.marks):
        return "RANDOM WEIGHTS"
    return "stand-in scorer" if score.marks else ""


def _iou(score: Score) -> Table:
    """IoU per class, best first, in two columns of classes."""
    ranked = sorted(score.iou.items(), key=lambda item: (-item[1][0], item[0]))
    half = -(-len(ranked) // 2)
    title = f"IoU of {len(ranked)} classes, mean {score.mean_iou:.4f}; accuracy per picture {score.picture_acc:.4f}"
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left", title_style=""
    )
    for column in range(2 if len(ranked) > 1 else 1):
        table.add_column("class", no_wrap=True)
        table.add_column("IoU", justify="right", no_wrap=True)
        table.add_column("", width=BAR, no_wrap=True)
        table.add_column("pixels", justify="right", style="dim", no_wrap=True)
        if column == 0:
            table.add_column("", width=1)
    for left, right in zip(ranked[:half], [*ranked[half:], None], strict=False):
        table.add_row(*_class(left), "", *(_class(right) if right else ()))
    return table


def _class(item: tuple[str, tuple[float, float]]) -> tuple[RenderableType, ...]:
    name, (iou, share) = item
    colour = "green" if iou >= 0.6 else "yellow" if iou >= 0.3 else "red"
    full = round(iou * BAR)
    bar = Text("█" * full, style=colour).append("·" * (BAR - full), style="dim")
    return shown(name), f"{iou:.3f}", bar, f"{100 * share:.1f} %"


def _span(interval: tuple[float, float] | None) -> str:
    return f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
