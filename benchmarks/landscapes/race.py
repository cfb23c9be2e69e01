"""`experiment=landscapes` against the published SPADE formulation at the same CPU seconds, on real landscapes.

    python benchmarks/landscapes/race.py root=PATH seconds=700

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

Everything lands in runs/race-SECONDS: race.json, table.md, and race.png with both beside the photograph.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from step import CpuWatch, Variant, straighten

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
TABLES = ("trainer.lookup=true", "trainer.channels_last=true")
FAMILIES = ("efficientnet", "scenenet_photographs")
MEASURES = "sliced+pyramid+precision+recall+density+coverage+plaid"
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
        seed: of both runs.
        folder: where everything lands.
    """

    root: Path
    seconds: float
    seed: int
    folder: Path

    @property
    def data(self) -> tuple[str, ...]:
        return ("data=folder", f"data.root={self.root}")

    def name(self, side: str) -> str:
        return f"{self.folder.name}/{side}-{self.seed}"


class Side(Variant):
    """One side of the race, ready to make steps."""

    def __init__(self, words: Sequence[str], *, straight: bool) -> None:
        self.config = plan(compose("train", list(words))).config
        self.data = build.dataset(self.config, split="train")
        self.module = build.rounds(self.config, self.data)
        if straight:
            straighten(self.module)
        self.machine = build.make(self.config["trainer"])
        self.batch = self.config["batch_size"]


def costs(race: Race) -> dict[str, float]:
    """Median CPU seconds of a step of each side."""
    sides = {
        "opponent": Side([*OPPONENT, *race.data], straight=True),
        "ours": Side([*OURS, *race.data], straight=False),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side.steps(1, watch=CpuWatch())
    for _ in range(ROUNDS):
        for name, side in sides.items():
            taken[name] += side.steps(2, watch=CpuWatch())
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def train(race: Race, side: str, *, steps: int) -> float:
    """Train one side, or go on with it; the CPU seconds of its processes, start-up included."""
    kept = race.folder / f"{side}-{race.seed}-seconds.json"
    if kept.exists():
        return json.loads(kept.read_text())
    before = os.times()
    words = [*(OPPONENT if side == "opponent" else OURS), *race.data, *TABLES]
    started = (Path("runs") / race.name(side) / "config.yaml").exists()
    if started:
        call("train", f"resume={race.name(side)}")
    else:
        call("train", f"name={race.name(side)}", *words, *schedule(side, steps), f"seed={race.seed}", "evaluate=false")
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    kept.write_text(json.dumps(seconds))
    return seconds


def schedule(side: str, steps: int) -> tuple[str, ...]:
    """Words for a run of so many steps: full rates for each side's share of them, then linearly to zero."""
    constant = round(steps * CONSTANT[side])
    return f"steps={steps}", f"optim.constant_steps={constant}", f"optim.decay_steps={steps - constant}"


def judge(race: Race, side: str) -> dict[str, dict]:
    """Paint the test maps of one side's run and score them; the records of each family's score."""
    pictures = race.folder / f"{side}-{race.seed}-pictures"
    if not pictures.exists():
        call("sample", f"run={race.name(side)}", f"out={pictures}", "seed=0")
    found = {}
    for family in FAMILIES:
        record = race.folder / f"{side}-{race.seed}-{family}.json"
        if not record.exists():
            call("score", f"generated={pictures}", *race.data, "size.height=128", "size.width=128", f"fid={family}",
                 "segmenter=scenenet_photographs", "scorer=none", f"measure=fid+kid+mask_acc+{MEASURES}",
                 f"json={record}")  # fmt: skip
        found[family] = json.loads(record.read_text())
    return found


def call(verb: str, *words: str) -> None:
    """Run a command of the product on one thread."""
    print(f"python -m scenegen.{verb} {' '.join(words)}", flush=True)
    subprocess.run(
        [sys.executable, "-m", f"scenegen.{verb}", *words], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


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
        for side in ("opponent", "ours"):
            with Image.open(race.folder / f"{side}-{race.seed}-pictures" / f"{batch.name[0]}.png") as picture:
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


def summary(race: Race, found: dict) -> str:
    """The race as a Markdown table."""
    rows = [
        f"{race.seconds:g} CPU seconds each, one thread, 128x128, seed {race.seed}, torch {torch.__version__}",
        "",
        "| | SPADE as published | experiment=landscapes | ratio |",
        "|---|---|---|---|",
    ]
    opponent, ours = found["opponent"], found["ours"]
    rows.append(_row("CPU seconds per step", opponent["cost"], ours["cost"]))
    rows.append(_row("steps", opponent["steps"], ours["steps"]))
    rows.append(_row("CPU seconds of the run, as it was made", opponent["taken"], ours["taken"]))
    for family in FAMILIES:
        theirs, mine = opponent["judges"][family], ours["judges"][family]
        for name, value in theirs["parts"].items():
            if family == FAMILIES[0] or name.startswith(("FID", "KID")):
                rows.append(_row(name, value["value"], mine["parts"][name]["value"]))
    return "\n".join(rows) + "\n"


def _row(name: str, theirs: float, ours: float) -> str:
    ratio = f"{ours / theirs:.3f}" if theirs else "-"
    return f"| {name} | {theirs:.4g} | {ours:.4g} | {ratio} |"


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    if "root" not in words or set(words) - {"root", "seconds", "seed"}:
        raise SystemExit(__doc__)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    seconds = float(words.get("seconds", 700))
    folder = Path("runs") / f"race-{seconds:g}"
    race = Race(Path(words["root"]), seconds, int(words.get("seed", 1)), folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"costs-{race.seed}.json"
    if not kept.exists():
        kept.write_text(json.dumps(costs(race)))
    found = {}
    for side, cost in json.loads(kept.read_text()).items():
        steps = max(1, round(seconds / cost))
        taken = train(race, side, steps=steps)
        found[side] = {"cost": cost, "steps": steps, "taken": taken, "judges": judge(race, side)}
    (folder / f"race-{race.seed}.json").write_text(json.dumps(found, indent=1))
    table = summary(race, found)
    (folder / f"table-{race.seed}.md").write_text(table)
    print(table, draw(race), sep="\n")


if __name__ == "__main__":
    main()
