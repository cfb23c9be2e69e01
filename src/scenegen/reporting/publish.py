"""Publication of finished runs: the leaderboard and its page, from their results, plots and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scenegen.base.files import whole, write_text
from scenegen.base.pictures import save_png
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
from scenegen.sampling.sheets import same_inputs, spread
from scenegen.scoring.contest import Contest

MOST_SIDE_BY_SIDE = 6
Recipes = Mapping[str, Sequence[Result]]


def publish(
    recipes: Recipes,
    entries: Sequence[Entry],
    *,
    out: Path,
    leaderboard: Path,
    pictures: int,
    curves: Sequence[str],
    seed: int,
    open_contest: Callable[[Mapping[str, Any]], Contest],
    open_test_maps: Callable[[Mapping[str, Any]], Any],
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
        open_contest, open_test_maps: build the contest total and the test data of a run's config.

    Returns:
        The page.
    """
    table = rows(entries, recipes)
    compared, sentences = _compared(recipes, open_contest=open_contest, seed=seed)
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
    shown = _pictures(recipes, order, out=out, count=pictures, open_test_maps=open_test_maps)
    stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {(commit() or 'unknown')[:12]}"
    write_text(out / "index.html", page(table, stamp=stamp, conclusion=sentences, plots=plots, pictures=shown))
    write_text(leaderboard, markdown(table, conclusion=sentences))
    return out / "index.html"


def _compared(
    recipes: Recipes, *, open_contest: Callable[[Mapping[str, Any]], Contest], seed: int
) -> tuple[Comparison | None, list[str]]:
    """The comparison and its sentences; one sentence where the runs do not compare."""
    if len(recipes) < 2:
        return None, []
    config = next(iter(recipes.values()))[0].config
    if config["scorer"] is None:
        return None, ["These runs were not compared: they have no total (scorer=none)."]
    contest = open_contest(config)
    try:
        found = compare(recipes, contest=contest, seed=seed)
    except Refusal as refusal:
        return None, [f"These runs were not compared: {refusal}"]
    return found, conclusion(found)


def _pictures(
    recipes: Recipes,
    order: Sequence[str],
    *,
    out: Path,
    count: int,
    open_test_maps: Callable[[Mapping[str, Any]], Any],
) -> list[tuple[str, str, str]]:
    """The best recipes on the same label maps, then every recipe's own contact sheet."""
    shown = []
    best = order[:MOST_SIDE_BY_SIDE]
    if count and best:
        data = open_test_maps(recipes[best[0]][0].config)
        painted = {f"{k}": recipes[name][0].folder / SAMPLES for k, name in enumerate(best, start=1)}
        total = min(sum(1 for _ in folder.glob("*.png")) for folder in painted.values())
        sheet = same_inputs(data, painted, indices=spread(total, count))
        save_png(out / "same_maps.png", sheet)
        legend = "; ".join(f"{k}: {name}" for k, name in enumerate(best, start=1))
        shown.append(("The best recipes on the same label maps", "same_maps.png", f"First seed of each. {legend}."))
    for name in order:
        sheet = recipes[name][0].folder / SHEET
        if sheet.is_file():
            copy = out / f"{recipes[name][0].name.replace('/', '_')}.png"
            with whole(copy) as part:
                part.write_bytes(sheet.read_bytes())
            shown.append((name, copy.name, f"Contact sheet of {recipes[name][0].name}."))
    return shown
