"""Runs that benchmarks on landscapes make by the product's commands: cost of a step, training, scores.

What lies in a benchmark's folder is not made again, so that one can be run in pieces.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from scipy.stats import t as student
from step import CpuWatch, Variant, straighten

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan

TABLES = ("trainer.lookup=true", "trainer.channels_last=true")
"""Modulations by tables, which change no value beyond the order of summation."""


def words_of(arguments: Sequence[str], *, usage: str) -> dict[str, str]:
    """The words root=, seconds=, seeds= and only= of a benchmark's command line; one thread, and no notes of Lightning.

    Raises:
        SystemExit: with the usage, without a root or with another word.
    """
    words = dict(word.split("=", 1) for word in arguments if "=" in word)
    if "root" not in words or set(words) - {"root", "seconds", "seeds", "only"}:
        raise SystemExit(usage)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    return words


class Side(Variant):
    """One recipe, ready to make steps.

    Args:
        words: of `train`, with its data.
        straight: the published formulation of every layer.
    """

    def __init__(self, words: Sequence[str], *, straight: bool) -> None:
        self.config = plan(compose("train", list(words))).config
        self.data = build.dataset(self.config, split="train")
        self.module = build.rounds(self.config, self.data)
        if straight:
            straighten(self.module)
        self.machine = build.make(self.config["trainer"])
        self.batch = self.config["batch_size"]


def step_costs(sides: Mapping[str, Side], *, rounds: int) -> dict[str, float]:
    """Median CPU seconds of a step of each side: a first step, then rounds of two steps each by turns."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side.steps(1, watch=CpuWatch())
    for _ in range(rounds):
        for name, side in sides.items():
            taken[name] += side.steps(2, watch=CpuWatch())
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def train(folder: Path, part: str, words: Sequence[str]) -> float:
    """Train a run of a benchmark, or go on with it; the CPU seconds of its processes, start-up included.

    Args:
        folder: of the benchmark, within runs/.
        part: name of the run in it.
        words: of `train`.
    """
    kept = folder / f"{part}-seconds.json"
    if kept.exists():
        return json.loads(kept.read_text())
    before, name = os.times(), f"{folder.name}/{part}"
    if (Path("runs") / name / "config.yaml").exists():
        call("train", f"resume={name}")
    else:
        call("train", f"name={name}", *words, "evaluate=false")
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    kept.write_text(json.dumps(seconds))
    return seconds


def judge(folder: Path, part: str, data: Sequence[str], *, family: str, measures: str) -> dict:
    """Paint the test maps of a run and score them with a SceneNet of photographs as the segmenter.

    Args:
        folder, part: see `train`.
        data: words of `score` for the data.
        family: an option of fid=.
        measures: options of measure=.

    Returns:
        The record of the score.
    """
    pictures = folder / f"{part}-pictures"
    if not pictures.exists():
        call("sample", f"run={folder.name}/{part}", f"out={pictures}", "seed=0")
    record = folder / f"{part}-{family}.json"
    if not record.exists():
        call("score", f"generated={pictures}", *data, "size.height=128", "size.width=128", f"fid={family}",
             "segmenter=scenenet_photographs", "scorer=none", f"measure={measures}", f"json={record}")  # fmt: skip
    return json.loads(record.read_text())


def schedule(steps: int, *, constant: float) -> tuple[str, ...]:
    """Words for a run of so many steps: full rates for a share of them, then linearly to zero."""
    full = round(steps * constant)
    return f"steps={steps}", f"optim.constant_steps={full}", f"optim.decay_steps={steps - full}"


def call(verb: str, *words: str) -> None:
    """Run a command of the product on one thread."""
    print(f"python -m scenegen.{verb} {' '.join(words)}", flush=True)
    subprocess.run(
        [sys.executable, "-m", f"scenegen.{verb}", *words], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean over two or more seeds."""
    mean = statistics.mean(values)
    reach = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return mean - reach, mean + reach
