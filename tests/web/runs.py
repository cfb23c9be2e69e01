"""A run with random weights, opened for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from scenegen.config.opened import TrainedRun, Vocabulary
from scenegen.data.classes import LANDSCAPE
from scenegen.web.easel import Easel
from tests.options import built

SIDE = 64


def opened_run(model: str = "gaugan", *, side: int = SIDE, **changes: Any) -> TrainedRun:
    """A run of a small model with random weights."""
    classes = LANDSCAPE
    small = {"ngf": 4, "hidden": 4}
    options = {**small, **({"latent": 4, "vae": True, "edges": False} if model == "gaugan" else {}), **changes}
    torch.manual_seed(0)
    made = built(f"model/{model}", num_classes=len(classes), height=side, width=side, **options).eval()
    config = {"size": {"height": side, "width": side}, "data": {}}
    return TrainedRun(Path("runs/small"), config, Vocabulary(classes, False), made, step=3)


def easel(run: TrainedRun | None = None) -> Easel:
    """The run on the page's easel."""
    return Easel(run or opened_run(), checkpoint=Path("runs/small/x.ckpt"), device="cpu", lookup=False)
