"""Fit one module to one data set in one folder, from the start or from a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytorch_lightning as pl
from pytorch_lightning.loggers.logger import Logger

from scenegen.base.records import Batch, Refusal
from scenegen.data.classes import ClassList
from scenegen.data.stream import StatelessBatchSampler, make_loader
from scenegen.runs.checkpoints import load, require_resumable
from scenegen.runs.folder import GRIDS, METRICS
from scenegen.runs.journal import Journal
from scenegen.training.callbacks.checkpoints import Checkpoints
from scenegen.training.callbacks.collapse import Collapse
from scenegen.training.callbacks.grids import Grids
from scenegen.training.callbacks.progress import Progress
from scenegen.training.machine import Machine
from scenegen.training.ranks import Ranks
from scenegen.training.rounds import Rounds


@dataclass(frozen=True)
class Rhythm:
    """Length of a run, and the intervals of its logs, grids and checkpoints, in steps.

    Attributes:
        steps: rounds in all.
        batch_size: samples per round over all processes.
        log_every, grid_every, checkpoint_every: steps between two rows, two grids, two checkpoints.
        keep_checkpoints: the newest checkpoints that are kept.
    """

    steps: int
    batch_size: int
    log_every: int
    grid_every: int
    checkpoint_every: int
    keep_checkpoints: int


class StopOnNan(pl.Callback):
    """Ends a run whose losses are no longer finite, before a checkpoint of it can be written."""

    def __init__(self, *, every: int) -> None:
        self.every = every

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        step = cast(Rounds, pl_module).step
        if step % self.every and step != trainer.max_steps:
            return
        for name, value in trainer.callback_metrics.items():
            if not math.isfinite(float(value)):
                raise Refusal(
                    f"{name} became {float(value)} at step {step}; the last checkpoint is from before: resume from it "
                    "with lower optim rates or without the term that grew (see metrics.csv)"
                )


def fit(
    module: Rounds,
    data,
    *,
    classes: ClassList | None,
    watched: Batch,
    folder: Path,
    rhythm: Rhythm,
    machine: Machine,
    seed: int,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[pl.Callback] = (),
    checkpoint: Path | None = None,
) -> None:
    """Train until `rhythm.steps`.

    Args:
        module: the module to train.
        data: training pictures; items are asked for by (epoch, index).
        classes: the class list, for the colours of the grids; None for data without label maps.
        watched: the fixed inputs of the grids.
        folder: the run's folder.
        rhythm, machine, seed: see their classes.
        loggers: loggers beside metrics.csv.
        callbacks: callbacks beside those that every run has.
        checkpoint: the checkpoint to resume from, or None.

    Raises:
        Refusal: where the batch does not fit the data or the processes, a loss is not finite, the disk is full, or
            another process of the run ended.
    """
    start = 0
    if checkpoint:
        content = load(checkpoint)
        require_resumable(content, path=checkpoint)
        start = int(content["state_dict"]["clock"])
    every = rhythm.checkpoint_every
    own: list[pl.Callback] = [
        Progress(batch_size=rhythm.batch_size),
        Grids(batch=watched, classes=classes, folder=folder / GRIDS, every=rhythm.grid_every, seed=seed),
        StopOnNan(every=math.gcd(rhythm.log_every, every)),
        Checkpoints(folder=folder, every=every, keep=rhythm.keep_checkpoints),
    ]
    if watched.exemplar is not None and len(watched) > 1:
        own.append(Collapse(batch=watched, every=rhythm.grid_every, seed=seed))
    trainer = machine.trainer(
        steps=rhythm.steps,
        log_every=rhythm.log_every,
        folder=folder,
        callbacks=[*own, *callbacks],
        loggers=[Journal(folder / METRICS, start_step=start), *loggers],
    )
    sampler = StatelessBatchSampler(
        len(data),
        batch_size=rhythm.batch_size,
        seed=seed,
        start_step=lambda: module.step,
        total_steps=rhythm.steps,
        rank=trainer.global_rank,
        world=machine.world,
    )
    loader = make_loader(data, sampler, workers=machine.workers, pin=machine.accelerator == "gpu")
    with Ranks(trainer, folder):
        trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
