"""Loggers on request. metrics.csv is always written (journal.py)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import Logger


def tensorboard(*, folder: Path) -> TensorBoardLogger:
    """Event files in <run>/tensorboard."""
    return TensorBoardLogger(folder, name="tensorboard", version="")


def wandb(
    *, folder: Path, project: str = "scenegen", group: str | None = None, tags: Sequence[str] = ()
) -> WandbLogger:
    """A W&B run named after the run's folder; its id follows from the folder, so a resumed run is the same W&B run.

    Without an API key the run is recorded offline under <run>/wandb; `wandb sync` uploads it later.
    """
    import wandb as client

    has_key = bool(os.environ.get("WANDB_API_KEY")) or client.api.api_key is not None
    mode = os.environ.get("WANDB_MODE") or ("online" if has_key else "offline")
    # With a key but without a network, give up early and record offline instead of stopping the run.
    settings = client.Settings(init_timeout=20, console="off", silent=True)
    return WandbLogger(
        name=folder.name,
        id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12],
        save_dir=folder,
        project=project,
        group=group,
        tags=list(tags),
        offline=mode != "online",
        resume="allow",
        settings=settings,
    )


def report(loggers: Sequence[Logger], metrics: dict[str, float], *, sheet: Path, step: int) -> None:
    """Give every logger the score of a run and its contact sheet, and close it."""
    for logger in loggers:
        logger.log_metrics(metrics, step=step)
        if isinstance(logger, WandbLogger):
            logger.log_image("contact_sheet", [str(sheet)], step=step)
            run = logger.experiment
            run.finish()
            if run.offline:
                print(f"W&B: recorded offline; upload with: wandb sync {Path(run.dir).parent}")
        else:
            logger.finalize("success")
