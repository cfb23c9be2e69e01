"""The slot `augment`: batches and shown pictures changed at random, by a seed of the step."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Shown


class Augment(nn.Module):
    """Base of the slot's options; its methods change nothing by default.

    Equal seeds draw equal changes, so a resumed run draws the same as an uninterrupted one.

    Attributes:
        judges: it acts on what a discriminator sees, and is refused where there is none.
    """

    judges: ClassVar[bool] = False

    def batch(self, batch: Batch, *, seed: int) -> Batch:
        """The batch of a round, pictures and label maps changed alike."""
        return batch

    def shown(self, shown: Shown, *, seed: int) -> Shown:
        """The input of the discriminator, condition, generated and real pictures changed alike, with gradient."""
        return shown

    def part(self, shown: Shown, *, seed: int, first: int) -> Shown:
        """`shown` of the pictures first, first + 1, ... of the round's whole batch.

        Options that draw for each picture do so by its place, which makes a batch in parts, or on several processes,
        equal to the whole.
        """
        return self.shown(shown, seed=seed)


class Distort(Augment):
    """`distort` of pictures and label maps, to train segmenters that read generated pictures."""

    def batch(self, batch: Batch, *, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        image, label = batch.require("image"), batch.require("label")
        changed, ids = distort(image.cpu(), label.cpu(), generator=generator)
        return replace(batch, image=changed.to(image.device), label=ids.to(label.device), instance=None)


def distort(image: Tensor, label: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random framing of each picture and, on part of the batches, noise, blur or a lower resolution.

    Args:
        image: (b, 3, h, w) in [-1, 1].
        label: (b, h, w) int64.
        generator: the only source of chance.

    Returns:
        Both at one new size per batch (3/4 of it or the whole, rounded to 16).
    """
    image, label = reframe(image, label, generator=generator)
    image = expose(image, generator=generator)
    return degrade(image, generator=generator).clamp(-1, 1), label


def reframe(image: Tensor, label: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror half of the pictures, cut a random box out of each, resize all to one size."""
    b, _, h, w = image.shape
    scale = 1.0 if _chance(generator) < 0.6 else 0.75
    size = [max(16, round(side * scale / 16) * 16) for side in (h, w)]
    zoom = _uniform(b, 0.6, 1.0, generator=generator)
    stretch = _uniform(b, -0.12, 0.12, generator=generator).exp()
    zoom_x, zoom_y = (zoom * stretch).clamp(max=1), (zoom / stretch).clamp(max=1)
    # Most pictures keep their whole frame: where things stand in it is part of what they are.
    whole = _uniform(b, 0, 1, generator=generator) < 0.5
    zoom_x, zoom_y = (torch.where(whole, torch.ones(b), z) for z in (zoom_x, zoom_y))
    shift_x = _uniform(b, -1, 1, generator=generator) * (1 - zoom_x)
    shift_y = _uniform(b, -1, 1, generator=generator) * (1 - zoom_y)
    mirror = (_uniform(b, 0, 1, generator=generator) < 0.5).float() * -2 + 1
    theta = torch.zeros(b, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = zoom_x * mirror, shift_x
    theta[:, 1, 1], theta[:, 1, 2] = zoom_y, shift_y
    grid = F.affine_grid(theta, [b, 3, *size], align_corners=False)
    image = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    ids = F.grid_sample(label[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    return image, ids[:, 0].long()


def expose(image: Tensor, *, generator: torch.Generator) -> Tensor:
    """Mild random changes of brightness, contrast, saturation and white balance, per picture."""
    b = image.shape[0]
    gain = _uniform((b, 3, 1, 1), 0.93, 1.07, generator=generator)
    gain = gain * _uniform((b, 1, 1, 1), 0.8, 1.2, generator=generator)
    contrast = _uniform((b, 1, 1, 1), 0.8, 1.2, generator=generator)
    saturation = _uniform((b, 1, 1, 1), 0.7, 1.3, generator=generator)
    light = (image + 1) / 2 * gain
    light = light + (contrast - 1) * (light - light.mean(dim=(1, 2, 3), keepdim=True))
    grey = light.mean(dim=1, keepdim=True)
    return (grey + saturation * (light - grey)) * 2 - 1


def degrade(image: Tensor, *, generator: torch.Generator) -> Tensor:
    """One fault of generated pictures on four of ten batches: noise, blur, low resolution, a grid pattern."""
    h, w = image.shape[-2:]
    kind = _chance(generator)
    strength = _chance(generator)
    if kind < 0.12:
        noise = torch.randn(image.shape, generator=generator)
        return image + noise * (0.02 + 0.1 * strength)
    if kind < 0.24:
        return _blurred(image, sigma=0.4 + 0.9 * strength)
    if kind < 0.32:
        small = F.interpolate(image, scale_factor=0.5, mode="area")
        return F.interpolate(small, size=(h, w), mode="bilinear")
    if kind < 0.4:  # the checkerboard that upsampling leaves
        wave = torch.arange(h)[:, None] % 2 * 2 - 1, torch.arange(w)[None] % 2 * 2 - 1
        return image + (wave[0] * wave[1]) * (0.02 + 0.06 * strength)
    return image


def _blurred(image: Tensor, *, sigma: float) -> Tensor:
    taps = torch.tensor([math.exp(-(x**2) / (2 * sigma**2)) for x in (-2, -1, 0, 1, 2)])
    taps = (taps / taps.sum()).to(image)
    padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
    columns = F.conv2d(padded, taps.view(1, 1, 5, 1).expand(3, 1, 5, 1), groups=3)
    return F.conv2d(columns, taps.view(1, 1, 1, 5).expand(3, 1, 1, 5), groups=3)


def _chance(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()


def _uniform(size: int | tuple[int, ...], low: float, high: float, *, generator: torch.Generator) -> Tensor:
    return torch.rand(size, generator=generator) * (high - low) + low
