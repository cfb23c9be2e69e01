"""Loggers on request. metrics.csv is always written (journal.py)."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only


def tensorboard(*, folder: Path) -> TensorBoardLogger:
    """Event files in <run>/tensorboard."""
    return TensorBoardLogger(folder, name="tensorboard", version="")


def wandb(
    *, folder: Path, project: str = "scenegen", group: str | None = None, tags: Sequence[str] = ()
) -> WandbLogger:
    """A W&B run named after the run's folder; its id follows from the folder, so a resumed run is the same W&B run.

    Without an API key, or without a network, the run is recorded offline under <run>/wandb and says so; `wandb sync`
    uploads it later.
    """
    import wandb as client

    online = os.environ.get("WANDB_MODE", "online") == "online"

    def open_run(offline: bool) -> WandbLogger:
        logger = WandbLogger(
            name=folder.name,
            id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12],
            save_dir=folder,
            project=project,
            group=group,
            tags=list(tags),
            offline=offline,
            resume="allow",
            settings=client.Settings(
                mode="offline" if offline else "online", init_timeout=20, console="off", silent=True
            ),
        )
        if rank_zero_only.rank == 0:
            assert logger.experiment is not None  # starts it now, so that a dead network is known now
        return logger

    if not online:
        return open_run(offline=True)
    try:
        client.login(prompt=False)
        return open_run(offline=False)
    except client.Error as error:
        reason = str(error).strip().splitlines()[0]
        print(f"W&B: {reason}; recording offline, `wandb sync` uploads it later", file=sys.stderr)
        return open_run(offline=True)


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
