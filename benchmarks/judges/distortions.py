"""Distortions of photographs for training judges: each from slight to strong, in a form that is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Picture = np.ndarray
"""(h, w, 3) uint8."""

Distortion = Callable[[Picture, float, np.random.Generator], Picture]
"""A picture, a strength in [0, 1], and the source of chance -> the worse picture. Equal chance draws equal forms."""


def noise(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Noise of deviation 2 to 32 grey levels: normal or even, in colour or grey, at every pixel or every second."""
    h, w, _ = picture.shape
    even, grey, coarse = rng.random(3) < (0.3, 0.3, 0.25)
    size = (-(-h // 2), -(-w // 2)) if coarse else (h, w)
    drawn = rng.uniform(-1.73, 1.73, (*size, 3)) if even else rng.standard_normal((*size, 3))
    if grey:
        drawn = drawn[..., :1].repeat(3, 2)
    if coarse:
        drawn = drawn.repeat(2, 0).repeat(2, 1)[:h, :w]
    return _added(picture, drawn * 2 * 16**strength)


def blur(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Blur of 0.4 to 2.4 pixels: Gaussian, a box, or a smaller picture enlarged."""
    radius, form = 0.4 * 6**strength, rng.integers(3)
    image = Image.fromarray(picture)
    if form == 0:
        return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))
    if form == 1:
        return np.asarray(image.filter(ImageFilter.BoxBlur(1.5 * radius)))
    small = [max(4, round(side / (1 + 1.2 * radius))) for side in image.size]
    return np.asarray(
        image.resize((small[0], small[1]), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    )


def jpeg(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """JPEG of quality 80 to 6, with or without halved colours."""
    file = io.BytesIO()
    quality, halved = round(80 - 74 * strength), int(rng.integers(2)) * 2
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=halved)
    return np.asarray(Image.open(file).convert("RGB"))


def blocks(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Squares of 1.2 to 6 pixels, each of one colour: its mean, or that of its middle."""
    image = Image.fromarray(picture)
    how = Image.Resampling.BOX if rng.random() < 0.7 else Image.Resampling.NEAREST
    small = [max(4, round(side / (1.2 * 5**strength))) for side in image.size]
    return np.asarray(image.resize((small[0], small[1]), how).resize(image.size, Image.Resampling.NEAREST))


def plaid(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Grid lines of period 2, 4, 8 or 16 and 2 to 24 grey levels: lines, waves or a chequerboard, signed."""
    h, w, _ = picture.shape
    period, form, sign = int(2 ** rng.integers(1, 5)), rng.integers(3), rng.choice((-1, 1))
    y, x = np.mgrid[:h, :w] + rng.integers(0, period, (2, 1, 1))
    if form == 0:
        grid = (y % period == 0).astype(float) + (x % period == 0)
    elif form == 1:
        grid = np.sin(2 * np.pi * (y + 0.5) / period) + np.sin(2 * np.pi * (x + 0.5) / period)
    else:
        grid = ((y // (period // 2) + x // (period // 2)) % 2) * 2.0 - 1
    colour = np.ones(3) if rng.random() < 0.6 else rng.uniform(0, 1.5, 3)
    return _added(picture, sign * grid[..., None] * colour * 2 * 12**strength)


def cast(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """A colour cast of 6 to 60 grey levels in a direction that keeps the mean of the channels."""
    direction = rng.standard_normal(3)
    direction -= direction.mean()
    direction /= np.abs(direction).max() + 1e-9
    return _added(picture, direction * 6 * 10**strength)


DISTORTIONS: dict[str, Distortion] = {
    "noise": noise, "blur": blur, "jpeg": jpeg, "blocks": blocks, "plaid": plaid, "cast": cast,
}  # fmt: skip


def _added(picture: Picture, more: np.ndarray) -> Picture:
    return (picture + more).round().clip(0, 255).astype(np.uint8)
