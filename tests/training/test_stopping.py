"""Processes of one run agree on the step after which a signal ends them, and none waits for the answer."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch.distributed as dist

from scenegen.training.callbacks.checkpoints import Checkpoints
from scenegen.training.signals import Signals

STEPS = 6


def answers(tmp_path: Path, came: dict[int, tuple[int, int]]) -> list[list[int]]:
    """Answers of two processes step by step, until they stop; `came`: rank -> (step, signal)."""
    children = []
    for rank in (0, 1):
        if (child := os.fork()) == 0:
            try:
                (tmp_path / f"{rank}.json").write_text(json.dumps(asked(tmp_path, rank, came.get(rank))))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]


def asked(tmp_path: Path, rank: int, came: tuple[int, int] | None) -> list[int]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=rank, world_size=2)
    signals = Signals()
    callback = Checkpoints(folder=tmp_path, every=9, keep=1, log_every=9, signals=signals)
    trainer: Any = SimpleNamespace(world_size=2, strategy=SimpleNamespace(root_device="cpu"))
    found = []
    for step in range(1, STEPS + 1):
        if came is not None and came[0] == step:
            signals.received = came[1]
        found.append(callback._stopped(trainer, last=step == STEPS))
        if found[-1]:
            break
    return found


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ({}, [0] * STEPS),
        ({1: (3, signal.SIGTERM)}, [0, 0, 0, signal.SIGTERM]),
        ({0: (1, signal.SIGINT), 1: (2, signal.SIGTERM)}, [0, signal.SIGTERM]),
        ({1: (STEPS, signal.SIGTERM)}, [0] * (STEPS - 1) + [signal.SIGTERM]),
    ],
    ids=["none", "one", "both", "at the last step"],
)
def test_all_stop_after_the_same_step(tmp_path: Path, came: dict[int, tuple[int, int]], expected: list[int]) -> None:
    assert answers(tmp_path, came) == [expected, expected]
