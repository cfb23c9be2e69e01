"""Pictures for people and for scores: the one quantisation, label maps in colour, contact sheets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

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
    """One picture (3, h, w), float in [-1, 1] or uint8, as an (h, w, 3) uint8 array."""
    image = image if image.dtype == torch.uint8 else to_uint8(image)
    return image.permute(1, 2, 0).cpu().numpy()


def colour_labels(label: Tensor | np.ndarray, colours: Colours) -> np.ndarray:
    """A label map (h, w) of ids as an (h, w, 3) uint8 picture."""
    ids = label.cpu().numpy() if isinstance(label, Tensor) else label
    return np.asarray(colours, dtype=np.uint8)[ids]


def save_png(path: Path, picture: np.ndarray) -> None:
    """Write an (h, w, 3) or (h, w) uint8 picture, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        Image.fromarray(picture).save(part, format="PNG")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], *, titles: Sequence[str], side_by_side: int = 3, gap: int = 6
) -> np.ndarray:
    """Rows of pictures under column titles, several rows beside each other.

    Args:
        rows: per sample its pictures, each (h, w, 3) uint8 of one common size.
        titles: one title per picture of a row.
        side_by_side: how many samples stand beside each other.
        gap: pixels between pictures.

    Returns:
        (H, W, 3) uint8.
    """
    h, w = rows[0][0].shape[:2]
    scale = max(1, round(160 / w))
    h, w = h * scale, w * scale
    font = ImageFont.load_default(size=14)
    head = 24
    columns = len(titles)
    block = columns * (w + gap) + 2 * gap
    lines = -(-len(rows) // side_by_side)
    sheet = Image.new("RGB", (side_by_side * block, head + lines * (h + gap) + gap), (250, 250, 248))
    draw = ImageDraw.Draw(sheet)
    for k in range(min(side_by_side, len(rows))):
        for c, title in enumerate(titles):
            draw.text((k * block + 2 * gap + c * (w + gap), 5), title, fill=(40, 40, 40), font=font)
    for i, pictures in enumerate(rows):
        line, k = divmod(i, side_by_side)
        for c, picture in enumerate(pictures):
            tile = Image.fromarray(picture).resize(
                (w, h), Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX
            )
            sheet.paste(tile, (k * block + 2 * gap + c * (w + gap), head + line * (h + gap)))
    return np.asarray(sheet)
