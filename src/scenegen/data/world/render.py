"""Rendering: a place and a light become a picture and its label map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenegen.base.records import Refusal
from scenegen.data.classes import LANDSCAPE
from scenegen.data.world import paint
from scenegen.data.world.light import draw_style, grade, light_of
from scenegen.data.world.noise import textures
from scenegen.data.world.scenes import place_of
from scenegen.data.world.surface import classify, colour_ground, colour_sky, colour_water
from scenegen.data.world.terrain import WIDTH, Land, View

CLASS = {name: i for i, name in enumerate(LANDSCAPE.names)}
LEAST = 16


@dataclass(frozen=True)
class Scene:
    """One picture of the procedural world.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        label: (h, w) uint8 class ids of `scenegen.data.classes.LANDSCAPE`.
        style: the numbers that govern the colours; names and ranges in `STYLE_FIELDS`.
    """

    image: np.ndarray
    label: np.ndarray
    style: dict[str, float]


def render(seed: int, index: int, *, height: int, width: int) -> Scene:
    """Picture `index` of the world `seed`: a pure function, the same composition at every size.

    Args:
        seed, index: whole numbers >= 0.
        height, width: size in pixels, at least 16; the scene always fills a 4:3 frame.

    Returns:
        The picture, its label map and its style.

    Raises:
        Refusal: for a negative seed or index, or a side below 16 pixels.
    """
    if height < LEAST or width < LEAST:
        raise Refusal(f"a procedural picture of {height}x{width} is too small; give both sides >= {LEAST} pixels")
    if seed < 0 or index < 0:
        raise Refusal(f"seed {seed} and index {index} of a procedural picture must be >= 0")
    rng = _stream(seed, index)
    style = draw_style(rng)
    place = place_of(rng, index)
    light = light_of(style)
    rows = ((np.arange(height) + 0.5) / height).astype(np.float32)
    columns = ((np.arange(width) + 0.5) * (WIDTH / width)).astype(np.float32)
    land = Land(place, columns, light)
    view = View(land, rows)
    first = view.first_row
    ground_label, wet = classify(view, place)
    label = np.full((height, width), CLASS["sky"], np.uint8)
    label[first:] = ground_label
    depth = np.full((height, width), 1e9, np.float32)
    depth[first:] = view.depth
    last = min(height, int(np.searchsorted(rows, view.top.max())) + 2)
    sky = np.zeros((height, width, 3), np.float32)
    sky[:last] = colour_sky(rows[:last], columns, place, style, light)
    canvas = paint.Canvas(
        image=sky, label=label, depth=depth,
        rows=rows, columns=columns, land=land, light=light, season=style["season"],
    )  # fmt: skip
    ground = colour_ground(view, ground_label, place, style, light, height)
    cover = np.clip((rows[first:, None] - view.top[None]) * height + 0.5, 0, 1) * view.land_mask
    canvas.image[first:] += (ground - canvas.image[first:]) * cover[..., None]
    paint.soften(canvas.image, canvas.depth)
    things = sorted(place.things, key=paint.distance, reverse=True)
    shore = _shore_depth(view, wet)
    if wet.any():
        behind = [t for t in things if paint.stands_behind(t, canvas, shore)]
        for thing in behind:
            canvas.put(thing)
        colour_water(canvas, view, wet & (canvas.label[first:] == ground_label), place, style)
        things = [t for t in things if t not in behind]
    for thing in things:
        canvas.put(thing)
    grain = _grain(rng, height, width)
    return Scene(image=grade(canvas.image, style, grain), label=canvas.label, style=style)


def style_of(seed: int, index: int) -> dict[str, float]:
    """The style of picture `index` of the world `seed`, which is drawn first of all."""
    return draw_style(_stream(seed, index))


def _stream(seed: int, index: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64([seed, index, 29]))


def _shore_depth(view: View, wet: np.ndarray) -> np.ndarray:
    """Per column the depth of the farthest water, 0 where there is none."""
    return np.where(wet, view.z, 0).max(axis=0)


def _grain(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    shelf = textures().ground
    oy, ox = int(rng.integers(512)), int(rng.integers(512))
    rows, columns = (np.arange(height) + oy) & 511, (np.arange(width) + ox) & 511
    return shelf.flat[: 512 * 512, 1].reshape(512, 512)[rows][:, columns] * np.float32(0.005)
