"""The progress bar: losses, pictures per second, time left."""

from __future__ import annotations

import time
from typing import cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from scenegen.training.rounds import Rounds

SHOWN = ("G", "D")
"""The totals; metrics.csv has every term."""


class Progress(TQDMProgressBar):
    """Lightning's bar over the whole run, with the losses, pictures per second, and no version number."""

    def __init__(self, *, batch_size: int, refresh_rate: int = 5) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self.batch_size = batch_size
        self._start: tuple[float, int] | None = None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        if self._start is None:
            self._start = (time.perf_counter(), cast(Rounds, pl_module).step)

    def on_train_epoch_start(self, trainer, *_) -> None:
        super().on_train_epoch_start(trainer, *_)
        self.train_progress_bar.set_description("training")  # one Lightning epoch is the whole run

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        items = {key: f"{float(value):.3g}" for key, value in trainer.progress_bar_metrics.items() if key in SHOWN}
        if self._start is not None:
            began, first = self._start
            steps = cast(Rounds, pl_module).step - first
            speed = steps * self.batch_size / max(1e-9, time.perf_counter() - began)
            items["img/s"] = f"{speed:.1f}"
        return dict(items)
