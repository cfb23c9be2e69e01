"""Puts results, plots and pictures of finished runs together to the leaderboard and its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from scenegen.base.pictures import save_png
from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.plan import plan
from scenegen.reporting import figures
from scenegen.reporting.comparison import Comparison, compare
from scenegen.reporting.curves import read_series
from scenegen.reporting.effects import single_changes
from scenegen.reporting.leaderboard import markdown, rows
from scenegen.reporting.ledger import Entry
from scenegen.reporting.page import page
from scenegen.reporting.results import Result, shared_choices
from scenegen.reporting.verdict import conclusion
from scenegen.runs import folder as runs
from scenegen.sampling.sheets import same_inputs, spread
from scenegen.scoring.protocol import commit

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
    out.mkdir(parents=True, exist_ok=True)
    table = rows(entries, recipes)
    compared, told = _compared(recipes, seed=seed)
    if shared := shared_choices(recipes):
        told = [*told, f"All of these runs: {shared}."]
    order = [row.recipe for row in table if row.ours and row.recipe in recipes]
    order = list(compared.means) if compared else order
    changes = single_changes(compared) if compared else []
    series = {name: read_series(recipes[name][0].folder / "metrics.csv") for name in order[:MOST_SIDE_BY_SIDE]}
    plots = [
        ("Totals", figures.totals(table), "Every recipe of ours with its seeds."),
        ("Single changes", figures.effects(changes), "Pairs of recipes that differ in one choice alone."),
        ("Curves", figures.curves(series, curves), "Smoothed, the first seed of each of the best recipes."),
    ]
    shown = _pictures(recipes, order, out=out, count=pictures)
    stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {(commit() or 'unknown')[:12]}"
    runs.write(out / "index.html", page(table, stamp=stamp, conclusion=told, plots=plots, pictures=shown))
    leaderboard.parent.mkdir(parents=True, exist_ok=True)
    runs.write(leaderboard, markdown(table, conclusion=told))
    return out / "index.html"


def _compared(recipes: Recipes, *, seed: int) -> tuple[Comparison | None, list[str]]:
    """The comparison and its sentences; one sentence where the runs do not compare."""
    if len(recipes) < 2:
        return None, []
    scorer = next(iter(recipes.values()))[0].config["scorer"]
    try:
        found = compare(recipes, contest=build.make(scorer), seed=seed)
    except Refusal as refusal:
        return None, [f"These runs were not compared: {refusal}"]
    return found, conclusion(found)


def _pictures(recipes: Recipes, order: Sequence[str], *, out: Path, count: int) -> list[tuple[str, str, str]]:
    """The best recipes on the same label maps, then every recipe's own contact sheet."""
    shown = []
    best = order[:MOST_SIDE_BY_SIDE]
    if count and best:
        config = plan(_config(recipes[best[0]][0])).config
        data = build.dataset(config, split="test")
        painted = {f"{k}": recipes[name][0].folder / "samples" for k, name in enumerate(best, start=1)}
        total = min(sum(1 for _ in folder.glob("*.png")) for folder in painted.values())
        sheet = same_inputs(data, painted, indices=spread(total, count))
        save_png(out / "same_maps.png", sheet)
        legend = "; ".join(f"{k}: {name}" for k, name in enumerate(best, start=1))
        shown.append(("The best recipes on the same label maps", "same_maps.png", f"First seed of each. {legend}."))
    for name in order:
        sheet = recipes[name][0].folder / "contact_sheet.png"
        if sheet.is_file():
            copy = out / f"{recipes[name][0].name.replace('/', '_')}.png"
            copy.write_bytes(sheet.read_bytes())
            shown.append((name, copy.name, f"Contact sheet of {recipes[name][0].name}."))
    return shown


def _config(result: Result) -> DictConfig:
    found = OmegaConf.create(dict(result.config))
    assert isinstance(found, DictConfig)
    return found
