"""Pictures with holes: what is visible of a batch, and pictures put together along its holes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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


def spread(batch: Batch) -> Tensor:
    """The given picture, the hole filled with the colours around it, coarser the deeper in it.

    Known pixels are averaged down by 2 until every place knows one; what is missing is read from the next coarser
    size.

    Args:
        batch: with source and hole; a picture without any known pixel stays grey.

    Source: Gortler et al., SIGGRAPH 1996 (the lumigraph), section 3.4 (pull-push).
    """
    known, picture = visible(batch), masked(batch)
    return torch.where(known > 0, picture, _pulled(picture, known))


def _pulled(picture: Tensor, known: Tensor) -> Tensor:
    """Mean colours of what is known, (b, c, h, w), read from coarser sizes where nothing is."""
    here = picture / known.clamp(min=1e-8)  # `picture` is the sum of known pixels over their share
    h, w = known.shape[-2:]
    if h * w == 1 or min(h, w) == 1 or h % 2 or w % 2:
        share = known.mean((2, 3), keepdim=True).clamp(min=1e-8)
        coarser = (picture.mean((2, 3), keepdim=True) / share).expand_as(picture)
    else:
        coarser = _pulled(F.avg_pool2d(picture, 2), F.avg_pool2d(known, 2))
        coarser = F.interpolate(coarser, size=(h, w), mode="bilinear", align_corners=False)
    return torch.where(known > 0, here, coarser)
