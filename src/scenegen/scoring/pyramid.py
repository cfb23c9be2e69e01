"""The pyramid distance as a measure: patches of every scale of the made pictures beside the photographs'."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.pyramid import PATCH, laplacian_pyramid, patches
from scenegen.metrics.rows import Rows
from scenegen.metrics.sliced import Transport, transport
from scenegen.scoring.distances import FLOOR_LEAST, Found, held_and_rest
from scenegen.scoring.judges.protocols import BOTH, require_uint8
from scenegen.scoring.measures import SetMeasure, Sets
from scenegen.scoring.record import Number

CHANNELS = 3
SCALE = 1e3
"""Distances are shown times this, as Progressive GAN shows them."""


class PyramidPatches:
    """Description of a picture by patches of its Laplacian pyramid's levels.

    Where the patches stand is a function of the picture's bytes, so that a description depends on nothing else.

    Args:
        cells: patches of a level down, and across.
    """

    name = title = "pyramid"
    stand_in = False
    ranks = BOTH
    resize = "none"

    def __init__(self, *, cells: int) -> None:
        self.cells = cells
        self.stamp = f"Laplacian pyramid, {cells * cells} patches of {PATCH}x{PATCH} a level"

    def __call__(self, image: Tensor) -> Tensor:
        """Patches of a batch.

        Args:
            image: (b, 3, h, w) uint8.

        Returns:
            (b, levels * cells^2 * 3 * 49) float, grey levels.

        Raises:
            Refusal: not uint8, or a side below 16.
        """
        require_uint8(image, what="the pyramid distance")
        bands = laplacian_pyramid(image.float())
        places = torch.stack([self._places(len(bands), one) for one in image]).to(image.device)
        return torch.cat([patches(band, places[:, i]).flatten(1) for i, band in enumerate(bands)], 1)

    def _places(self, levels: int, picture: Tensor) -> Tensor:
        stream = torch.Generator().manual_seed(zlib.crc32(picture.cpu().contiguous().numpy().data))
        return torch.rand(levels, 2, self.cells, self.cells, generator=stream)


class Pyramid(SetMeasure):
    """Sliced Wasserstein distance between patches of the made pictures and of the reference, mean over the levels.

    Patches of a level are divided by the photographs' deviation in each channel, after their mean was taken off. (The
    paper normalises each set by its own, which takes away most of what blur and lost contrast change.)

    Args:
        cells: patches of a level down, and across.
        directions: random directions, drawn from the score's seed.
        photographs: reference photographs that are described at most, spread evenly over all of them.

    Source: Karras et al., Progressive growing of GANs, ICLR 2018, section 5.
    """

    name = describer = "pyramid"
    better = "lower"

    def __init__(self, *, cells: int, directions: int, photographs: int) -> None:
        options = {"cells": cells, "directions": directions, "photographs": photographs}
        for option, value in options.items():
            least = 2 if option == "photographs" else 1
            if value < least:
                raise Refusal(f"measure.pyramid.{option}={value} must be {least} or more")
        self.cells, self.directions, self.most = cells, directions, photographs
        patches_of = PyramidPatches(cells=cells)
        self.judges = {self.describer: patches_of}
        self.stamp = f"{patches_of.stamp}, {directions} directions, {photographs} photographs at most, times 1e3"

    def of_set(self, sets: Sets) -> Found:
        levels = self._levels(sets.made, sets.real.features, sets)
        beside = {}
        for i, level in enumerate(levels):
            shrunk = 2**i
            name = f"pyramid at 1/{shrunk}"
            beside[f"pyramid_{shrunk}"] = Number(name, level.distance * SCALE, len(sets.made), self.stamp)
        held, rest, what = held_and_rest(sets.real, sets.photos, count=len(sets.made), seed=sets.options.seed)
        if sets.options.floor and len(held) >= FLOOR_LEAST:
            floor = _mean(self._levels(held, rest, sets))
            judge = f"{what}, {len(held)} against {len(rest)}"
            beside["pyramid_floor"] = Number("pyramid floor, real vs real", floor, len(held), judge)
        pictures = [level.influence.reshape(len(sets.made), -1).mean(1) for level in levels]
        return Found(_mean(levels), (SCALE * torch.stack(pictures).mean(0)).numpy(), beside)

    def _levels(self, made: Rows, real: Rows, sets: Sets) -> list[Transport]:
        width = self.cells**2 * CHANNELS * PATCH**2
        found = []
        for first in range(0, made.shape[1], width):
            columns = slice(first, first + width)
            patches_of_real = _patches(real[:][:, columns])
            middle = patches_of_real.mean((0, 2), keepdim=True)
            spread = patches_of_real.std((0, 2), keepdim=True).clamp(min=1e-6)
            levels = [_Level(rows, columns, self.cells**2, middle, spread) for rows in (made, real)]
            stream = torch.Generator().manual_seed(sets.options.seed)
            found.append(transport(*levels, directions=self.directions, generator=stream))
        return found


class _Level:
    """Rows (pictures * cells^2, 3 * 49) of normalised patches of one level, out of described pictures.

    Args:
        rows: of the described pictures.
        columns: of the level.
        cells: patches of a picture.
        middle, spread: (1, 3, 1) by which patches are normalised.
    """

    def __init__(self, rows: Rows, columns: slice, cells: int, middle: Tensor, spread: Tensor) -> None:
        self.rows, self.columns, self.cells = rows, columns, cells
        self.middle, self.spread = middle, spread

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows) * self.cells, CHANNELS * PATCH**2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice | Tensor, /) -> Tensor:
        assert isinstance(part, slice), "a sliced distance reads rows in order"
        first, last, _ = part.indices(len(self))
        picture = first // self.cells
        read = _patches(self.rows[picture : -(-last // self.cells)][:, self.columns])
        return ((read - self.middle) / self.spread).flatten(1)[first - picture * self.cells :][: last - first]


def _patches(columns: Tensor) -> Tensor:
    """(pictures * cells^2, 3, 49) patches of a level's columns (pictures, cells^2 * 3 * 49)."""
    return columns.reshape(-1, CHANNELS, PATCH * PATCH)


def _mean(levels: list[Transport]) -> float:
    return SCALE * sum(level.distance for level in levels) / len(levels)
