"""Pictures made in bf16, and how far they are from float32's."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from scenegen.base.records import Batch, SceneModel, Synthesis

Precision = Literal["float32", "bf16"]


class Apart(NamedTuple):
    """Distances of some pictures from those of float32, in [-1, 1]: the largest, and the root of the mean square."""

    pictures: int
    largest: float
    rms: float

    def __str__(self) -> str:
        levels = self.largest * 127.5
        return (f"bf16: the first {self.pictures} pictures are at most {self.largest:.2g} from float32's, {levels:.0f} "
                f"of 255 grey levels (root mean square {self.rms:.2g})")  # fmt: skip


def painted(model: SceneModel, batch: Batch, *, noise: Tensor | None, precision: Precision) -> Synthesis:
    """What a model samples; with bf16 its convolutions and matrix products are, and its picture is float32."""
    if precision == "float32":
        return model.sample(batch, noise=noise)
    with torch.autocast(batch.device.type, dtype=torch.bfloat16):
        made = model.sample(batch, noise=noise)
    return replace(made, image=made.image.float())


@torch.no_grad()
def apart(model: SceneModel, batch: Batch, *, noise: Tensor | None) -> Apart:
    """How far a batch's bf16 pictures are from its float32 ones."""
    coarse, fine = (painted(model, batch, noise=noise, precision=name).image for name in ("bf16", "float32"))
    off = (coarse - fine).double()
    return Apart(len(off), largest=float(off.abs().max()), rms=float(off.square().mean().sqrt()))
