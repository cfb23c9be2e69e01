"""Pictures for people and for scores: the one quantisation, label maps in colour, PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scenegen.base.files import whole

Colours = Sequence[tuple[int, int, int]]


def to_uint8(image: Tensor) -> Tensor:
    """Quantise pictures once, for files, grids and scores alike.

    Args:
        image: (..., h, w) floats in [-1, 1]; what lies outside is clamped.

    Returns:
        The same shape, uint8: round((x + 1) / 2 * 255). (The published SPADE code truncates, which darkens by
        half a grey level.)
    """
    return image.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def from_uint8(image: Tensor) -> Tensor:
    """uint8 pictures as floats in [-1, 1]; to_uint8 gives the same bytes back."""
    return image.float().div(127.5).sub(1)


def to_array(image: Tensor) -> np.ndarray:
    """One picture (1 or 3, h, w), float in [-1, 1] or uint8, as an (h, w, 3) uint8 array; grey is repeated."""
    image = image if image.dtype == torch.uint8 else to_uint8(image)
    return image.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()


def colour_labels(label: Tensor | np.ndarray, colours: Colours) -> np.ndarray:
    """A label map (h, w) of ids as an (h, w, 3) uint8 picture."""
    ids = label.cpu().numpy() if isinstance(label, Tensor) else label
    return np.asarray(colours, dtype=np.uint8)[ids]


def save_png(path: Path, picture: np.ndarray) -> None:
    """Write an (h, w, 3) or (h, w) uint8 picture, whole or not at all."""
    with whole(path) as part:
        Image.fromarray(picture).save(part, format="PNG")
