"""Checkpoints every N steps, of which the newest few are kept."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytorch_lightning as pl

from scenegen.base.files import whole
from scenegen.base.refusal import Refusal
from scenegen.runs.checkpoints import first_line
from scenegen.runs.folder import checkpoint_path, checkpoints_of
from scenegen.training.rounds import Rounds


class Checkpoints(pl.Callback):
    """Saves checkpoints/step_<n>.ckpt every N steps and at the last step, and keeps the newest few.

    Each is written beside its place and moved there when complete, so a full disk or a kill leaves the older
    ones untouched and no half file under a checkpoint's name.

    Args:
        folder: the run's folder.
        every: steps between two checkpoints.
        keep: how many are kept.
    """

    def __init__(self, *, folder: Path, every: int, keep: int) -> None:
        self.folder, self.every, self.keep = folder, every, keep

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        step = cast(Rounds, pl_module).step
        if step % self.every == 0 or step == trainer.max_steps:
            self.save(trainer, step)

    def save(self, trainer: pl.Trainer, step: int) -> None:
        """Write one checkpoint and drop those beyond the newest `keep`."""
        path = checkpoint_path(self.folder, step)
        try:
            if not trainer.is_global_zero:
                trainer.save_checkpoint(path)  # takes part in gathering; rank 0 writes
                return
            with whole(path) as part:
                trainer.save_checkpoint(part)
        except (OSError, RuntimeError) as error:
            # torch's writer reports a full disk as a RuntimeError that quotes no errno.
            raise Refusal(
                f"could not save {path}: {first_line(error)}; earlier checkpoints are whole: "
                f"free space and go on with resume={self.folder.name}"
            ) from error
        for old in checkpoints_of(self.folder)[: -self.keep]:
            old.unlink()
