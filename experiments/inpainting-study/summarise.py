"""Table and picture of the inpainting study: python experiments/inpainting-study/summarise.py A.json B.json

Reads what `scenegen.compare runs=... json=A.json` wrote, and shows every recipe against the base of its own file, of
the first file that has the recipe. The intervals are compare's own: of pictures and seeds where there are two seeds,
of pictures alone where there is one.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BASE = "base"
FIELDS = ["measure", "recipe", "seeds", "value", "base", "difference", "low", "high", "p"]


def recipe_of(name: str) -> str:
    """`simam` of `experiment=inpainting-simam seed=1`."""
    found = re.search(r"experiment=inpainting-([\w-]+)", name)
    if found is None:
        raise SystemExit(f"{name} is no recipe of the log's inpainting table; compare runs of experiment=inpainting-*")
    return found.group(1)


def rows_of(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per measure and recipe, each against the base."""
    rows = []
    for part in (comparison, *comparison["further"]):
        means = {recipe_of(name): value for name, value in part["means"].items()}
        seeds = {recipe_of(name): len(found) for name, found in comparison["seeds"].items()}
        for pair in part["pairs"]:
            first, second = recipe_of(pair["first"]), recipe_of(pair["second"])
            if BASE not in (first, second):
                continue
            sign, other = (1, first) if second == BASE else (-1, second)
            low, high = sorted(sign * end for end in (pair["low"], pair["high"]))
            rows.append(
                {
                    "measure": part["quantity"],
                    "recipe": other,
                    "seeds": seeds[other],
                    "value": means[other],
                    "base": means[BASE],
                    "difference": sign * pair["difference"],
                    "low": low,
                    "high": high,
                    "p": pair["p"],
                }
            )
    return rows


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """A field per measure: dots with intervals; hollow where one seed was run."""
    measures = sorted({row["measure"] for row in rows})
    recipes = sorted({row["recipe"] for row in rows}, reverse=True)
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, measure in zip(figure.subplots(2, 3, sharey=True).flat, measures, strict=False):
        for row in (row for row in rows if row["measure"] == measure):
            place = recipes.index(row["recipe"])
            face = "tab:blue" if row["seeds"] > 1 else "white"
            axes.plot([row["low"], row["high"]], [place, place], color="tab:blue", linewidth=1.3)
            axes.plot(row["difference"], place, "o", color="tab:blue", markerfacecolor=face, markersize=5)
        axes.axvline(0, color="0.7", linewidth=1)
        axes.set_yticks(range(len(recipes)), recipes, fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.set_title(f"{measure}: difference to the base", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=90, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparisons", type=Path, nargs="+", help="what scenegen.compare json= wrote")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where results.csv and results.png go")
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for file in chosen.comparisons:
        known = {row["recipe"] for row in rows}
        rows += [row for row in rows_of(json.loads(file.read_text())) if row["recipe"] not in known]
    rows.sort(key=lambda row: (row["measure"], row["recipe"]))
    with (chosen.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    draw(rows, chosen.out / "results.png")


if __name__ == "__main__":
    main()
