"""Table and picture of the tricks from run.py's scores: python experiments/tricks-table/summarise.py runs/tricks/scores

Every choice is compared at the same seed with what it is measured against: the base, or for a post that enlarges, the
same pictures enlarged bicubically. The interval is Student's t over the seeds' differences, 95 %, not corrected for the
number of choices. A choice is called better where all three distances fall at every seed and the mask accuracy does not
fall in the mean; worse where all three rise at every seed. The last columns are the log's own effect on its FID, at
192x256 or 384x512 with 9,500 photographs and one run each: the signs may be compared, the sizes may not.

A row of results.csv whose scores are not there stays, where what it was measured against has come out the same to the
last digit.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import t as student

from scenegen.base.documents import read_json

BASE = "base"
SEEDS = (1, 2, 3)
LOG = {
    "trick=ema": ("offline-gaugan-05", "offline-gaugan-00"),
    "trick=pixelshuffle": ("offline-gaugan-10", "offline-gaugan-00"),
    "trick=diffaugment": ("gaugan-32", "gaugan-04"),
    "trick=accumulate": ("gaugan-29", "gaugan-04"),
    "generator_every=2": ("gaugan-30", "gaugan-06"),
    "attention=self": ("gaugan-28", "gaugan-04"),
    "attention=dual": ("offline-gaugan-02", "offline-gaugan-00"),
    "post=esrgan_x2": ("gaugan-04", "gaugan-05"),
    "post=cyclegan": ("gaugan-07", "gaugan-03"),
    "post=jpeg": ("cocosnetv1-03", "cocosnetv1-04"),
}
"""Choice -> its row of the log, and the row that is the nearest to it without the choice."""

ROLES = {
    "mask_acc": "mask_acc", "fid": "FID(efficientnet-lite2)", "scenenet": "FID(scenenet-photographs)",
    "pyramid": "pyramid",
}  # fmt: skip
"""Column -> the number's name in a score."""

DISTANCES = ("fid", "scenenet", "pyramid")
FIELDS = (
    "choice", "against", "seeds", "lost", *(f"{role}{end}" for role in ROLES for end in ("", "_change", "_reach")),
    "verdict", "log_row", "log_fid_change", "comes_back",
)  # fmt: skip
Parts = Mapping[str, float]


def read(folder: Path) -> dict[str, dict[int, dict]]:
    """Choice -> seed -> record of run.py."""
    found: dict[str, dict[int, dict]] = defaultdict(dict)
    for file in sorted(folder.glob("*.json")):
        record = read_json(file, what="the score", cure="delete it and run run.py again", shape=dict)
        found[record["choice"]][record["seed"]] = record
    return found


def summarise(found: Mapping[str, Mapping[int, dict]], log: Mapping[str, float]) -> list[dict]:
    """One row per choice with two seeds or more, `in_order`."""
    rows = []
    for choice, by_seed in found.items():
        against = next(iter(by_seed.values()))["against"]
        seeds = [seed for seed in by_seed if seed in found.get(against, {})]
        if len(seeds) < 2:
            continue
        after = {role: np.array([by_seed[seed]["parts"][name] for seed in seeds]) for role, name in ROLES.items()}
        before = {
            role: np.array([found[against][seed]["parts"][name] for seed in seeds]) for role, name in ROLES.items()
        }
        change = {role: after[role] - before[role] for role in ROLES}
        row: dict = {"choice": choice, "against": against, "seeds": len(seeds)}
        row["lost"] = " ".join(str(seed) for seed in SEEDS if seed not in seeds)
        for role in ROLES:
            row |= {
                role: after[role].mean(),
                f"{role}_change": change[role].mean(),
                f"{role}_reach": reach(change[role]),
            }
        row["verdict"] = "" if choice == against else verdict(change)
        here, there = LOG.get(choice, ("", ""))
        row["log_row"] = here
        row["log_fid_change"] = logged = log[here] - log[there] if here else None
        row["comes_back"] = "" if logged is None else comes_back(change, logged)
        rows.append(row)
    return in_order(rows)


def in_order(rows: list[dict]) -> list[dict]:
    """The base, then trained choices, then posts, each by their change in FID."""
    return sorted(rows, key=lambda row: (row["choice"] != BASE, row["choice"].startswith("post="), row["fid_change"]))


def kept(file: Path, rows: Sequence[Mapping[str, Any]]) -> list[dict]:
    """Rows of an earlier table for choices without scores here; none whose `against` has other numbers now."""
    now = {row["choice"]: row for row in rows}
    lines = file.read_text().splitlines() if file.exists() else []
    earlier = {row["choice"]: row for row in map(parsed, csv.DictReader(lines))}
    alike = {name for name, row in now.items() if name in earlier and all(earlier[name][r] == row[r] for r in ROLES)}
    return [row for name, row in earlier.items() if name not in now and row["against"] in alike]


