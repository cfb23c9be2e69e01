"""Fit one module to one data set in one folder, from the start or from a checkpoint."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.loggers.logger import Logger
from torch import Tensor

from scenegen.base.listing import few
from scenegen.base.records import Batch, Refusal
from scenegen.data.classes import ClassList
from scenegen.data.stream import Loader, StatelessBatchSampler, make_loader
from scenegen.runs.checkpoints import load
from scenegen.runs.folder import GRIDS, METRICS, checkpoints_of, name_of, step_of
from scenegen.runs.journal import Journal
from scenegen.runs.resume_point import clock_of
from scenegen.training.callbacks.checkpoints import Checkpoints
from scenegen.training.callbacks.collapse import Collapse
from scenegen.training.callbacks.grids import Grids
from scenegen.training.callbacks.progress import Progress
from scenegen.training.machine import Machine
from scenegen.training.ranks import Ranks
from scenegen.training.rounds import Rounds
from scenegen.training.signals import Signals

FEW = 4
"""Faults of a checkpoint that a sentence names."""


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

    def __init__(self, *, every: int, folder: Path) -> None:
        self.every, self.folder = every, folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        step = cast(Rounds, pl_module).step
        if step % self.every and step != trainer.max_steps:
            return
        for name, value in trainer.callback_metrics.items():
            if not math.isfinite(float(value)):
                raise Refusal(f"{name} became {float(value)} at step {step}; {self._cure()}")

    def _cure(self) -> str:
        """What to do, with the newest checkpoint of finite weights: a step can spoil them and show it in the next."""
        lower = "lower optim rates or a lower weight of the term that grew (see metrics.csv)"
        there = checkpoints_of(self.folder)
        for path in reversed(there):
            with contextlib.suppress(Refusal):
                load(path)
                named = name_of(self.folder) if path == there[-1] else path
                return f"the checkpoint of step {step_of(path)} is from before: resume={named} with {lower}"
        return f"no checkpoint was saved before, so start again under another name with {lower}"


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to train; nothing has been written yet.

    Attributes:
        trainer: Lightning's.
        module, loader: what it trains, and on what.
        folder: the run's folder.
        progress: the bar, which ends its line however the run ends.
    """

    trainer: pl.Trainer
    module: Rounds
    loader: Loader
    folder: Path
    progress: Progress

    def require_fit(self, checkpoint: Path, content: Mapping[str, Any]) -> None:
        """Refuse a checkpoint that holds something else than this module trains.

        Args:
            checkpoint: the file.
            content: of it.

        Raises:
            Refusal: with the first names of weights that are missing, unknown, of another shape or kind of number, or
                with the first part of the optimizers or of Lightning's counters that differs.
        """
        faults = [*_weight_faults(self.module, content["state_dict"]), *_state_faults(self.module, content)]
        faults += _counter_faults(content["loops"], {"fit_loop": self.trainer.fit_loop.state_dict()})
        if faults:
            raise Refusal(f"{checkpoint} does not fit its run ({few(faults, FEW)}); put back the file as "
                          "scenegen.train wrote it, or go on from another one: resume=FILE.ckpt")  # fmt: skip

    def run(self, *, loggers: Sequence[Logger] = (), checkpoint: Path | None = None, start: int | None = None) -> None:
        """Train to the end, from the start or from a checkpoint.

        Args:
            loggers: loggers beside metrics.csv.
            checkpoint: the checkpoint to resume from, or None.
            start: the step that it holds; None reads it off the file.

        Raises:
            Refusal: a checkpoint of another step than its name says, a loss that is not finite, a full disk, or
                another process of the run that ended.
            Stopped: a signal has come; the step is made and saved.
        """
        if start is None:
            start = clock_of(checkpoint) if checkpoint else 0
        if self.trainer.is_global_zero:
            drop_grids(self.folder / GRIDS, after=start)
        self.trainer.loggers = [Journal(self.folder / METRICS, start_step=start), *loggers]
        # Lightning cannot know that the order of the data is a function of the step; see data.stream.
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
        try:
            with Ranks(self.trainer, self.folder):
                self.trainer.fit(self.module, self.loader, ckpt_path=checkpoint, weights_only=True)
        finally:
            self.progress.close()


