"""A run that stops and goes on equals one that never stopped, bit for bit on a CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.cli.command_line import TINY, run

STEPS = (
    "checkpoint_every=1",
    "keep_checkpoints=100",
    "evaluate=false",
    "grid_every=1000",
    "trick=ema+diffaugment",
    "optim.decay_steps=30",
)


def checkpoint(folder: Path, step: int) -> dict:
    return torch.load(folder / "checkpoints" / f"step_{step:07d}.ckpt", weights_only=True)


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from leaves(item, f"{path}/{i}")
    else:
        yield path, value


def assert_same_run(a: Path, b: Path, step: int) -> None:
    first, second = checkpoint(a, step), checkpoint(b, step)
    for part in ("state_dict", "optimizer_states", "rng"):
        left, right = dict(leaves(first[part])), dict(leaves(second[part]))
        assert left.keys() == right.keys()
        assert left, part
        for path, value in left.items():
            same = torch.equal(value, right[path]) if isinstance(value, torch.Tensor) else value == right[path]
            assert same, f"{part}{path} differs after step {step}"


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    """10 steps without a stop; an epoch has 8 steps, so the stops below lie in the middle of epochs."""
    cwd = tmp_path_factory.mktemp("straight")
    done = run("train", *TINY, *STEPS, "name=a", "steps=10", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "runs" / "a"


@pytest.mark.thorough  # a run that is stopped four times is compared by test_killed.py; this one crosses an epoch's end
def test_five_and_five_is_ten(straight: Path, tmp_path: Path) -> None:
    first = run("train", *TINY, *STEPS, "name=a", "steps=5", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    second = run("train", "resume=a", "steps=10", "trainer.workers=2", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert_same_run(straight, tmp_path / "runs" / "a", 10)
    rows = (tmp_path / "runs" / "a" / "metrics.csv").read_text().splitlines()
    assert rows == (straight / "metrics.csv").read_text().splitlines()


@pytest.mark.slow
def test_kill_in_the_middle_of_an_epoch(straight: Path, tmp_path: Path) -> None:
    """At a moment that nobody chose; test_killed.py chooses its own."""
    command = [sys.executable, "-m", "scenegen.train", *TINY, *STEPS, "name=a", "steps=10"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoints = tmp_path / "runs" / "a" / "checkpoints"
    limit = time.time() + 120
    while len(list(checkpoints.glob("step_*.ckpt"))) < 3 and time.time() < limit and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = max(int(p.stem.removeprefix("step_")) for p in checkpoints.glob("step_*.ckpt"))
    assert reached < 10, "the run was over before it could be killed"
    done = run("train", "resume=a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_run(straight, tmp_path / "runs" / "a", 10)
