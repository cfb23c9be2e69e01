"""Laplacian pyramids and the patches of their levels, from which a distance without any network is made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.refusal import Refusal

SMALLEST = 16
"""Shorter side of the coarsest level, at least; halved levels below it are not made."""

PATCH = 7
"""Pixels a side of a patch."""

_TAPS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def level_count(height: int, width: int) -> int:
    """Number of levels of a picture's pyramid: from full resolution down to a shorter side of 16 or more.

    Raises:
        Refusal: a picture whose shorter side is below 16.
    """
    shorter, levels = min(height, width), 1
    if shorter < SMALLEST:
        raise Refusal(f"a pyramid needs pictures of {SMALLEST} pixels a side or more, got {width}x{height}")
    while (shorter := shorter // 2) >= SMALLEST:
        levels += 1
    return levels


def laplacian_pyramid(image: Tensor) -> list[Tensor]:
    """The bands of pictures, finest first; the coarsest is what is left of the picture itself.

    Args:
        image: (b, c, h, w) real numbers, the shorter side 16 or more.

    Returns:
        Bands (b, c, h / 2^i, w / 2^i), odd sides rounded up; `collapsed` puts them together again.

    Raises:
        Refusal: a shorter side below 16.

    Source: Burt & Adelson, The Laplacian pyramid as a compact image code (1983), with their a = 0.375.
    """
    bands = []
    for _ in range(level_count(*image.shape[-2:]) - 1):
        half = _halved(image)
        bands.append(image - _doubled(half, image.shape[-2:]))
        image = half
    return [*bands, image]


def collapsed(bands: list[Tensor]) -> Tensor:
    """The pictures of their bands, (b, c, h, w); the inverse of `laplacian_pyramid`."""
    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = band + _doubled(image, band.shape[-2:])
    return image


def patches(band: Tensor, places: Tensor) -> Tensor:
    """Patches of a level, one in every cell of an even grid.

    Args:
        band: (b, c, h, w) with h and w of 7 or more.
        places: (b, 2, n, n) in [0, 1), the place of the patch in its cell, down and across.

    Returns:
        (b, n^2, c, 7, 7).
    """
    count, channels, height, width = band.shape
    side = places.shape[-1]
    cell = torch.arange(side, device=places.device)
    top = _at(cell[:, None] + places[:, 0], side, height).flatten(1)  # (b, n^2)
    left = _at(cell + places[:, 1], side, width).flatten(1)
    windows = band.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (b, c, h - 6, w - 6, 7, 7), a view
    rows = torch.arange(count, device=band.device)[:, None]
    return windows.permute(0, 2, 3, 1, 4, 5)[rows, top, left].reshape(count, side * side, channels, PATCH, PATCH)


def _at(place: Tensor, side: int, length: int) -> Tensor:
    room = length - PATCH + 1
    return (place * room / side).long().clamp(max=room - 1)


def _halved(image: Tensor) -> Tensor:
    """Low-pass, then every second pixel."""
    return _smoothed(image)[..., ::2, ::2]


def _doubled(image: Tensor, size: torch.Size) -> Tensor:
    """Zeros between the pixels, then low-pass; cut to `size`."""
    wide = image.new_zeros((*image.shape[:2], *size))
    wide[..., ::2, ::2] = image
    return 4 * _smoothed(wide)


def _smoothed(image: Tensor) -> Tensor:
    """Binomial low-pass of 5 taps along both axes; the border is mirrored."""
    taps = image.new_tensor(_TAPS)
    channels = image.shape[1]
    image = F.pad(image, (2, 2, 2, 2), mode="reflect")
    image = F.conv2d(image, taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)
    return F.conv2d(image, taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
