"""The order in which the world's kinds of landscape follow each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from scenegen.data.world.inland import badlands, desert, farmland, forest_path, highlands, meadow, steppe, village
from scenegen.data.world.terrain import Place
from scenegen.data.world.waterside import (
    city,
    coast,
    gorge,
    harbour,
    mountain_lake,
    open_sea,
    pond,
    promenade,
    river_valley,
)

PROGRAMME: tuple[Callable[[np.random.Generator], Place], ...] = (
    mountain_lake,
    coast,
    farmland,
    forest_path,
    village,
    river_valley,
    desert,
    gorge,
    meadow,
    harbour,
    highlands,
    open_sea,
    mountain_lake,
    pond,
    steppe,
    city,
    coast,
    badlands,
    river_valley,
    promenade,
    meadow,
    farmland,
    open_sea,
    highlands,
)
"""The kind of scene of index i is PROGRAMME[i % 24], so that any two dozen pictures in a row are varied."""


def place_of(rng: np.random.Generator, index: int) -> Place:
    place = PROGRAMME[index % len(PROGRAMME)](rng)
    for f in fields(place):
        if f.type == "float":
            setattr(place, f.name, float(getattr(place, f.name)))
    place.offset = rng.uniform(0, 1, 8).astype(np.float32)
    place.clouds = float(np.clip(place.clouds + rng.uniform(-0.35, 0.35), 0, 1))
    return place
