"""The study of denoisers: python experiments/denoising-study/study.py [only=VARIANT,VARIANT] [seeds=1,2,3]

Trains every variant of recipe.yaml with every seed into runs/denoising-study, leaves out what is done, and writes
results.csv, results.png (change against the base, 95 %) and pictures.png (one slice by every variant) beside this file.
The comparison is `scenegen.compare`'s: paired slices, paired seeds, Holm's correction for all questions.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scenegen.base.pictures import save_png
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.config.stored import read_values
from scenegen.data.levels import read_levels
from scenegen.data.samples import Sample
from scenegen.metrics import hounsfield
from scenegen.reporting.comparison import Comparison
from scenegen.reporting.comparison import compare as compared
from scenegen.reporting.quantities import Single
from scenegen.reporting.results import Result, read
from scenegen.reporting.verdict import conclusion
from scenegen.runs.folder import RESULT, SAMPLES
from scenegen.sampling.sheets import contact_sheet

HOME = Path("runs/denoising-study")
BASE = "base"
RESTORMER = "restormer"
"""Variant that has a recipe of its own."""

VARIANTS = {
    BASE: (),
    "style-0.1": ("loss=style", "loss.style.weight=0.1"),
    "style-1": ("loss=style", "loss.style.weight=1.0"),
    "style-85": ("loss=style", "loss.style.weight=85"),
    "style-850": ("loss=style", "loss.style.weight=850"),
    "cross": ("model.exchange.cross=1",),
    "cross-residual": ("model.exchange.cross=1", "model.exchange.residual=true"),
    "noise": ("model.fusion=noise",),
    "teacher": ("loss=teacher", "loss.teacher.weight=20"),
    RESTORMER: (),
}
"""Variant -> what it changes in the recipe; "noise" is one U-Net in place of two branches. Texture's gradient at
weights of 85 and 850 is a tenth of the L1 term's, and as long as it."""

MEASURES = (Single("psnr_hu", "higher"), Single("ssim_hu", "higher"), Single("rmse_hu", "lower"))
WINDOW = (-1024.0, 3072.0)
FIELDS = (
    "variant",
    "seeds",
    *(f"{one.name}{end}" for one in MEASURES for end in ("", "_change", "_low", "_high", "_p")),
)
SHOWN = 3
"""Test slice that pictures.png shows."""


def words_of(variant: str) -> list[str]:
    """Words of the command that trains a variant."""
    recipe = f"denoising-study-{variant}" if variant == RESTORMER else "denoising-study"
    return [f"experiment={recipe}", *VARIANTS[variant]]


def train(variants: Sequence[str], seeds: Sequence[int]) -> None:
    """Train what has no result yet."""
    for seed in seeds:
        for variant in variants:
            if not (HOME / f"{variant}-{seed}" / RESULT).is_file():
                words = [*words_of(variant), f"seed={seed}", f"name={HOME.name}/{variant}-{seed}"]
                subprocess.run([sys.executable, "-m", "scenegen.train", *words], check=True)  # nosec B603  # no shell


def finished() -> dict[str, list[Result]]:
    """Variant -> its finished runs by seed, the base first."""
    found = {variant: sorted(HOME.glob(f"{variant}-[0-9]*/{RESULT}")) for variant in VARIANTS}
    return {variant: [read(path.parent, read_config=read_values) for path in paths]
            for variant, paths in found.items() if paths}  # fmt: skip


def summarise(recipes: Mapping[str, Sequence[Result]], found: Sequence[Comparison]) -> list[dict]:
    """One row per variant; changes are those of the base's number."""
    rows = []
    for variant, runs in recipes.items():
        row: dict = {"variant": variant, "seeds": len(runs)}
        for one in found:
            row[one.quantity] = one.means[variant]
            for pair in one.pairs:
                if {pair.first, pair.second} == {variant, BASE} and variant != BASE:
                    ends = (pair.low, pair.high) if pair.first == variant else (-pair.high, -pair.low)
                    change = pair.difference if pair.first == variant else -pair.difference
                    values = (change, *ends, pair.p)
                    row |= {f"{one.quantity}_{end}": value
                            for end, value in zip(("change", "low", "high", "p"), values, strict=True)}  # fmt: skip
        rows.append(row)
    return rows


