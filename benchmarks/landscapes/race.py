"""`experiment=landscapes` against the published SPADE formulation at the same CPU seconds, on real landscapes.

    python benchmarks/landscapes/race.py root=PATH seconds=700 seeds=1,2,3

`root` is a data=folder of the 29 landscape classes with train/ and val/. The opponent is formulated from the paper:
SPADE layers that convolve every pixel, hinge, feature matching and perceptual terms, a second forward pass for the
discriminator, published initial weights and rates (constant for half of the steps, then linearly to zero); its
perceptual network is the embedded one, since VGG19's weights are a download.

1. Cost: both make the same few steps by turns, in one process on one thread, and the median CPU seconds of a step are
   taken. The opponent's are those of the straight formulation (torch's spectral norm, no tables).
2. Steps: seconds over cost. Each side trains so many, as a run of its own; the opponent's run computes its
   modulations by tables, which changes no value beyond the order of summation, so that a race takes less time than it
   counts. Runs that exist go on.
3. Judges: the test maps are painted and scored with EfficientNet-Lite2's means, with a SceneNet that was trained from
   nothing on photographs (the segmenter too: no loss read its family), and with the distance of patches of a pyramid.

Everything lands in runs/race-SECONDS: costs.json, a record per side, seed and family of judges, table.md, and race.png
with both beside the photograph. What is there is not made again; `only=ours-2` makes that one part (`only=costs` the
first one) and ends, so that a race can be run in pieces. The table's intervals are Student's t over the seeds, or over
the pictures where one seed ran.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from trials import TABLES, Side, interval, judge, schedule, step_costs, train, words_of

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.sampling.sheets import contact_sheet, inputs, legend, spread

OPPONENT = (
    "model=gaugan", "model.vae=false", "loss=none", "discriminator=patch", "extractor=scenenet", "reuse_fake=false",
    "optim=ttur", "init_gain=0.02", "width.ngf=32", "width.ndf=32", "width.hidden=128", "batch_size=4",
    "size.height=128", "size.width=128",
)  # fmt: skip
OURS = ("experiment=landscapes",)
SIDES = ("opponent", "ours")
FAMILIES = ("efficientnet", "scenenet_photographs")
MEASURES = "fid+kid+mask_acc+sliced+pyramid+precision+recall+density+coverage+plaid"
CONSTANT = {"opponent": 0.5, "ours": 0.6}
"""Share of the steps at the full rate: as published, and as experiment=landscapes has it."""
ROUNDS = 6
"""Turns of two steps each in which the cost is measured."""


@dataclass(frozen=True)
class Race:
    """What a race is about.

    Attributes:
        root: the data.
        seconds: CPU seconds of one thread that each side has.
        seeds: of both sides' runs.
        folder: where everything lands.
    """

    root: Path
    seconds: float
    seeds: tuple[int, ...]
    folder: Path

    @property
    def data(self) -> tuple[str, ...]:
        return ("data=folder", f"data.root={self.root}")

    @property
    def parts(self) -> list[str]:
        """Runs of the race, such as "ours-2"."""
        return [f"{side}-{seed}" for side in SIDES for seed in self.seeds]


def costs(race: Race) -> dict[str, float]:
    """Median CPU seconds of a step of each side, measured once for a race."""
    kept = race.folder / "costs.json"
    if not kept.exists():
        sides = {
            "opponent": Side([*OPPONENT, *race.data], straight=True),
            "ours": Side([*OURS, *race.data], straight=False),
        }
        kept.write_text(json.dumps(step_costs(sides, rounds=ROUNDS)))
    return json.loads(kept.read_text())


def run(race: Race, part: str, *, cost: float) -> tuple[float, dict[str, dict]]:
    """Train and judge one part of the race: CPU seconds of its run, and its record per family."""
    side, seed = part.split("-")
    recipe = OPPONENT if side == "opponent" else OURS
    steps = schedule(steps_of(race, cost), constant=CONSTANT[side])
    taken = train(race.folder, part, [*recipe, *race.data, *TABLES, *steps, f"seed={seed}"])
    return taken, {f: judge(race.folder, part, race.data, family=f, measures=MEASURES) for f in FAMILIES}


def draw(race: Race, *, rows: int = 8) -> Path:
    """Label | photograph | opponent | ours, for maps spread over all."""
    config = plan(compose("train", [*OURS, *race.data])).config
    data = build.dataset(config, split="test")
    shown, ids = [], set()
    for index in spread(len(data), rows):
        batch = collate([data[(0, index)]])
        cells = [pictures[0] for pictures in inputs(batch, classes=data.classes).values()]
        assert batch.image is not None
        cells.append(((batch.image[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())
        for side in SIDES:
            with Image.open(race.folder / f"{side}-{race.seeds[0]}-pictures" / f"{batch.name[0]}.png") as picture:
                cells.append(np.asarray(picture.convert("RGB")))
        assert batch.label is not None
        ids |= set(batch.label.unique().tolist())
        shown.append(cells)
    sheet = contact_sheet(
        shown,
        titles=["label", "photograph", "published SPADE", "landscapes"],
        side_by_side=2,
        legend=legend(data.classes, ids),
        notes=[f"each trained for {race.seconds:g} CPU seconds on one thread; test maps, spread over all"],
    )
    path = race.folder / "race.png"
    Image.fromarray(sheet).save(path)
    return path


def summary(race: Race, cost: dict[str, float], taken: dict[str, float], found: dict[str, dict[str, dict]]) -> str:
    """The race as a Markdown table.

    Args:
        race: what it is about.
        cost: side -> CPU seconds of a step.
        taken: part -> CPU seconds of its run.
        found: part -> family -> record of its score.
    """
    seeds, ratio = ", ".join(map(str, race.seeds)), cost["ours"] / cost["opponent"]
    rows = [
        f"{race.seconds:g} CPU seconds each, one thread, 128x128, seeds {seeds}, torch {torch.__version__}",
        "",
        "| | SPADE as published | experiment=landscapes | ratio |",
        "|---|---|---|---|",
        f"| CPU seconds per step | {cost['opponent']:.2f} | {cost['ours']:.2f} | {_over([ratio])} |",
        f"| steps | {steps_of(race, cost['opponent'])} | {steps_of(race, cost['ours'])} | |",
    ]
    runs = {side: [taken[f"{side}-{seed}"] for seed in race.seeds] for side in SIDES}
    rows.append(f"| CPU seconds of the run, as it was made | {_over(runs['opponent'])} | {_over(runs['ours'])} | |")
    for family in FAMILIES:
        for group in ("parts", "beside"):
            for name in found[race.parts[0]][family][group]:
                wanted = name.startswith(("FID", "KID")) if family != FAMILIES[0] else True
                if wanted and "floor" not in name:
                    rows.append(_row(race, found, family, group, name))
    return "\n".join(rows) + "\n"


def steps_of(race: Race, cost: float) -> int:
    """Steps that the seconds hold."""
    return max(1, round(race.seconds / cost))


def _row(race: Race, found: dict, family: str, group: str, name: str) -> str:
    values = {side: [found[f"{side}-{seed}"][family][group][name]["value"] for seed in race.seeds] for side in SIDES}
    cells = {side: _over(numbers) for side, numbers in values.items()}
    if len(race.seeds) == 1:
        for side in SIDES:
            over = found[f"{side}-{race.seeds[0]}"][family][group][name]["interval95"]
            cells[side] += f" [{over[0]:.4g}, {over[1]:.4g}]" if over else ""
    ratios = [mine / theirs for theirs, mine in zip(*(values[side] for side in SIDES), strict=True) if theirs]
    return f"| {name} | {cells['opponent']} | {cells['ours']} | {_over(ratios) if ratios else '-'} |"


def _over(values: Sequence[float]) -> str:
    """Mean, and its interval over two or more seeds."""
    mean = f"{statistics.mean(values):.4g}"
    return mean if len(values) < 2 else "{} [{:.4g}, {:.4g}]".format(mean, *interval(values))


def main() -> None:
    words = words_of(sys.argv[1:], usage=str(__doc__))
    seconds = float(words.get("seconds", 700))
    folder = Path("runs") / f"race-{seconds:g}"
    seeds = tuple(map(int, words.get("seeds", "1").split(",")))
    race = Race(Path(words["root"]), seconds, seeds, folder)
    folder.mkdir(parents=True, exist_ok=True)
    cost = costs(race)
    only = words.get("only")
    taken, found = {}, {}
    for part in race.parts:
        if only in (None, part):
            taken[part], found[part] = run(race, part, cost=cost[part.split("-")[0]])
    if only is None:
        table = summary(race, cost, taken, found)
        (folder / "table.md").write_text(table)
        print(table, draw(race), sep="\n")


if __name__ == "__main__":
    main()
