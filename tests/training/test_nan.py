"""A run whose loss is no number any more ends in one sentence, which names a checkpoint that can be gone on with."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.training.fit import StopOnNan


def save(run: Path, step: int, weight: float) -> Path:
    path = run / "checkpoints" / f"step_{step:07}.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {"clock": torch.tensor(step), "weight": torch.tensor([weight])}}, path)
    return path


def end(run: Path, loss: float, *, step: int = 3) -> None:
    trainer: Any = SimpleNamespace(max_steps=9, callback_metrics={"G": torch.tensor(loss)})
    module: Any = SimpleNamespace(step=step)
    StopOnNan(every=3, folder=run).on_train_batch_end(trainer, module, None, None, 0)


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ([0.5, 0.6], r"the checkpoint of step 2 is from before: resume=.*run with lower"),
        ([0.5, math.nan], r"the checkpoint of step 1 is from before: resume=.*step_0000001\.ckpt with lower"),
        ([math.nan], "no checkpoint was saved before, so start again under another name"),
        ([], "no checkpoint was saved before, so start again under another name"),
    ],
)
def test_the_newest_checkpoint_of_finite_weights_is_named(tmp_path: Path, weights: list[float], named: str) -> None:
    run = tmp_path / "runs" / "run"
    for step, weight in enumerate(weights, start=1):
        save(run, step, weight)
    with pytest.raises(Refusal, match=f"G became nan at step 3; {named}"):
        end(run, math.nan)


def test_a_finite_loss_and_a_step_between_go_on(tmp_path: Path) -> None:
    end(tmp_path, 1.5)
    end(tmp_path, math.nan, step=2)
