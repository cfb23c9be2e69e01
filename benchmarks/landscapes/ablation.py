"""Each ingredient of `experiment=landscapes` taken out alone, at equal CPU seconds, on real landscapes.

    python benchmarks/landscapes/ablation.py root=PATH seconds=110

`root` is a data=folder of the 29 landscape classes with train/ and val/. The CPU seconds of a step of every recipe are
measured on one thread; each trains for as many steps as the seconds hold, with the recipe's share of full rates, and
paints the test maps. The judges are of families that trained none of them: a SceneNet trained
from nothing on photographs, and the distance of patches of a pyramid.

Everything lands in runs/ablation-SECONDS: the cost of each recipe, a record per recipe and seed, table.md and
ablation.png. What is there is not made again; `only=style,average` makes those, and the table holds what was made, with
`seeds=1,2` over both. Brackets are 95 % intervals over the pictures, or the least and the greatest of several seeds.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from trials import TABLES, Side, judge, schedule, step_costs, train, words_of

RECIPE = ("experiment=landscapes",)
CONSTANT = 0.6
"""Share of the steps at the full rate, as experiment=landscapes has it."""
ROUNDS = 2
FAMILY = "scenenet_photographs"
MEASURES = "fid+mask_acc+pyramid+plaid"


@dataclass(frozen=True)
class Ablation:
    """An ingredient taken out.

    Attributes:
        title: in the table.
        words: of `train` that take it out.
    """

    title: str
    words: tuple[str, ...] = ()


ABLATIONS = {
    "whole": Ablation("experiment=landscapes"),
    "projected": Ablation(
        "published discriminator in place of frozen features", ("discriminator=patch", "discriminator.layers=4")
    ),
    "style": Ablation("no style term", ("loss.style.weight=0",)),
    "colour": Ablation("no colour term", ("loss.colour.weight=0",)),
    "perceptual": Ablation("no perceptual term", ("loss.vgg.weight=0",)),
    "matching": Ablation("no feature matching", ("loss.feature_matching.weight=0",)),
    "average": Ablation("no average of the weights", ("~trick.average",)),
    "noise": Ablation("no class noise", ("~trick.noise",)),
    "gain": Ablation("class noise that grows as other weights do", ("trick.noise.gain=1",)),
    "enlarging": Ablation("nearest enlarging", ("~trick.enlarging",)),
    "borders": Ablation("zeros beyond the border", ("~trick.borders",)),
    "finest": Ablation(
        "discriminator without the layer of stride 2",
        ("discriminator.layers=[bottleneck_s4,bottleneck_s8,bottleneck_s16,bottleneck_s32]",),
    ),
    "narrow": Ablation("twice as wide (ngf 32)", ("width.ngf=32",)),
    "rates": Ablation("published rates", ("optim.lr_generator=1e-4", "optim.lr_discriminator=4e-4")),
    "init": Ablation("published initial weights (init_gain 0.02)", ("init_gain=0.02",)),
    "extractor": Ablation("perceptual and style terms on SceneNet", ("extractor=scenenet",)),
    "diffaugment": Ablation("DiffAugment in addition", ("trick=ema+class_noise+borders+bilinear+diffaugment",)),
}
SHOWN = {
    "FID(scenenet-photographs)": "lower is better",
    "pyramid": "lower is better",
    "mask_acc": "higher is better",
    "plaid": "photographs 0.73",
}
"""Part of a score's record -> how to read it."""

Spread = tuple[float, float, float]
"""A number, and its brackets."""


def steps_of(folder: Path, name: str, data: tuple[str, ...], *, seconds: float) -> int:
    """Steps of a recipe that the seconds hold; its cost is measured once."""
    kept = folder / f"{name}-cost.json"
    if not kept.exists():
        side = Side([*RECIPE, *data, *ABLATIONS[name].words], straight=False)
        kept.write_text(json.dumps(step_costs({name: side}, rounds=ROUNDS)[name]))
    return max(1, round(seconds / json.loads(kept.read_text())))


