"""Pictures of the same few test maps every N steps."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from scenegen.base.pictures import save_png
from scenegen.base.records import Batch
from scenegen.base.seeding import hash_seed
from scenegen.data.classes import ClassList
from scenegen.runs.folder import grid_path
from scenegen.sampling.sheets import columns, contact_sheet
from scenegen.tracking.trackio import CalmTrackio
from scenegen.training.rounds import Rounds


class Grids(pl.Callback):
    """Writes a grid every N steps: the columns of the batch and the generated picture, of the same inputs and noise.

    Args:
        batch: the fixed inputs.
        classes: for the colours of the label maps; None for data without any.
        folder: where the grids go.
        every: steps between two grids.
        seed: seed of the fixed noise.
    """

    def __init__(self, *, batch: Batch, classes: ClassList | None, folder: Path, every: int, seed: int) -> None:
        self.batch, self.classes, self.folder, self.every, self.seed = batch, classes, folder, every, seed

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        module = cast(Rounds, pl_module)
        if not trainer.is_global_zero or (module.step % self.every and module.step != trainer.max_steps):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        picture = self.draw(module)
        save_png(grid_path(self.folder, module.step), picture)
        for logger in trainer.loggers:
            if isinstance(logger, (WandbLogger, CalmTrackio)):
                logger.log_image("grid", [picture], step=module.step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("grid", picture, module.step, dataformats="HWC")

    def draw(self, module: Rounds) -> np.ndarray:
        """The sheet of the fixed inputs as (H, W, 3) uint8."""
        batch = self.batch.to(module.device)
        synthesis = module.best_model.paint(batch, seed=hash_seed(self.seed, "grid"))
        shown = columns(batch, synthesis, classes=self.classes)
        return contact_sheet(list(zip(*shown.values(), strict=True)), titles=tuple(shown))
