"""Distortions of photographs that a judge must see: each at three strengths, the more the worse."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

SIDE = 128
Picture = Image.Image


def photographs(folder: Path, split: str, count: int) -> list[Picture]:
    """Landscape photographs of the shared folder, spread over a split, at 128x128."""
    return others(folder, f"labelme_landscapes/{split}", count)


def spread(files: list[Path], count: int) -> list[Path]:
    """`count` of some files, evenly over all of them."""
    return [files[i * len(files) // count] for i in range(count)]


def stacked(pictures: list[Picture]) -> torch.Tensor:
    """(n, 3, h, w) uint8."""
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)


def added(picture: Picture, more: np.ndarray) -> Picture:
    return Image.fromarray((np.asarray(picture) + more).clip(0, 255).astype(np.uint8))


def noise(picture: Picture, sigma: float) -> Picture:
    seed = int(np.asarray(picture).sum())
    return added(picture, np.random.default_rng(seed).normal(0, sigma, (SIDE, SIDE, 3)))


def blur(picture: Picture, radius: float) -> Picture:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def jpeg(picture: Picture, loss: float) -> Picture:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=100 - int(loss))
    return Image.open(file).convert("RGB")


def blocks(picture: Picture, side: float) -> Picture:
    small = picture.resize((int(SIDE / side), int(SIDE / side)), Image.Resampling.BOX)
    return small.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def plaid(picture: Picture, height: float) -> Picture:
    lines = np.zeros((SIDE, SIDE, 1))
    lines[::8] += height
    lines[:, ::8] += height
    return added(picture, lines)


def cast(picture: Picture, most: float) -> Picture:
    return added(picture, np.array([1, 1 / 6, -1]) * most)


DISTORTIONS: dict[Callable[[Picture, float], Picture], tuple[float, float, float]] = {
    noise: (4, 8, 16), blur: (0.5, 0.8, 1.3), jpeg: (50, 70, 85), blocks: (1.34, 2, 4), plaid: (4, 8, 16),
}  # fmt: skip

WITH_CAST = DISTORTIONS | {cast: (8, 16, 32)}
"""A colour cast too, which only the quality mark and the Frechet distances are asked to see."""


def others(folder: Path, of: str, count: int) -> list[Picture]:
    """Photographs of another set of the shared folder, such as "camvid/val", spread over it, at 128x128."""
    files = spread(sorted((folder / "data" / of / "images").glob("*.jpg")), count)
    return [Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX) for file in files]