def parsed(row: Mapping[str, str]) -> dict:
    """A line of results.csv as `summarise` makes it."""
    words = {"choice", "against", "lost", "verdict", "log_row", "comes_back"}
    found: dict = {name: value if name in words else float(value) if value else None for name, value in row.items()}
    return found | {"seeds": int(row["seeds"])}


def reach(change: np.ndarray) -> float:
    """Half of Student's 95 % interval of a mean."""
    return float(student.ppf(0.975, len(change) - 1) * change.std(ddof=1) / len(change) ** 0.5)


def verdict(change: Mapping[str, np.ndarray]) -> str:
    """Better, worse, or not told apart: see above."""
    if all((change[role] < 0).all() for role in DISTANCES) and change["mask_acc"].mean() >= 0:
        return "better"
    return "worse" if all((change[role] > 0).all() for role in DISTANCES) else "not told apart"


def comes_back(change: Mapping[str, np.ndarray], logged: float) -> str:
    """Yes where both networks' distances have the log's sign at every seed, no where they have the other one."""
    signs = {sign for role in ("fid", "scenenet") for sign in np.sign(change[role])}
    return "not told apart" if len(signs) > 1 else "yes" if signs == {np.sign(logged)} else "no"


def recorded(folder: Path) -> dict[str, float]:
    """Row of the log -> its FID."""
    tables = [
        list(csv.DictReader((folder / name).open(encoding="utf-8-sig"))) for name in ("online.csv", "offline_fid.csv")
    ]
    return {row["row"]: float(row["fid"]) for table in tables for row in table}


def markdown(rows: list[dict]) -> str:
    """The table as docs/ holds it."""
    lines = [
        "| choice | seeds | FID(Lite2) | change | FID(SceneNet) | pyramid | mask_acc | verdict | its FID | the same |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        same = row["choice"] == row["against"]
        cells = [row["choice"], f"{row['seeds']}{' (lost: ' + row['lost'] + ')' if row['lost'] else ''}"]
        cells.append(f"{row['fid']:.0f}")
        cells.append("" if same else f"{row['fid_change']:+.0f} ± {row['fid_reach']:.0f}")
        for role, places in (("scenenet", 1), ("pyramid", 0), ("mask_acc", 3)):
            value = row[role] if same else row[f"{role}_change"]
            spread = "" if same else f" ± {row[f'{role}_reach']:.{places}f}"
            cells.append(f"{value:{'' if same else '+'}.{places}f}{spread}")
        logged = row["log_fid_change"]
        cells += [row["verdict"], "" if logged is None else f"{logged:+.2f} ({row['log_row']})", row["comes_back"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: list[dict], out: Path) -> None:
    """Dots with intervals: the change of both networks' distances as a share of what it is measured against."""
    others = [row for row in rows if row["choice"] != row["against"]][::-1]
    figure = Figure(figsize=(9, 0.27 * len(others) + 1.3), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 4, sharey=True)
    for axes, role in zip(panels, ROLES, strict=True):
        for place, row in enumerate(others):
            middle, half = row[f"{role}_change"], row[f"{role}_reach"]
            good = (middle > 0) == (role == "mask_acc")
            colour = ("tab:green" if good else "tab:red") if abs(middle) > half else "0.45"
            axes.plot([middle - half, middle + half], [place, place], color=colour, linewidth=1.4)
            axes.plot(middle, place, "o", color=colour, markersize=4)
        axes.axvline(0, color="0.7", linewidth=1)
        axes.set_title(f"{ROLES[role]}\n{'more' if role == 'mask_acc' else 'less'} is better", fontsize=8)
        axes.tick_params(axis="x", labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(others)), [row["choice"] for row in others], fontsize=8)
    figure.supxlabel("change against the base at equal seeds (enlarging posts: against bicubic_x2), 95 %", fontsize=8)
    figure.savefig(out, dpi=110, format="png")


def main(words: list[str]) -> None:
    if len(words) != 1 or not Path(words[0]).is_dir():
        raise SystemExit(__doc__)
    rows = summarise(read(Path(words[0])), recorded(Path(__file__).parent.parent))
    if not rows:
        raise SystemExit("no choice has two seeds beside the base's: let run.py end, with the group base")
    here = Path(__file__).parent
    rows = in_order([*rows, *kept(here / "results.csv", rows)])
    with (here / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, here / "results.png")
    print(markdown(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
