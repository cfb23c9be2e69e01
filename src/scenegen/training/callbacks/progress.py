"""The progress bar: losses, pictures per second, time left."""

from __future__ import annotations

import sys
import time
from typing import cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm

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

    def init_train_tqdm(self) -> Tqdm:
        """Bar over the whole run, which is one Lightning epoch; it starts at the step that a run goes on from."""
        done = cast(Rounds, self.trainer.lightning_module).step
        return Tqdm(
            desc="training",
            total=self.trainer.max_steps,
            initial=done,
            disable=self.is_disabled,
            leave=True,
            dynamic_ncols=True,
            file=sys.stdout,
            smoothing=0,
            bar_format=self.BAR_FORMAT,
        )

    def on_train_epoch_start(self, *_) -> None:
        """The bar stays as it is; Lightning would start it anew, but not where a run goes on."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        step = cast(Rounds, pl_module).step  # Lightning counts batches, which start at 0 where a run goes on
        super().on_train_batch_end(trainer, pl_module, outputs, batch, step - 1)

    def on_exception(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the bar's line, so that what is printed next has a line of its own; safe to call again."""
        if self._train_progress_bar is not None:
            self._train_progress_bar.close()

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
