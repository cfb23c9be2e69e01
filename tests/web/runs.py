"""A run with random weights, opened for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.config.opened import TrainedRun, Vocabulary
from scenegen.data.classes import LANDSCAPE
from scenegen.web.easel import Easel
from scenegen.web.gallery import Suggestion
from scenegen.web.reader import Reader
from tests.options import built

SIDE = 64


SMALL: dict[str, dict[str, Any]] = {
    "gaugan": {"ngf": 4, "hidden": 4, "latent": 4, "vae": True, "edges": False},
    "cocosnetv1": {"ngf": 4, "hidden": 4},
    "picnet": {"sizes": {"ngf": 2, "widest": 8, "z": 3}, "blocks": 1, "edges": False},
    "sesame_editor": {"ngf": 2, "hidden": 4, "edges": False},
}


def opened_run(model: str = "gaugan", *, side: int = SIDE, **changes: Any) -> TrainedRun:
    """A run of a small model with random weights."""
    classes = LANDSCAPE
    options = {**SMALL[model], **changes}
    torch.manual_seed(0)
    made = built(f"model/{model}", num_classes=len(classes), height=side, width=side, **options).eval()
    config = {"size": {"height": side, "width": side}, "data": {}}
    return TrainedRun(Path("runs/small"), config, Vocabulary(classes, False), made, step=3)


def easel(run: TrainedRun | None = None) -> Easel:
    """The run on the page's easel."""
    return Easel(run or opened_run(), checkpoint=Path("runs/small/x.ckpt"), device="cpu", lookup=False)


class Bands:
    """A segmenter that reads brightness: the id is the mean of the colours over 10."""

    name = "bands"

    def predict(self, image: Tensor) -> Tensor:
        return image.float().mean(1).div(10).long()


READER = Reader(Bands(), "", "cpu")


class Pictures:
    """Training pictures whose map is one class each, and whose colour says which."""

    def nearest(self, ids: np.ndarray, *, count: int) -> list[Suggestion]:
        first = int(np.bincount(ids.ravel()).argmax())
        return [Suggestion(first, f"of_{first}", 1.0), Suggestion(0, "of_0", 0.5)][:count]

    def picture(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((SIDE, SIDE, 3), 8 * place, np.uint8), np.full((SIDE, SIDE), place)
