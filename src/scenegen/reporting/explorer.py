"""The report's view of all runs: curves overlaid, parallel coordinates, pictures by step, differences of configs.

Everything stands in the page itself: numbers as JSON, one script, no network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from scenegen.base.files import own_file, whole
from scenegen.base.pictures import open_picture
from scenegen.reporting.results import NOT_RECIPE, Result
from scenegen.runs.folder import GRIDS, METRICS
from scenegen.runs.rows import read_rows
from scenegen.tracking.tags import tags_of

POINTS = 100
"""Points of a curve; more logged steps become means of equally long stretches."""

MOST_CURVES = 16
"""Logged values whose curves are kept: those that the report names first, then the others by name."""

MOST_STEPS = 6
"""Steps of a run whose grids are shown."""

MOST_GRIDS = 240
"""Grids on the page; the best runs come first."""

WIDEST = 720
"""Pixels of a grid on the page."""

MOST_KEYS = 400
"""Keys of the configs' differences."""

FOLDER = "grids"
"""Folder of the grids beside the page."""

_DIGITS = re.compile(r"(\d+)")


def explorer(runs: Sequence[Result], *, out: Path, curves: Sequence[str]) -> str:
    """The view as a part of a page of HTML; grids are written beside the page.

    Args:
        runs: best first.
        out: folder of the page.
        curves: logged values that come first.

    Returns:
        "" for no runs.
    """
    if not runs:
        return ""
    configs = [choices_of(run) for run in runs]
    keys = differing(configs)
    grids = write_grids(runs, out=out)
    shown = [
        {
            "name": run.name,
            "recipe": run.recipe,
            "tags": words_of(run),
            "numbers": numbers_of(run),
            "curves": curves_of(run.folder / METRICS, first=curves),
            "grids": grids.get(k, []),
            "config": {key: config.get(key) for key in keys if key in config},
        }
        for k, (run, config) in enumerate(zip(runs, configs, strict=True))
    ]
    text = json.dumps({"runs": shown, "keys": keys}, separators=(",", ":"), default=str, allow_nan=False)
    part = files("scenegen.reporting")
    script = part.joinpath("explorer.js").read_text(encoding="utf-8")
    body = part.joinpath("explorer.html").read_text(encoding="utf-8")
    left = sum(bool(_grids(run)) for run in runs) - len(grids)
    note = f" Pictures of the first {len(grids)} runs alone; {left} more have some in their folders." if left else ""
    return (
        body.replace("GRIDS_NOTE", escape(note))
        + f'<script type="application/json" id="x-data">{text.replace("<", chr(92) + "u003c")}</script>'
        + f"<script>{script}</script>"
    )


def words_of(run: Result) -> list[str]:
    """Words that the filter finds a run by: its name, seed, overrides, and the tags that W&B would get."""
    given = ((run.config.get("logger") or {}).get("wandb") or {}).get("tags") or ()
    own = tags_of(run.config) if {"model", "data", "loss"} <= set(run.config) else ()
    words = (run.name, f"seed={run.seed}", *run.recipe.split(" "), f"task={run.task}", *own, *map(str, given))
    return list(dict.fromkeys(word for word in words if word))


def numbers_of(run: Result) -> dict[str, float]:
    """The total and its parts, those that are finite."""
    found = {"total": run.total, **run.parts}
    return {name: float(value) for name, value in found.items() if value is not None and np.isfinite(value)}


def curves_of(metrics: Path, *, first: Sequence[str]) -> dict[str, list[list[float]]]:
    """Logged value -> [steps, values] of at most POINTS points, the mean of a stretch at its mean step."""
    rows = read_rows(metrics)
    names = {name for row in rows for name in row} - {"step"}
    ordered = [*(name for name in first if name in names), *sorted(names - set(first))]
    found = {}
    for name in ordered[:MOST_CURVES]:
        points = np.array([(float(row["step"]), float(row[name])) for row in rows if name in row])
        points = points[np.isfinite(points).all(1)]
        if len(points):
            stretches = np.array_split(points, min(POINTS, len(points)))
            found[name] = [_short(stretch[:, k].mean() for stretch in stretches) for k in (0, 1)]
    return found


def choices_of(run: Result) -> dict[str, Any]:
    """The overrides that chose options of groups (`loss=a+b`), then every dotted key of the config but the name."""
    words = dict(word.split("=", 1) for word in run.recipe.split(" ") if "=" in word)
    own = flat({key: value for key, value in run.config.items() if key not in ("name", "resume")})
    return {**{key.lstrip("+"): value for key, value in words.items() if key.lstrip("+") not in own}, **own}


def flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Dotted key -> value of a config; lists stay whole, as text."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        else:
            plain = isinstance(value, (int, str)) or (isinstance(value, float) and np.isfinite(value))
            found[name] = value if plain else json.dumps(value, default=str)
    return found


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose values are not the same in all configs; in the order of the configs, the seed last."""
    keys = dict.fromkeys(key for config in configs for key in config)
    found = [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]
    return sorted(found[:MOST_KEYS], key=lambda key: key in NOT_RECIPE)


def write_grids(runs: Sequence[Result], *, out: Path) -> dict[int, list[tuple[int, str]]]:
    """Copies of the runs' grids beside the page.

    Returns:
        Place of the run -> (step, path relative to the page), by step.
    """
    found: dict[int, list[tuple[int, str]]] = {}
    count = 0
    for k, run in enumerate(runs):
        there = _grids(run)
        places = np.linspace(0, len(there) - 1, min(MOST_STEPS, len(there))).round().astype(int)
        chosen = [there[place] for place in dict.fromkeys(places.tolist())]
        if not chosen or count + len(chosen) > MOST_GRIDS:
            continue
        count += len(chosen)
        folder = f"{k:03d}_{re.sub(r'[^A-Za-z0-9._-]', '_', run.name)[:60]}"
        (out / FOLDER / folder).mkdir(parents=True, exist_ok=True)
        found[k] = []
        for step, path in chosen:
            name = f"{FOLDER}/{folder}/{step}.jpg"
            with open_picture(own_file(path, run.folder)) as picture:
                small = picture.convert("RGB")
                small.thumbnail((WIDEST, 10 * WIDEST))
                with whole(out / name) as part:
                    small.save(part, format="JPEG", quality=85)
            found[k].append((step, name))
    return found


def _grids(run: Result) -> list[tuple[int, Path]]:
    """(step, file) of a run's grids, by step."""
    named = [(_DIGITS.findall(path.stem), path) for path in (run.folder / GRIDS).glob("*.png")]
    return sorted((int(digits[-1]), path) for digits, path in named if digits)


def _short(values: Iterable[float]) -> list[float]:
    """Numbers of five digits, as a screen shows them."""
    return [float(f"{value:.5g}") for value in values]
