"""TensorBoard event files of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger

from scenegen.runs.processes import is_first


def tensorboard(*, folder: Path, config: Mapping[str, Any]) -> TensorBoardLogger:
    """Event files in <run>/tensorboard, the config as text among them."""
    logger = TensorBoardLogger(folder, name="tensorboard", version="")
    if is_first():
        text = "    " + json.dumps(config, indent=2, default=str).replace("\n", "\n    ")
        logger.experiment.add_text("config", text)
    return logger