def markdown(rows: Sequence[Mapping]) -> str:
    """The table as docs/denoising.md holds it."""
    lines = ["| variant | seeds | PSNR in dB | change, 95 % | SSIM | change, 95 % | RMSE in HU | change, 95 % |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in rows:
        cells = []
        for one, digits in zip(MEASURES, (2, 4, 1), strict=True):
            cells.append(f"{row[one.name]:.{digits}f}")
            change = [row.get(f"{one.name}_{end}") for end in ("change", "low", "high")]
            middle, low, high = (f"{value:+.{digits}f}" if value is not None else "" for value in change)
            cells.append(f"{middle} [{low}, {high}]" if middle else "")
        lines.append(f"| {row['variant']} | {row['seeds'] or ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def noisy(samples: Sequence[Sample]) -> dict:
    """The input's own row."""
    pairs = [(one.depth.units(one.source[None]), one.depth.units(one.image[None]))
             for one in samples if one.depth and one.source is not None and one.image is not None]  # fmt: skip
    values = {}
    for name, measure in (("psnr_hu", hounsfield.psnr), ("ssim_hu", hounsfield.ssim), ("rmse_hu", hounsfield.rmse)):
        values[name] = sum(float(measure(x, y, window=WINDOW)) for x, y in pairs) / len(pairs)
    return {"variant": "(noisy input)", "seeds": 0, **values}


def draw(rows: Sequence[Mapping], out: Path) -> None:
    """Changes against the base with their intervals, a panel per measure."""
    others = [row for row in rows if row["variant"] in VARIANTS and row["variant"] != BASE][::-1]
    figure = Figure(figsize=(9, 0.4 * len(others) + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    for place, one in enumerate(MEASURES, start=1):
        axes = figure.add_subplot(1, len(MEASURES), place)
        for y, row in enumerate(others):
            colour = "tab:blue" if row[f"{one.name}_p"] < 0.05 else "0.45"
            axes.plot([row[f"{one.name}_low"], row[f"{one.name}_high"]], [y, y], color=colour)
            axes.plot(row[f"{one.name}_change"], y, "o", color=colour)
        axes.axvline(0, color="0.7", linewidth=1)
        axes.set_yticks(range(len(others)), [row["variant"] for row in others] if place == 1 else [])
        axes.set_xlabel(f"change of {one.name} ({one.better} is better)", fontsize=8)
        axes.tick_params(labelsize=8)
    figure.savefig(out, dpi=120, format="png")


def show(recipes: Mapping[str, Sequence[Result]], sample: Sample, out: Path) -> None:
    """One slice: noisy, by the first seed of every variant, clean; below, what each took away."""
    depth, source, image = sample.depth, sample.source, sample.image
    assert depth is not None
    assert source is not None
    assert image is not None
    given, clean = (depth.units(one)[0].numpy() for one in (source, image))
    made = {variant: depth.of_levels(read_levels(runs[0].folder / SAMPLES / f"{sample.name}.png"))
            for variant, runs in recipes.items()}  # fmt: skip
    middle = (depth.shown_low + depth.shown_high) / 2
    grey = depth.seen(given * 0 + middle)
    upper = [depth.seen(given), *(depth.seen(one) for one in made.values()), depth.seen(clean)]
    lower = [grey, *(depth.seen(given - one + middle) for one in made.values()), depth.seen(given - clean + middle)]
    notes = ["Below: the residual, what was taken away; under the clean slice, the noise."]
    save_png(out, contact_sheet([upper, lower], titles=["noisy", *made, "clean"], side_by_side=1, notes=notes))


def main() -> None:
    given = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    if unknown := [word for word in sys.argv[1:] if word.partition("=")[0] not in ("only", "seeds")]:
        raise SystemExit(f"{unknown[0]} is not understood; give only=VARIANT,VARIANT or seeds=1,2,3")
    variants = given["only"].split(",") if "only" in given else list(VARIANTS)
    if strange := [one for one in variants if one not in VARIANTS]:
        raise SystemExit(f"only={strange[0]}: the variants are {', '.join(VARIANTS)}")
    train(variants, [int(seed) for seed in given.get("seeds", "1,2,3").split(",")])
    recipes = finished()
    if BASE not in recipes or len(recipes) < 2:
        raise SystemExit("there is nothing to compare; train the base and a variant, as without only=")
    found = compared(recipes, by=MEASURES)
    config = plan(compose("train", ["experiment=denoising-study"])).config
    data = build.dataset(config, split="test")
    samples = [data[(0, index)] for index in range(len(data))]
    rows = summarise(recipes, found)
    here = Path(__file__).parent
    with (here / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows([noisy(samples), *rows])
    draw(rows, here / "results.png")
    show(recipes, samples[SHOWN], here / "pictures.png")
    print(markdown([noisy(samples), *rows]), "", *conclusion(found), sep="\n")


if __name__ == "__main__":
    main()
