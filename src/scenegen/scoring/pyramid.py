"""The pyramid distance as a measure: patches of every scale of the made pictures beside the photographs'."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.pyramid import PATCH, laplacian_pyramid, patches
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

    def _levels(self, made: Tensor, real: Tensor, sets: Sets) -> list[Transport]:
        found = []
        for x, y in zip(self._patches(made), self._patches(real), strict=True):
            middle, spread = y.mean((0, 2), keepdim=True), y.std((0, 2), keepdim=True).clamp(min=1e-6)
            stream = torch.Generator().manual_seed(sets.options.seed)
            rows = [((z - middle) / spread).flatten(1) for z in (x, y)]
            found.append(transport(*rows, directions=self.directions, generator=stream))
        return found

    def _patches(self, features: Tensor) -> list[Tensor]:
        """Per level, (pictures * cells^2, 3, 49) patches of described pictures."""
        one = self.cells * self.cells * CHANNELS * PATCH * PATCH
        return [part.reshape(-1, CHANNELS, PATCH * PATCH) for part in features.split(one, dim=1)]


def _mean(levels: list[Transport]) -> float:
    return SCALE * sum(level.distance for level in levels) / len(levels)
