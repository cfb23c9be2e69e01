"""Table and picture of the loss study: python experiments/loss-study/summarise.py runs/loss-study

Every term is compared with the model's own objective (loss=none) at the same seed. The interval is Student's t over
the seeds' differences, 95 %, not corrected for the number of terms compared: with so many comparisons about one in
twenty leaves zero out by chance.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BASE = "none"
OWN = ("feature_matching", "hinge", "kld", "vgg")
"""Options that the model's own objective holds already: adding them changes nothing."""
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}
"""Two-sided 95 % quantile of Student's t with n - 1 degrees of freedom, by the number of seeds n."""
FIELDS = ["loss", "seeds", "total", "difference", "low", "high", "mask_acc", "fid_scenenet", "aesthetic_standin"]


def read(sweep: Path) -> dict[str, dict[int, dict[str, float]]]:
    """loss option -> seed -> total and parts, for the jobs that ended."""
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    for file in sorted(sweep.glob("*/result.json")):
        overrides = json.loads((file.parent / "run.json").read_text())["overrides"]
        chosen = dict(override.split("=", 1) for override in overrides)
        result = json.loads(file.read_text())
        parts = {name.split("(")[0].lower(): part["value"] for name, part in result["parts"].items()}
        found[chosen["loss"]][int(chosen["seed"])] = {"total": result["total"], **parts}
    return found


def summarise(found: dict[str, dict[int, dict[str, float]]]) -> list[dict[str, object]]:
    """One row per loss option, best total first."""
    if BASE not in found:
        raise SystemExit(f"no finished job with loss={BASE}: the study has nothing to compare with")
    rows = []
    for loss, by_seed in found.items():
        seeds = sorted(set(by_seed) & set(found[BASE]))
        if len(seeds) < 2 or loss in OWN:
            continue
        gain = np.array([by_seed[s]["total"] - found[BASE][s]["total"] for s in seeds])
        reach = T_95[len(seeds)] * gain.std(ddof=1) / len(seeds) ** 0.5
        mean = {
            key: float(np.mean([by_seed[s][key] for s in seeds])) for key in ("total", "mask_acc", "fid", "aesthetic")
        }
        row = {"loss": loss, "seeds": len(seeds), "total": mean["total"], "difference": float(gain.mean())}
        row |= {"low": float(gain.mean() - reach), "high": float(gain.mean() + reach), "mask_acc": mean["mask_acc"]}
        rows.append(row | {"fid_scenenet": mean["fid"], "aesthetic_standin": mean["aesthetic"]})
    return rows


def draw(rows: list[dict[str, object]], out: Path) -> None:
    """Dots with intervals, best first."""
    others = [row for row in rows if row["loss"] != BASE][::-1]
    figure = Figure(figsize=(7.5, 0.27 * len(others) + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, row in enumerate(others):
        low, middle, high = (float(str(row[key])) for key in ("low", "difference", "high"))
        sure = low > 0 or high < 0
        colour = ("tab:green" if middle > 0 else "tab:red") if sure else "0.45"
        axes.plot([low, high], [place, place], color=colour, linewidth=1.4)
        axes.plot(middle, place, "o", color=colour, markersize=5)
    axes.axvline(0, color="0.7", linewidth=1)
    axes.set_yticks(range(len(others)), [str(row["loss"]) for row in others], fontsize=8)
    axes.set_xlabel(
        "change of the stand-in total against the model's own objective, same seeds, 95 % interval", fontsize=9
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=120, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, nargs="+", help="folders of sweeps, each with runs of loss=none of its own")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where results.csv and results.png go")
    chosen = parser.parse_args()
    tables = [summarise(read(sweep)) for sweep in chosen.sweep]
    rows = tables[0] + [row for table in tables[1:] for row in table if row["loss"] != BASE]
    rows.sort(key=lambda row: -float(str(row["difference"])))
    with (chosen.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})
    draw(rows, chosen.out / "results.png")
    for row in rows:
        interval = f"[{row['low']:+.4f}, {row['high']:+.4f}]"
        parts = f"mask_acc {row['mask_acc']:.4f}  FID(scenenet) {row['fid_scenenet']:.1f}"
        print(f"{row['loss']:18} {row['total']:.4f}  {row['difference']:+.4f} {interval}  {parts}  n {row['seeds']}")


if __name__ == "__main__":
    main()
