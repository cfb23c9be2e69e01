"""Table and plot of what judges see: python benchmarks/judges/table.py --root ../shared/data/labelme_landscapes

The val photographs of a data=folder, shrunk to 128x128, stand for generated pictures: as they are, and with every
distortion of distortions.py at three strengths. Each judge's number is taken by the scorer that scores generated
pictures; the reference are every fourth training photographs. A judge ranks photographs where each distortion, the
more of it the more, moves its number the bad way; the last column counts the distortions where it does.

Writes judges.json and judges.png into --out, and prints the table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
from distortions import DISTORTIONS
from PIL import Image

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.score import Settings
from scenegen.scoring.inputs import Chosen, Options, still

STRENGTHS = (0.2, 0.5, 0.8)
PHOTOGRAPHS = ("measure=kid+sliced+coverage+pyramid",)
SCENENET = ("segmenter=scenenet_photographs", "aesthetic=standin", "fid=scenenet_photographs")
RENDERED = ("segmenter=scenenet", "aesthetic=standin", "fid=scenenet")
SCORERS = {"": PHOTOGRAPHS, "scenenet_photographs ": SCENENET, "scenenet ": RENDERED}
"""Beginning of the names of a scorer's numbers -> its options."""

RISE = {"total", "mask_acc", "aesthetic", "coverage"}
"""Roles whose numbers are the better the higher."""

Rows = dict[str, dict[str, float]]
"""Judge -> set of pictures ("photographs", "noise 1", ...) -> number."""


def measured(root: Path, count: int) -> Rows:
    """Numbers of every judge."""
    rows: Rows = {}
    with tempfile.TemporaryDirectory() as folder:
        sets: dict[str, Path] = {}
        for prefix, options in SCORERS.items():
            words = ["generated=x", "data=folder", f"data.root={root}", "size.height=128", "size.width=128", *options]
            config = plan(compose("score", words), settings=Settings).config
            test, train = (still(build.dataset(config, split=split)) for split in ("test", "train"))
            maps = Chosen(test, [i * len(test) // count for i in range(count)])
            sets = sets or written(maps, Path(folder))
            scorer = build.scorer(config, maps)
            for name, pictures in sets.items():
                reference = Chosen(train, range(0, len(train), 4))
                chosen = Options(floor=False, infinity=False, cache=str(Path(folder) / "cache"))
                score = scorer.score(pictures, maps, reference=reference, options=chosen)
                numbers = {"total": score.total, **{role: part.value for role, part in score.parts.items()}}
                for role, value in numbers.items():
                    title = role if role not in score.parts else score.parts[role].name
                    rows.setdefault(f"{prefix}{title}", {})[name] = float(value or 0)
                print(prefix, name, {role: round(float(value or 0), 4) for role, value in numbers.items()}, flush=True)
    return rows


def written(maps: Chosen, folder: Path) -> dict[str, Path]:
    """Name of a set -> folder of its pictures, the photographs as they are first."""
    pictures = [np.asarray(maps[i].image.permute(1, 2, 0)) for i in range(len(maps))]
    sets = {"photographs": pictures}
    for name, distortion in DISTORTIONS.items():
        for level, strength in enumerate(STRENGTHS, start=1):
            forms = (np.random.default_rng(form) for form in range(len(pictures)))
            sets[f"{name} {level}"] = [distortion(p, strength, f) for p, f in zip(pictures, forms, strict=True)]
    for name, made in sets.items():
        (folder / name).mkdir()
        for stem, picture in zip(maps.names, made, strict=True):
            Image.fromarray(picture).save(folder / name / f"{stem}.png")
    return {name: folder / name for name in sets}


def in_order(judge: str, values: dict[str, float]) -> list[str]:
    """Distortions that move a judge's number the bad way, the more the more."""
    sign = -1 if any(word in judge for word in RISE) else 1
    found = []
    for name in DISTORTIONS:
        walk = [sign * values["photographs"], *(sign * values[f"{name} {level}"] for level in (1, 2, 3))]
        found += [name] if all(a < b for a, b in pairwise(walk)) else []
    return found


def table(rows: Rows) -> str:
    """Markdown: a judge a line, a distortion a column of its three numbers."""
    lines = ["| judge | photographs | " + " | ".join(DISTORTIONS) + " | in order |",
             "|---" * (len(DISTORTIONS) + 3) + "|"]  # fmt: skip
    for judge, values in rows.items():
        cells = [" / ".join(_said(values[f"{name} {level}"]) for level in (1, 2, 3)) for name in DISTORTIONS]
        share = f"{len(in_order(judge, values))} of {len(DISTORTIONS)}"
        lines.append(f"| {judge} | {_said(values['photographs'])} | {' | '.join(cells)} | {share} |")
    return "\n".join(lines)


def _said(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def draw(rows: Rows, file: Path) -> None:
    """A panel per judge: its number over the strength, a line per distortion."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    across = 4
    figure, axes = plt.subplots(-(-len(rows) // across), across, figsize=(13, 2.6 * -(-len(rows) // across)))
    for axis in axes.flat[len(rows) :]:
        axis.set_axis_off()
    for axis, (judge, values) in zip(axes.flat, rows.items(), strict=False):
        for name in DISTORTIONS:
            walk = [values["photographs"], *(values[f"{name} {level}"] for level in (1, 2, 3))]
            axis.plot(range(4), walk, marker="o", markersize=3, label=name)
        blind = [name for name in DISTORTIONS if name not in in_order(judge, values)]
        axis.set_title(judge + (f"\nnot in order: {', '.join(blind)}" if blind else ""), fontsize=8)
        axis.set_xticks(range(4), ["none", *map(str, STRENGTHS)], fontsize=7)
        axis.tick_params(axis="y", labelsize=7)
    axes.flat[0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(file, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a data=folder of the contest's 29 classes")
    parser.add_argument("--count", type=int, default=100, help="val photographs that are taken")
    parser.add_argument("--out", type=Path, default=Path("runs/judges"))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    file = chosen.out / "judges.json"
    rows = measured(chosen.root, chosen.count)
    file.write_text(json.dumps(rows, indent=1))
    draw(rows, chosen.out / "judges.png")
    print(table(rows))


if __name__ == "__main__":
    main()
