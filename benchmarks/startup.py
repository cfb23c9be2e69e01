"""Processor time until a command answers that has nothing to compute yet, of two steps, and of a short job in a sweep.

    python benchmarks/startup.py

Commands stand against `python -c "import torch, pytorch_lightning"` in the same run, which is what a command costs that
imports its libraries at the top. The first step is what the process of the smallest run has computed when it has made
it. Jobs are two steps of the smallest run: those that are forked from one warm process (`hydra.launcher.warm=true`)
against those that are an interpreter each, a sweep of one job taken off one of JOBS. Processor seconds of all
processes, so that others on the machine weigh little.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile

from rows import say

COMMANDS = {
    "scenegen.train --help": ["-m", "scenegen.train", "--help"],
    "scenegen.train --cfg job": ["-m", "scenegen.train", "--cfg", "job", "loss=cx+dists"],
    "scenegen.train debug=two_steps": ["-m", "scenegen.train", "debug=two_steps"],
    "import torch": ["-c", "import torch"],
    "import torch, pytorch_lightning": ["-c", "import torch, pytorch_lightning"],
}
ROUNDS, JOBS = 5, 4
FIRST = """
import sys, time
import scenegen.train
from scenegen.training.lightning import import_lightning
import_lightning()
from scenegen.training.rounds import Rounds
step = Rounds.training_step

def told(*given):
    result = step(*given)
    print("\\nstepped", time.process_time())
    return result

Rounds.training_step = told
scenegen.train.main()
"""
"""The smallest run, which says the process's processor seconds after each step."""

TINY = ["size=tiny", "width=tiny", "data.count=4", "data.test_count=4", "batch_size=2", "steps=2", "evaluate=false"]


def seconds(arguments: list[str], folder: str) -> float:
    """Processor seconds of a command and of all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, cwd=folder, capture_output=True,
                   env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_step(folder: str) -> float:
    """Processor seconds when the smallest run has made its first step."""
    done = subprocess.run([sys.executable, "-c", FIRST, *TINY, "steps=1"], check=True, cwd=folder, capture_output=True,
                          text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    return float(next(line for line in done.stdout.splitlines() if line.startswith("stepped")).split()[1])


def sweep(jobs: int, *, warm: bool, folder: str) -> float:
    """Processor seconds of a sweep of the smallest runs."""
    seeds = ",".join(str(seed) for seed in range(jobs))
    words = [*TINY, f"seed={seeds}", f"hydra.launcher.warm={str(warm).lower()}", f"hydra.sweep.dir=runs/{warm}{jobs}"]
    return seconds(["-m", "scenegen.train", "-m", *words], folder)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {name: [seconds(arguments, folder) for _ in range(ROUNDS)] for name, arguments in COMMANDS.items()}
        eager = statistics.median(found["import torch, pytorch_lightning"])
        for name, values in found.items():
            middle = statistics.median(values)
            print(f"{name:34} {middle:6.2f} s   ratio {middle / eager:.2f}   (least {min(values):.2f})")
        first = [first_step(folder) for _ in range(ROUNDS)]
        print(f"{'the first step of the smallest run':34} {statistics.median(first):6.2f} s   (least {min(first):.2f})")
        forked, fresh = (
            (sweep(JOBS, warm=warm, folder=folder) - sweep(1, warm=warm, folder=folder)) / (JOBS - 1)
            for warm in (True, False)
        )
        print(f"a job of a sweep: forked {forked:.2f} s, an interpreter {fresh:.2f} s, ratio {forked / fresh:.2f}")
        say("a job of a sweep, two steps of the smallest run", "an interpreter for each job",
            f"{forked / fresh:.2f} of the CPU seconds", "weights, bit for bit (tests/sweeps)")  # fmt: skip


if __name__ == "__main__":
    main()
