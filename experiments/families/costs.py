"""What a step of each family costs: parameters, multiply-adds, time and memory, on this CPU with one thread."""

from __future__ import annotations

import logging
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from scenegen.config import build
from scenegen.config.compose import register_resolvers
from scenegen.config.plan import plan
from scenegen.config.stored import read_config
from scenegen.data.samples import collate
from scenegen.data.stream import StatelessBatchSampler, make_loader
from scenegen.losses.cost import parameters
from scenegen.sampling.generate import draw_noise


class Stopwatch(pl.Callback):
    """CPU seconds per step: what other programs do on the machine counts little in them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_) -> None:
        self.start = time.process_time()

    def on_train_batch_end(self, *_) -> None:
        self.seconds.append(time.process_time() - self.start)


class Trainee:
    """A run's networks at their start, ready to make steps."""

    def __init__(self, folder: Path) -> None:
        self.config = plan(OmegaConf.create(read_config(folder))).config
        self.data = build.dataset(self.config, split="train")
        self.module = build.rounds(self.config, self.data)
        self.machine = build.make(self.config["trainer"])

    def steps(self, count: int) -> list[float]:
        """Make so many steps; CPU seconds of each."""
        watch, start = Stopwatch(), self.module.step
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

    @torch.no_grad()
    def multiply_adds(self) -> int:
        """Of one sampled picture: convolutions and matrix products."""
        model = self.module.model.eval()
        batch = collate([self.data[(0, 0)]])
        with FlopCounterMode(display=False) as counter:
            model.sample(batch, noise=draw_noise(model, batch.name, [0], 0))
        model.train()
        return counter.get_total_flops() // 2


def costs(folders: Mapping[str, Path], *, rounds: int) -> dict[str, dict[str, float]]:
    """family -> what it costs; rounds alternate, so a machine that changes its speed changes all of them.

    Args:
        folders: family -> folder of a run, for its config.
        rounds: of two steps each.
    """
    quiet()
    trainees = {family: Trainee(folder) for family, folder in folders.items()}
    found: dict[str, dict[str, float]] = {}
    for family, trainee in trainees.items():
        module = trainee.module
        found[family] = {
            "parameters_g": parameters(cast(torch.nn.Module, module.model)),
            "parameters_d": parameters(module.discriminator),
            "multiply_adds": trainee.multiply_adds(),
            "memory_mib": memory(folders[family]),
        }
        trainee.steps(2)  # warm-up
    seconds: dict[str, list[float]] = {family: [] for family in trainees}
    for _ in range(rounds):
        for family, trainee in trainees.items():
            seconds[family] += trainee.steps(2)
    for family, values in seconds.items():
        found[family] |= {"step_seconds": statistics.median(values), "step_min": min(values), "step_max": max(values)}
    return found


def memory(folder: Path) -> float:
    """MiB that training takes beyond the empty process, at most, in a process of its own."""
    command = [sys.executable, __file__, str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def alone(folder: Path) -> None:
    """Print the growth of this process's largest resident size over three steps."""
    quiet()
    before = resident("VmRSS")
    trainee = Trainee(folder)
    trainee.steps(1)
    Path("/proc/self/clear_refs").write_text("5")  # the largest size is now the present one
    trainee.steps(2)
    print(resident("VmHWM") - before)


def resident(key: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 2**10


def quiet() -> None:
    register_resolvers()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


if __name__ == "__main__":
    alone(Path(sys.argv[1]))
