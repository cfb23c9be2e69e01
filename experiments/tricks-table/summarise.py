"""Table and picture of the tricks: python experiments/tricks-table/summarise.py runs/tricks/*

Every choice is compared with the base (all groups as the recipe has them) at the same seed; a post with the pictures
before it, of the same runs. The interval is Student's t over the seeds' differences, 95 %, not corrected for the number
of choices. The last columns are the log's own effect on its FID, at 192x256 or 384x512 with 9,500 photographs and one
run each: the signs may be compared, the sizes may not.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import t as student

from scenegen.base.documents import read_json
from scenegen.runs.folder import RECORD, RESULT

BASE = "base"
OF_BASE = ("trick=none", "attention=none", "encoder=own", "planes=none", "discriminator=patch", "post=none",
           "generator_every=1")  # fmt: skip
GROUPS = tuple(word.split("=")[0] for word in OF_BASE)
LOG = {
    "trick=ema": ("offline-gaugan-05", "offline-gaugan-00"),
    "trick=pixelshuffle": ("offline-gaugan-10", "offline-gaugan-00"),
    "trick=diffaugment": ("gaugan-32", "gaugan-04"),
    "trick=accumulate": ("gaugan-29", "gaugan-04"),
    "generator_every=2": ("gaugan-30", "gaugan-06"),
    "attention=self": ("gaugan-28", "gaugan-04"),
    "attention=dual": ("offline-gaugan-02", "offline-gaugan-00"),
    "post=bicubic_x2": ("gaugan-05", "gaugan-04"),
    "post=cyclegan": ("gaugan-07", "gaugan-03"),
}
"""Choice -> its row of the log, and the row that is the nearest to it without the choice (bicubic against ESRGAN)."""

FIELDS = ("choice", "seeds", "total", "change", "low", "high", "fid", "fid_change", "log_row", "log_fid_change")
Parts = dict[str, float]


def read(sweeps: list[Path]) -> dict[str, dict[int, tuple[Parts, Parts]]]:
    """Choice -> seed -> parts of the run and of what it is compared with."""
    runs: dict[str, dict[int, Parts]] = defaultdict(dict)
    found: dict[str, dict[int, tuple[Parts, Parts]]] = defaultdict(dict)
    for file in sorted(path for sweep in sweeps for path in sweep.glob(f"*/{RESULT}")):
        result = read_json(file, what="the result", cure="let the run end", shape=dict)
        record = read_json(file.parent / RECORD, what="the record", cure="let the run end", shape=dict)
        words = [word for word in record["overrides"] if word.split("=")[0] in GROUPS and word not in OF_BASE]
        chosen = dict(word.split("=", 1) for word in record["overrides"] if "=" in word)
        seed = int(chosen.get("seed", 0))
        after = parts_of(result)
        if any(word.startswith("post=") for word in words):
            stages = [parts_of(stage) for stage in result["stages"]]
            found[" ".join(words)][seed] = after, stages[0]
        else:
            runs[" ".join(words) or BASE][seed] = after
    for choice, by_seed in runs.items():
        for seed, parts in by_seed.items():
            if seed in runs[BASE]:
                found[choice][seed] = parts, runs[BASE][seed]
    return found


def parts_of(result: dict) -> Parts:
    """Total and FID of a result or a stage."""
    parts = {name.split("(")[0].lower(): part["value"] for name, part in result["parts"].items()}
    return {"total": result["total"], "fid": parts["fid"]}


def summarise(found: dict[str, dict[int, tuple[Parts, Parts]]], log: dict[str, float]) -> list[dict]:
    """One row per choice with two seeds or more, the base first, then the largest gain."""
    rows = []
    for choice, pairs in found.items():
        if len(pairs) < 2:
            continue
        change = np.array([after["total"] - before["total"] for after, before in pairs.values()])
        reach = float(student.ppf(0.975, len(change) - 1) * change.std(ddof=1) / len(change) ** 0.5)
        row, against = LOG.get(choice, ("", ""))
        after, before = (
            {key: float(np.mean([pair[side][key] for pair in pairs.values()])) for key in ("total", "fid")}
            for side in (0, 1)
        )
        rows.append({
            "choice": choice, "seeds": len(pairs), "total": after["total"], "change": float(change.mean()),
            "low": float(change.mean()) - reach, "high": float(change.mean()) + reach, "fid": after["fid"],
            "fid_change": after["fid"] - before["fid"], "log_row": row,
            "log_fid_change": log[row] - log[against] if row else None,
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["choice"] != BASE, -row["change"]))


def recorded(folder: Path) -> dict[str, float]:
    """Row of the log -> its FID."""
    tables = [
        list(csv.DictReader((folder / name).open(encoding="utf-8-sig"))) for name in ("online.csv", "offline_fid.csv")
    ]
    return {row["row"]: float(row["fid"]) for table in tables for row in table}


def markdown(rows: list[dict]) -> str:
    """The table as docs/ holds it."""
    lines = [
        "| choice | seeds | total | change, 95 % | FID | change | the log's FID change |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        same = row["choice"] == BASE
        change = "" if same else f"{row['change']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        logged = "" if row["log_fid_change"] is None else f"{row['log_fid_change']:+.2f} ({row['log_row']})"
        lines.append(f"| {row['choice']} | {row['seeds']} | {row['total']:.4f} | {change} | {row['fid']:.1f} "
                     f"| {'' if same else format(row['fid_change'], '+.1f')} | {logged} |")  # fmt: skip
    return "\n".join(lines)


def draw(rows: list[dict], out: Path) -> None:
    """Dots with intervals, best first."""
    others = [row for row in rows if row["choice"] != BASE][::-1]
    figure = Figure(figsize=(7.5, 0.27 * len(others) + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, row in enumerate(others):
        sure = row["low"] > 0 or row["high"] < 0
        colour = ("tab:green" if row["change"] > 0 else "tab:red") if sure else "0.45"
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.4)
        axes.plot(row["change"], place, "o", color=colour, markersize=5)
    axes.axvline(0, color="0.7", linewidth=1)
    axes.set_yticks(range(len(others)), [row["choice"] for row in others], fontsize=8)
    axes.set_xlabel(
        "change of the total against the base (of a post: against the pictures before it), 95 %", fontsize=9
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=120, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", type=Path, nargs="+", help="folders of sweeps, one of them with runs of the base")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where results.csv and results.png go")
    chosen = parser.parse_args()
    rows = summarise(read(chosen.sweeps), recorded(Path(__file__).parent.parent))
    if not rows:
        raise SystemExit(
            "no choice has two seeds beside the base's: let -m ... seed=1,2,3 end, with trick=none among it"
        )
    with (chosen.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, chosen.out / "results.png")
    print(markdown(rows))


if __name__ == "__main__":
    main()
