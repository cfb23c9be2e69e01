"""One G+D step with a training trick against the same step without: python benchmarks/tricks.py diffaugment accumulate

The same networks through the same module, on equal batches. Steps with and without alternate, so a machine that changes
its speed changes both; the time is the processor's (the clock's on a GPU), and the figure is a ratio of medians, per
picture. `accumulate` is measured twice: the batch cut in two, and two passes of the whole batch, which is its use: the
same memory, twice the pictures per step of the weights.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.stream import StatelessBatchSampler, make_loader

TWICE = "accumulate, two batches"
COMMON = ("weights=random", "data.count=64", "data.test_count=8", "model.vae=false")


class Stopwatch(pl.Callback):
    """Seconds per step: of the processor on a CPU, of the clock on a GPU."""

    def __init__(self, *, on_gpu: bool) -> None:
        self.seconds: list[float] = []
        self.now = time.perf_counter if on_gpu else time.process_time

    def on_train_batch_start(self, *_) -> None:
        self.start = self.now()

    def on_train_batch_end(self, *_) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(self.now() - self.start)


class Variant:
    """A module with or without a trick, ready to make steps."""

    def __init__(self, overrides: list[str]) -> None:
        self.config = plan(compose("train", overrides)).config
        self.data = build.dataset(self.config, split="train")
        self.module = build.rounds(self.config, self.data)
        self.machine = build.make(self.config["trainer"])

    def steps(self, count: int) -> list[float]:
        """Make so many steps; seconds of each."""
        watch = Stopwatch(on_gpu=self.machine.accelerator != "cpu")
        start = self.module.step
        sampler = StatelessBatchSampler(
            len(self.data),
            batch_size=self.config["batch_size"],
            seed=0,
            total_steps=start + count,
            start_step=lambda: start,
        )
        trainer = self.machine.trainer(
            steps=count, log_every=10_000, folder=Path(tempfile.gettempdir()), callbacks=[watch], loggers=[]
        )
        trainer.fit(self.module, make_loader(self.data, sampler))
        return watch.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tricks", nargs="+", help="options of the group trick")
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--ngf", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--trainer", default="cpu", help="an option of the group trainer (cpu, gpu)")
    chosen = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    common = [
        *COMMON,
        f"size.height={chosen.height}",
        f"size.width={chosen.width}",
        f"width.ngf={chosen.ngf}",
        f"width.ndf={chosen.ngf}",
        f"batch_size={chosen.batch}",
        f"trainer={chosen.trainer}",
    ]
    variants = {name: Variant([*common, f"trick={name}"]) for name in ("none", *chosen.tricks)}
    if "accumulate" in variants:
        variants[TWICE] = Variant([*common, "trick=accumulate", f"batch_size={2 * chosen.batch}"])
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant.steps(1)  # warm-up
    for _ in range(chosen.rounds):
        for name, variant in variants.items():
            seconds[name] += variant.steps(2)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    print(
        f"{chosen.height}x{chosen.width}, ngf {chosen.ngf}, batch {chosen.batch}, torch {torch.__version__}, "
        f"{platform.machine()}, {device}"
    )
    sizes = {name: variant.config["batch_size"] for name, variant in variants.items()}
    per_picture = {name: [value / sizes[name] for value in values] for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in per_picture.items()}
    for name, values in per_picture.items():
        print(f"{name:24} {middle[name]:7.3f} s per picture   (min {min(values):.3f}, max {max(values):.3f})", end="")
        print("" if name == "none" else f"   ratio {middle[name] / middle['none']:.3f}")


if __name__ == "__main__":
    main()
