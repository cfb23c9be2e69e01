"""Style error: distance of two pictures' Gram matrices, which say what fires together and not where."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal


def gram_error(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the squared distance of Gram matrices, as a share of the style's.

    Args:
        x: per layer (b, c, h, w) features of made pictures.
        y: per layer (b, c, h', w') of their style pictures, which may have another size.

    Returns:
        (b,) float64 >= 0; 0 for equal Gram matrices, 1 for a picture without features.

    Raises:
        Refusal: other channels or another number of pictures.

    Source: Gatys, Ecker and Bethge, CVPR 2016, eqs. 3-5, relative.
    """
    rows = []
    for made, style in zip(x, y, strict=True):
        if made.shape[:2] != style.shape[:2]:
            raise Refusal(f"a style error compares maps of equal batch and channels, not {tuple(made.shape)} and "
                          f"{tuple(style.shape)}")  # fmt: skip
        own, wanted = _gram(made), _gram(style)
        rows.append((own - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2)).clamp(min=1e-12))
    return torch.stack(rows).mean(0)


def _gram(x: Tensor) -> Tensor:
    """(b, c, c) float64 means over the positions of products of channels."""
    rows = x.double().flatten(2)
    return rows @ rows.transpose(1, 2) / rows.shape[2]
