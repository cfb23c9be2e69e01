"""Checkpoints every N steps, of which the newest few are kept, and one more when a signal ends the run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from scenegen.base.files import whole
from scenegen.base.refusal import Refusal
from scenegen.runs.checkpoints import first_line
from scenegen.runs.folder import checkpoint_path, checkpoints_of, name_of
from scenegen.runs.journal import Journal
from scenegen.training.ranks import is_lost
from scenegen.training.rounds import Rounds
from scenegen.training.signals import Signals, Stopped


class Checkpoints(pl.Callback):
    """Saves checkpoints/step_<n>.ckpt every N steps and at the last step, and keeps the newest few.

    Each is written beside its place and moved there when complete, so a full disk or a kill leaves the older
    ones untouched and no half file under a checkpoint's name. The step's row is in the journal before its checkpoint
    is there, so that a run which is killed in between makes the step again, row included. It is the last callback of
    a run: grids and interim scores of a step are there before its checkpoint too.

    Args:
        folder: the run's folder.
        every: steps between two checkpoints.
        keep: how many are kept.
        log_every: steps between two rows of the journal.
        signals: where a signal has come, a checkpoint is saved after the step, and the run ends with `Stopped`.
    """

    def __init__(self, *, folder: Path, every: int, keep: int, log_every: int, signals: Signals | None = None) -> None:
        self.folder, self.every, self.keep, self.log_every = folder, every, keep, log_every
        self.signals = signals
        self._asked: tuple[dist.Work, torch.Tensor] | None = None

    def on_train_start(self, trainer, pl_module) -> None:
        if self.signals is not None:
            self.signals.install()
            self.signals.graceful = True

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        step = cast(Rounds, pl_module).step
        stopped = self._stopped(trainer, last=step == trainer.max_steps)
        if step % self.every == 0 or step == trainer.max_steps or stopped:
            self.save(trainer, step)
        if stopped:
            raise Stopped(stopped, step=step)

    def on_train_end(self, trainer, pl_module) -> None:
        if self.signals is not None:
            self.signals.graceful = False

    def save(self, trainer: pl.Trainer, step: int) -> None:
        """Write one checkpoint and drop those beyond the newest `keep`."""
        path = checkpoint_path(self.folder, step)
        try:
            if not trainer.is_global_zero:
                trainer.save_checkpoint(path)  # takes part in gathering; rank 0 writes
                return
            self._write_row(trainer, step)
            with whole(path) as part:
                trainer.save_checkpoint(part)
        except (OSError, RuntimeError) as error:
            if is_lost(error):  # another process of the run ended; training/ranks.py says which
                raise
            # torch's writer reports a full disk as a RuntimeError that quotes no errno.
            left = "earlier checkpoints are whole" if checkpoints_of(self.folder) else "no checkpoint was saved before"
            raise Refusal(
                f"could not save {path}: {first_line(error)}; {left}: "
                f"free space and go on with resume={name_of(self.folder)}"
            ) from error
        for old in checkpoints_of(self.folder)[: -self.keep]:
            old.unlink()

    def _write_row(self, trainer: pl.Trainer, step: int) -> None:
        """Write the step's row, where one is due; Lightning gives it to the loggers after this callback."""
        if step % self.log_every:
            return
        metrics = {name: float(value) for name, value in trainer.logged_metrics.items() if name != "step"}
        for logger in trainer.loggers:
            if isinstance(logger, Journal):
                logger.log_metrics(metrics, step=step)

    def _stopped(self, trainer: pl.Trainer, *, last: bool) -> int:
        """The signal that ends the run after this step, 0 for none; all processes of a run agree on it.

        Several processes ask each other at each step and read the answer at the next one, so that none waits; the
        answer of the last step is waited for.
        """
        received = 0 if self.signals is None else self.signals.received or 0
        if trainer.world_size == 1 or self.signals is None:
            return received
        shared = torch.tensor(received, device=trainer.strategy.root_device)
        work = dist.all_reduce(shared, op=dist.ReduceOp.MAX, async_op=True)
        assert work is not None
        before, self._asked = self._asked, (work, shared)
        found = _answer(before)
        if found or last:
            found, self._asked = max(found, _answer(self._asked)), None
        return found


def _answer(asked: tuple[dist.Work, torch.Tensor] | None) -> int:
    """Highest signal of the processes when they asked; 0 where they did not."""
    if asked is None:
        return 0
    asked[0].wait()
    return int(asked[1])
