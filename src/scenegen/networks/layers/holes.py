"""Pictures with holes: what is visible of a batch, and pictures put together along its holes."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Batch


def visible(batch: Batch) -> Tensor:
    """(b, 1, h, w) 1 where the picture is given and 0 in the hole, in the pictures' dtype."""
    return (~batch.require("hole")).to(batch.require("source").dtype)


def masked(batch: Batch) -> Tensor:
    """The given picture, 0 (mid grey) in the hole whatever stands there."""
    return batch.require("source").masked_fill(batch.require("hole"), 0.0)


def composite(image: Tensor, batch: Batch) -> Tensor:
    """A generated picture in the hole, the given one around it.

    Args:
        image: (b, c, h, w).
        batch: with source and hole.
    """
    return torch.where(batch.require("hole"), image, batch.require("source"))