def prepare(
    module: Rounds,
    data,
    *,
    classes: ClassList | None,
    watched: Batch,
    folder: Path,
    rhythm: Rhythm,
    machine: Machine,
    seed: int,
    callbacks: Sequence[pl.Callback] = (),
    signals: Signals | None = None,
) -> Prepared:
    """Make a run ready to train until `rhythm.steps`: everything that can be refused is refused here.

    Args:
        module: the module to train.
        data: training pictures; items are asked for by (epoch, index).
        classes: the class list, for the colours of the grids; None for data without label maps.
        watched: the fixed inputs of the grids.
        folder: the run's folder.
        rhythm, machine, seed: see their classes.
        callbacks: callbacks beside those that every run has.
        signals: end the run after a whole step.

    Raises:
        Refusal: where the batch does not fit the data or the processes, or the machine is none that Lightning knows.
    """
    every = rhythm.checkpoint_every
    progress = Progress(batch_size=rhythm.batch_size)
    own: list[pl.Callback] = [
        progress,
        Grids(batch=watched, classes=classes, folder=folder / GRIDS, every=rhythm.grid_every, seed=seed),
        StopOnNan(every=math.gcd(rhythm.log_every, every), folder=folder),
    ]
    if watched.exemplar is not None and len(watched) > 1:
        own.append(Collapse(batch=watched, every=rhythm.grid_every, seed=seed))
    saves = Checkpoints(
        folder=folder, every=every, keep=rhythm.keep_checkpoints, log_every=rhythm.log_every, signals=signals
    )
    trainer = machine.trainer(
        steps=rhythm.steps,
        log_every=rhythm.log_every,
        folder=folder,
        callbacks=[*own, *callbacks, saves],
        loggers=[],
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
    return Prepared(trainer, module, loader, folder, progress)


def fit(
    module: Rounds, data, *, loggers: Sequence[Logger] = (), checkpoint: Path | None = None, **options: Any
) -> None:
    """Prepare and train in one call; see `prepare` for the options and `Prepared.run` for the rest."""
    prepare(module, data, **options).run(loggers=loggers, checkpoint=checkpoint)


def _weight_faults(module: Rounds, theirs: Mapping[str, Tensor]) -> list[str]:
    ours = module.state_dict()
    if module.discriminator is None:  # runs of release 0.1 kept one that nothing trained
        theirs = {name: value for name, value in theirs.items() if not name.startswith("discriminator.")}
    faults = [f"{name} is missing" for name in ours if name not in theirs]
    faults += [f"{name} is unknown" for name in theirs if name not in ours]
    alike = [(name, theirs[name], value) for name, value in ours.items() if name in theirs]
    return faults + [
        f"{name} is {tuple(found.shape)} {found.dtype} there, {tuple(own.shape)} {own.dtype} here"
        for name, found, own in alike
        if found.shape != own.shape or found.is_floating_point() != own.is_floating_point()
    ]


def _state_faults(module: Rounds, content: Mapping[str, Any]) -> list[str]:
    """Faults of the optimizers' state, whose numbers belong to the parameters in their order."""
    faults = []
    states: list[dict[str, Any]] = content["optimizer_states"]
    optimizers = module.configure_optimizers()
    if len(states) < len(optimizers):
        return [f"it has the state of {len(states)} optimizers of {len(optimizers)}"]
    for optimizer, state in zip(optimizers, states, strict=False):
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        kept = [index for group in state["param_groups"] for index in group["params"]]
        if [len(group["params"]) for group in state["param_groups"]] != [
            len(g["params"]) for g in optimizer.param_groups
        ]:
            faults.append("an optimizer has other parameters there than here")
            continue
        shapes = {index: parameter.shape for index, parameter in zip(kept, own, strict=True)}
        faults += [
            f"an optimizer's {name} of parameter {index} has another shape"
            for index, values in state["state"].items()
            for name, value in values.items()
            if isinstance(value, Tensor) and value.ndim and value.shape != shapes.get(index)
        ]
    return faults


def _counter_faults(there: Any, here: Any, place: str = "loops") -> list[str]:
    """Counters of Lightning's that a checkpoint lacks."""
    if not isinstance(here, Mapping):
        return [] if isinstance(there, int) else [f"{place} is no counter"]
    if not isinstance(there, Mapping):
        return [f"{place} holds no counters"]
    return [
        fault
        for key, value in here.items()
        for fault in (
            _counter_faults(there[key], value, f"{place}.{key}") if key in there else [f"{place} lacks {key}"]
        )
    ]


def drop_grids(folder: Path, *, after: int) -> None:
    """Remove the picture grids of steps that are made again."""
    for path in folder.glob("step_*.png"):
        number = path.stem.partition("_")[2]
        if number.isdigit() and int(number) > after:
            path.unlink()
