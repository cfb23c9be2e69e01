"""Table and picture of the inpainting study: python experiments/inpainting-study/summarise.py runs/inpainting-study

Runs lie in one folder as VARIANT-SEED, as docs/inpainting.md trains them. Every variant is compared with the base by
`scenegen.compare`'s own rules: paired pictures, paired seeds, Holm's correction. A seed counts where the variant and
the base both have it. The intervals are of pictures and seeds where there are two seeds, of pictures alone where
there is one. The log's own numbers, of its own size and data, stand beside.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scenegen.config.stored import read_values
from scenegen.reporting.comparison import compare
from scenegen.reporting.ledger import read_sisters
from scenegen.reporting.quantities import quantities
from scenegen.reporting.results import Result, read
from scenegen.runs.folder import RESULT

BASE = "base"
FIELDS = ["measure", "variant", "seeds", "value", "base", "difference", "low", "high", "p", "log", "log_base"]


def finished(home: Path) -> dict[str, list[Result]]:
    """Variant -> its finished runs by seed."""
    found: dict[str, list[Result]] = {}
    for path in sorted(home.glob(f"*-[0-9]*/{RESULT}")):
        variant, _, _ = path.parent.name.rpartition("-")
        found.setdefault(variant, []).append(read(path.parent, read_config=read_values))
    return found


def rows_of(
    variants: Mapping[str, Sequence[Result]], logged: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """One row per measure and variant, each against the base's runs of the same seeds."""
    rows = []
    base = {run.seed: run for run in variants[BASE]}
    for variant, runs in variants.items():
        own = [run for run in runs if run.seed in base]
        if variant == BASE or not own:
            continue
        pair = {variant: own, BASE: [base[run.seed] for run in own]}
        by, _ = quantities([run for some in pair.values() for run in some])
        for one in compare(pair, by=by):
            (found,) = one.pairs
            sign = 1 if found.first == variant else -1
            low, high = sorted((sign * found.low, sign * found.high))
            log, log_base = (logged.get(f"inpainting-{name}", {}).get(one.quantity, "") for name in (variant, BASE))
            rows.append({"measure": one.quantity, "variant": variant, "seeds": len(own), "value": one.means[variant],
                         "base": one.means[BASE], "difference": sign * found.difference, "low": low, "high": high,
                         "p": found.p, "log": log, "log_base": log_base})  # fmt: skip
    return rows


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line per variant, as docs/inpainting.md has them."""
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    bases = {row["measure"]: row["base"] for row in sorted(rows, key=lambda row: row["seeds"])}
    lines = [f"| variant | seeds | {' | '.join(f'{m} (base {bases[m]:.4g})' for m in measures)} | the log's own |",
             "|---|---|" + "---|" * (len(measures) + 1)]  # fmt: skip
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        cells = [f"{row['difference']:+.3g} [{row['low']:+.3g}, {row['high']:+.3g}]" for row in own]
        log = ", ".join(f"{r['measure']} {r['log']:g} against {r['log_base']:g}" for r in own if r["log"] != "")
        lines.append(f"| {variant} | {own[0]['seeds']} | {' | '.join(cells)} | {log} |")
    return "\n".join(lines)


def draw(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """A field per measure: dots with intervals; hollow where one seed was run."""
    measures = sorted({row["measure"] for row in rows})
    variants = sorted({row["variant"] for row in rows}, reverse=True)
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, measure in zip(figure.subplots(2, 3, sharey=True).flat, measures, strict=False):
        for row in (row for row in rows if row["measure"] == measure):
            place = variants.index(row["variant"])
            face = "tab:blue" if row["seeds"] > 1 else "white"
            axes.plot([row["low"], row["high"]], [place, place], color="tab:blue", linewidth=1.3)
            axes.plot(row["difference"], place, "o", color="tab:blue", markerfacecolor=face, markersize=5)
        axes.axvline(0, color="0.7", linewidth=1)
        axes.set_yticks(range(len(variants)), variants, fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.locator_params(axis="x", nbins=5)
        axes.set_title(f"{measure}: difference to the base", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=90, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path, help="folder of the runs, each VARIANT-SEED")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where results.csv and results.png go")
    chosen = parser.parse_args()
    variants = finished(chosen.home)
    if BASE not in variants or len(variants) < 2:
        raise SystemExit(f"{chosen.home} holds no finished {BASE}-SEED and a variant beside it; train both first")
    rows = rows_of(variants, read_sisters(Path(__file__).parents[1]))
    rows.sort(key=lambda row: (row["measure"], row["variant"]))
    with (chosen.out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    draw(rows, chosen.out / "results.png")
    print(markdown(rows))


if __name__ == "__main__":
    main()
