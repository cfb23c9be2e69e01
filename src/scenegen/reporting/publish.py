"""Publication of finished runs: the leaderboard and its page, from their results, plots and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from scenegen.base.depth import Depth
from scenegen.base.documents import of_shape
from scenegen.base.files import own_file, write_text
from scenegen.base.pictures import open_picture, save_png
from scenegen.base.provenance import commit
from scenegen.base.refusal import Refusal
from scenegen.reporting import figures
from scenegen.reporting.comparison import Comparison, compare
from scenegen.reporting.curves import read_series
from scenegen.reporting.effects import Effect, single_changes
from scenegen.reporting.explorer import explorer
from scenegen.reporting.leaderboard import TOTAL, Board, logged, markdown, ordered, rows
from scenegen.reporting.ledger import Entry
from scenegen.reporting.page import Section, page
from scenegen.reporting.quantities import quantities
from scenegen.reporting.results import Result, shared_choices
from scenegen.reporting.verdict import conclusion
from scenegen.runs.folder import METRICS, SAMPLES, SHEET
from scenegen.sampling.sheets import same_names, spread

MOST_SIDE_BY_SIDE = 6
MOST_CHANGES = 40
"""Single changes that one plot shows."""

SCENE = "scene"
"""Task of the log's rows, and of runs from before there were tasks."""

SEGMENTATION = "segmentation"

NOUNS = {SCENE: "label maps", "denoising": "slices"}
"""Task -> what its samples are called; pictures in all others."""

Recipes = Mapping[str, Sequence[Result]]


def is_page(content: bytes) -> bool:
    """True for the content of a page that `publish` has written."""
    return b"<title>scenegen report</title>" in content


def is_leaderboard(content: bytes) -> bool:
    """True for the content of a leaderboard that `publish` has written."""
    return content.startswith(b"# Leaderboard") and b"scenegen.report" in content


def publish(
    tasks: Mapping[str, Recipes],
    entries: Sequence[Entry],
    *,
    sisters: Mapping[str, Mapping[str, float]],
    out: Path,
    leaderboard: Path,
    pictures: int,
    curves: Sequence[str],
    seed: int,
) -> Path:
    """Write the page with its pictures into a folder, and the leaderboard as Markdown.

    Args:
        tasks: our runs by task and recipe; may be empty.
        entries: the log, whose rows are scene synthesis.
        sisters: recipe of another task -> the numbers of its note.
        out: folder of the page.
        leaderboard: the Markdown file.
        pictures: label maps (or slices, or photographs) that are shown for the best recipes of each task.
        curves: logged values that are drawn.
        seed: of the comparison's resamples.

    Returns:
        The page.
    """
    table = rows(entries, tasks.get(SCENE, {}))
    sections, ours = [], []
    for task, recipes in tasks.items():
        found, sentences = _compared(recipes, seed=seed)
        lines = ordered([row for row in (table if task == SCENE else rows([], recipes)) if row.ours])
        if shared := shared_choices(recipes):
            sentences = [*sentences, f"All of these runs: {shared}."]
        board = Board(task, lines, sentences, logged(lines, sisters))
        runs = {row.recipe: row.ours.runs[0] for row in lines if row.ours}
        shown = _pictures(runs, task=task, out=out, count=pictures)
        ours += [run for row in lines if row.ours for run in row.ours.runs]
        sections.append(Section(board, _plots(board, found, runs, curves), shown))
    stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {(commit() or 'unknown')[:12]}"
    every = explorer(ours, out=out, curves=curves)
    write_text(out / "index.html", page(sections, table, stamp=stamp, explorer=every))
    write_text(leaderboard, markdown([section.board for section in sections], table))
    return out / "index.html"


def _compared(recipes: Recipes, *, seed: int) -> tuple[list[Comparison], list[str]]:
    """The comparisons and their sentences; one sentence where the runs do not compare."""
    if len(recipes) < 2:
        return [], []
    try:
        by, left = quantities([run for runs in recipes.values() for run in runs])
        found = compare(recipes, by=by, seed=seed)
    except Refusal as refusal:
        return [], [f"These runs were not compared: {refusal}"]
    return found, [*conclusion(found), *left]


def _plots(
    board: Board, found: Sequence[Comparison], runs: Mapping[str, Result], curves: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Means, effects of single changes and curves of one task, as (heading, SVG, caption)."""
    plots = [("Totals" if role == TOTAL else role, figures.means(board.rows, role), "Every recipe with its seeds.")
             for role in ([one.quantity for one in found] or board.roles[:1])]  # fmt: skip
    changes = [
        (f"Single changes: {one.quantity}", figures.effects(_largest(one), of=one.quantity, better=one.better),
         f"Pairs of recipes that differ in one choice alone, the {MOST_CHANGES} largest changes.") for one in found
    ]  # fmt: skip
    series = {name: read_series(runs[name].folder / METRICS) for name in list(runs)[:MOST_SIDE_BY_SIDE]}
    drawn = figures.curves(series, curves)
    return [*plots, *changes, ("Curves", drawn, "Smoothed, the first seed of each of the best recipes.")]


def _largest(found: Comparison) -> list[Effect]:
    """The MOST_CHANGES single changes with the largest gain or loss, best first."""
    changes = single_changes(found)
    kept = {id(change) for change in sorted(changes, key=lambda change: -abs(change.gain))[:MOST_CHANGES]}
    return [change for change in changes if id(change) in kept]


def _pictures(runs: Mapping[str, Result], *, task: str, out: Path, count: int) -> list[tuple[str, str, str]]:
    """The best recipes on the same samples, then every recipe's own contact sheet.

    Args:
        runs: recipe -> its first run, best first.
        task: of the runs.
        out: folder of the page.
        count: samples that are shown; 0 shows none.
    """
    shown = []
    best = list(runs)[:MOST_SIDE_BY_SIDE]
    common = []
    if count and best:
        painted = {f"{k}": _samples(runs[name].folder) for k, name in enumerate(best, start=1)}
        common = sorted(set.intersection(*(set(files) for files in painted.values())))
    if common and task != SEGMENTATION:  # label maps, whose colours the contact sheets have
        chosen = [common[index] for index in spread(len(common), count)]
        path = "same_maps.png" if task == SCENE else f"same_{task.replace('/', '_')}.png"
        save_png(out / path, same_names(painted, names=chosen, depth=_depth(runs[best[0]])))
        legend = "; ".join(f"{k}: {name}" for k, name in enumerate(best, start=1))
        shown.append(
            (f"The best recipes on the same {NOUNS.get(task, 'pictures')}", path, f"First seed of each. {legend}.")
        )
    for name, run in runs.items():
        if (run.folder / SHEET).is_file():
            copy = out / f"{run.name.replace('/', '_')}.png"
            with open_picture(own_file(run.folder / SHEET, run.folder)) as picture:
                save_png(copy, np.asarray(picture.convert("RGB")))
            shown.append((name, copy.name, f"Contact sheet of {run.name}."))
    return shown


def _depth(run: Result) -> Depth | None:
    """The window in which a run's slices are looked at; None of pictures of 8 bits."""
    if (tree := (run.config.get("data") or {}).get("depth")) is None:
        return None
    cure = "leave the run out of runs="
    return of_shape(tree, Depth, what=f"the config of {run.folder}: data.depth", cure=cure)


def _samples(run: Path) -> dict[str, Path]:
    """Name of a label map -> the picture that a run made of it; links out of the run are refused."""
    return {path.stem: own_file(path, run) for path in sorted((run / SAMPLES).glob("*.png"))}
