"""Pictures of the same few test maps every N steps."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from scenegen.base.pictures import colour_labels, contact_sheet, save_png, to_array
from scenegen.base.records import Batch
from scenegen.base.seeding import hash_seed
from scenegen.data.classes import ClassList
from scenegen.training.rounds import GanModule


class Grids(pl.Callback):
    """Writes grids/step_<n>.png: label | [exemplar |] generated | real, always of the same maps and the same noise.

    Args:
        batch: the fixed inputs.
        classes: for the colours of the label maps.
        folder: where the grids go.
        every: steps between two grids.
        seed: seed of the fixed noise.
    """

    def __init__(self, *, batch: Batch, classes: ClassList, folder: Path, every: int, seed: int) -> None:
        self.batch, self.classes, self.folder, self.every, self.seed = batch, classes, folder, every, seed

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        module = cast(GanModule, pl_module)
        if not trainer.is_global_zero or (module.step % self.every and module.step != trainer.max_steps):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        picture = self.draw(module)
        save_png(self.folder / f"step_{module.step:07d}.png", picture)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("grid", [picture], step=module.step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("grid", picture, module.step, dataformats="HWC")

    @torch.no_grad()
    def draw(self, module: GanModule):
        """The sheet of the fixed inputs as (H, W, 3) uint8."""
        model, batch = module.best_model, self.batch.to(module.device)
        noise = None
        if model.noise_shape is not None:
            stream = torch.Generator().manual_seed(hash_seed(self.seed, "grid"))
            noise = torch.randn(len(batch), *model.noise_shape, generator=stream).to(batch.image)
        training = model.training
        images = model.eval().sample(batch, noise=noise).image
        model.train(training)
        columns = {"label": [colour_labels(label, self.classes.colours) for label in batch.label]}
        if batch.exemplar is not None:
            columns["exemplar"] = [to_array(picture) for picture in batch.exemplar]
        columns["generated"] = [to_array(picture) for picture in images]
        columns["real"] = [to_array(picture) for picture in batch.image]
        rows = list(zip(*columns.values(), strict=True))
        return contact_sheet(rows, titles=tuple(columns))
