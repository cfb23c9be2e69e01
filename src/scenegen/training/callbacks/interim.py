"""Mask accuracy of a few test maps while a run trains, cheap enough to be measured often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import nn

from scenegen.base.pictures import to_uint8
from scenegen.base.records import Batch
from scenegen.base.seeding import hash_seed
from scenegen.data.classes import ClassList
from scenegen.metrics.accuracy import confusion, pixel_accuracy
from scenegen.training.rounds import Rounds


class Interim(pl.Callback):
    """Logs interim/mask_acc, the pooled accuracy on fixed maps painted with fixed noise.

    It compares runs at one step with each other. It is no score: the maps are few, and the total's other parts
    are not in it.

    Args:
        segmenter: reads label maps off pictures: predict((b, 3, h, w) uint8) -> (b, h, w) ids.
        batches: the fixed inputs.
        classes: of the label maps.
        every: steps between two looks.
        seed: seed of the fixed noise.
    """

    def __init__(self, *, segmenter: Any, batches: Sequence[Batch], classes: ClassList, every: int, seed: int) -> None:
        self.segmenter, self.batches, self.classes, self.every, self.seed = segmenter, batches, classes, every, seed

    def on_fit_start(self, trainer, pl_module) -> None:
        if isinstance(self.segmenter, nn.Module):
            self.segmenter.to(pl_module.device)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        module = cast(Rounds, pl_module)
        if not trainer.is_global_zero or module.step % self.every:
            return
        metrics = {"interim/mask_acc": self.measure(module)}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=module.step)

    @torch.no_grad()
    def measure(self, module: Rounds) -> float:
        """The accuracy now."""
        counts = []
        for place, batch in enumerate(self.batches):
            batch = batch.to(module.device)
            images = module.best_model.paint(batch, seed=hash_seed(self.seed, "interim", place)).image
            assert batch.label is not None
            sizes = {"num_classes": len(self.classes), "ignore": self.classes.ignore}
            counts.append(confusion(self.segmenter.predict(to_uint8(images)), batch.label, **sizes))
        return float(pixel_accuracy(torch.stack(counts).sum(0)))
