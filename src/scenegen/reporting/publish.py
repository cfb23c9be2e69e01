"""Publication of finished runs: the leaderboard and its page, from their results, plots and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from scenegen.base.files import own_file, write_text
from scenegen.base.pictures import open_picture, save_png
from scenegen.base.provenance import commit
from scenegen.base.refusal import Refusal
from scenegen.reporting import figures
from scenegen.reporting.comparison import Comparison, compare
from scenegen.reporting.curves import read_series
from scenegen.reporting.effects import single_changes
from scenegen.reporting.leaderboard import markdown, rows
from scenegen.reporting.ledger import Entry
from scenegen.reporting.page import page
from scenegen.reporting.results import Result, shared_choices
from scenegen.reporting.verdict import conclusion
from scenegen.runs.folder import METRICS, SAMPLES, SHEET
from scenegen.sampling.sheets import same_names, spread
from scenegen.scoring.contest import contest_named

MOST_SIDE_BY_SIDE = 6
Recipes = Mapping[str, Sequence[Result]]


def is_page(content: bytes) -> bool:
    """True for the content of a page that `publish` has written."""
    return b"<title>scenegen report</title>" in content


def is_leaderboard(content: bytes) -> bool:
    """True for the content of a leaderboard that `publish` has written."""
    return content.startswith(b"# Leaderboard") and b"scenegen.report" in content


def publish(
    recipes: Recipes,
    entries: Sequence[Entry],
    *,
    out: Path,
    leaderboard: Path,
    pictures: int,
    curves: Sequence[str],
    seed: int,
) -> Path:
    """Write the page with its pictures into a folder, and the leaderboard as Markdown.

    Args:
        recipes: our runs by recipe; may be empty.
        entries: the log.
        out: folder of the page.
        leaderboard: the Markdown file.
        pictures: label maps that are shown for the best recipes.
        curves: logged values that are drawn.
        seed: of the comparison's resamples.

    Returns:
        The page.
    """
    table = rows(entries, recipes)
    compared, sentences = _compared(recipes, seed=seed)
    if shared := shared_choices(recipes):
        sentences = [*sentences, f"All of these runs: {shared}."]
    order = [row.recipe for row in table if row.ours and row.recipe in recipes]
    order = list(compared.means) if compared else order
    changes = single_changes(compared) if compared else []
    series = {name: read_series(recipes[name][0].folder / METRICS) for name in order[:MOST_SIDE_BY_SIDE]}
    plots = [
        ("Totals", figures.totals(table), "Every recipe of ours with its seeds."),
        ("Single changes", figures.effects(changes), "Pairs of recipes that differ in one choice alone."),
        ("Curves", figures.curves(series, curves), "Smoothed, the first seed of each of the best recipes."),
    ]
    shown = _pictures(recipes, order, out=out, count=pictures)
    stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {(commit() or 'unknown')[:12]}"
    write_text(out / "index.html", page(table, stamp=stamp, conclusion=sentences, plots=plots, pictures=shown))
    write_text(leaderboard, markdown(table, conclusion=sentences))
    return out / "index.html"


def _compared(recipes: Recipes, *, seed: int) -> tuple[Comparison | None, list[str]]:
    """The comparison and its sentences; one sentence where the runs do not compare."""
    if len(recipes) < 2:
        return None, []
    name = next(iter(recipes.values()))[0].record["scorer"]
    if name is None:
        return None, ["These runs were not compared: they have no total (scorer=none)."]
    try:
        found = compare(recipes, contest=contest_named(name), seed=seed)
    except Refusal as refusal:
        return None, [f"These runs were not compared: {refusal}"]
    return found, conclusion(found)


def _pictures(
    recipes: Recipes,
    order: Sequence[str],
    *,
    out: Path,
    count: int,
) -> list[tuple[str, str, str]]:
    """The best recipes on the same label maps, then every recipe's own contact sheet."""
    shown = []
    best = order[:MOST_SIDE_BY_SIDE]
    if count and best:
        painted = {f"{k}": _samples(recipes[name][0].folder) for k, name in enumerate(best, start=1)}
        common = sorted(set.intersection(*(set(files) for files in painted.values())))
    if count and best and common:
        chosen = [common[index] for index in spread(len(common), count)]
        save_png(out / "same_maps.png", same_names(painted, names=chosen))
        legend = "; ".join(f"{k}: {name}" for k, name in enumerate(best, start=1))
        shown.append(("The best recipes on the same label maps", "same_maps.png", f"First seed of each. {legend}."))
    for name in order:
        sheet = recipes[name][0].folder / SHEET
        if sheet.is_file():
            copy = out / f"{recipes[name][0].name.replace('/', '_')}.png"
            with open_picture(own_file(sheet, recipes[name][0].folder)) as picture:
                save_png(copy, np.asarray(picture.convert("RGB")))
            shown.append((name, copy.name, f"Contact sheet of {recipes[name][0].name}."))
    return shown


def _samples(run: Path) -> dict[str, Path]:
    """Name of a label map -> the picture that a run made of it; links out of the run are refused."""
    return {path.stem: own_file(path, run) for path in sorted((run / SAMPLES).glob("*.png"))}