def trained(folder: Path, name: str, seed: str, data: tuple[str, ...], *, seconds: float) -> None:
    """Train a recipe for the seconds."""
    steps = schedule(steps_of(folder, name, data, seconds=seconds), constant=CONSTANT)
    train(folder, f"{name}-{seed}", [*RECIPE, *data, *ABLATIONS[name].words, *TABLES, *steps, f"seed={seed}"])


def made(folder: Path, seeds: list[str]) -> dict[str, dict[str, Spread]]:
    """Numbers of the recipes that every seed was scored of."""
    found = {}
    for name in ABLATIONS:
        records = [folder / f"{name}-{seed}-{FAMILY}.json" for seed in seeds]
        if all(record.exists() for record in records):
            found[name] = numbers([json.loads(record.read_text()) for record in records])
    return found


def numbers(records: list[dict]) -> dict[str, Spread]:
    """Shown numbers of the records of a recipe's seeds."""
    found = {}
    for part in SHOWN:
        values = [record["parts"][part]["value"] for record in records]
        over = (min(values), max(values)) if len(values) > 1 else records[0]["parts"][part]["interval95"]
        found[part] = (statistics.mean(values), *over)
    return found


def summary(steps: dict[str, int], found: dict[str, dict[str, Spread]], *, heading: str) -> str:
    """The ablation as a Markdown table."""
    rows = [heading, "", f"| | steps | {' | '.join(SHOWN)} |", "|---" * 6 + "|"]
    for name, parts in found.items():
        cells = (f"{value:.3g} [{low:.3g}, {high:.3g}]" for value, low, high in parts.values())
        rows.append(f"| {ABLATIONS[name].title} | {steps[name]} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def plot(found: dict[str, dict[str, Spread]], *, heading: str, out: Path) -> None:
    """A column of points with intervals per measure, a row per recipe; line and band are the whole recipe's."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(SHOWN), figsize=(12, 1.2 + 0.34 * len(found)), sharey=True)
    places = range(len(found))
    for axis, (part, reading) in zip(axes, SHOWN.items(), strict=True):
        for place, parts in zip(places, found.values(), strict=True):
            value, low, high = parts[part]
            axis.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color="C0", capsize=2)
        whole, *ends = next(iter(found.values()))[part]
        axis.axvspan(*ends, color="0.92", zorder=0)
        axis.axvline(whole, color="0.7", linewidth=1, zorder=0)
        axis.set_title(f"{part}\n{reading}", fontsize=9)
        axis.tick_params(labelsize=8)
    axes[0].set_yticks(places, [ABLATIONS[name].title for name in found])
    axes[0].invert_yaxis()
    figure.suptitle(heading, fontsize=9)
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    words = words_of(sys.argv[1:], usage=str(__doc__))
    seconds, seeds = float(words.get("seconds", 110)), words.get("seeds", "1").split(",")
    folder = Path("runs") / f"ablation-{seconds:g}"
    folder.mkdir(parents=True, exist_ok=True)
    data = ("data=folder", f"data.root={words['root']}")
    only = words["only"].split(",") if "only" in words else list(ABLATIONS)
    for name in only:
        for seed in seeds:
            trained(folder, name, seed, data, seconds=seconds)
            judge(folder, f"{name}-{seed}", data, family=FAMILY, measures=MEASURES)
    found = made(folder, seeds)
    heading = f"{seconds:g} CPU seconds each, one thread, 128x128, 182 test maps, seeds {', '.join(seeds)}"
    steps = {name: steps_of(folder, name, data, seconds=seconds) for name in found}
    (folder / "table.md").write_text(summary(steps, found, heading=heading))
    print((folder / "table.md").read_text())
    if found:
        plot(found, heading=heading, out=folder / "ablation.png")


if __name__ == "__main__":
    main()
