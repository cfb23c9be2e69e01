"""The lie of the land: a height field in metres, seen in perspective, solved for every pixel's nearest hit.

The camera stands at x = 0, z = 0 and looks along +z; the horizon is a row of the picture. Columns are
solved for all depths at once (a running minimum of projected rows), so hills hide what lies behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scenegen.data.world.light import Light
from scenegen.data.world.noise import smoothstep, textures

STEPS = 152
FAR = 9000.0
FOCAL = 1.05
WIDTH = 4 / 3  # of the picture, in picture heights, whatever the pixels


@dataclass
class Place:
    """Make-up of a kind of landscape; lengths in metres, covers in 0..1."""

    ground: str = "grass"
    far_ground: str = "grass"
    eye: float = 3.0
    horizon: float = 0.42
    relief: float = 1.0
    hills: float = 25.0
    mountains: float = 0.0
    valley: float = 0.6  # how far the mountains step aside in the middle
    cliffs: float = 0.0  # height of side cliffs
    cliff_gap: float = 0.35  # half width of the gap between them (tangent)
    cliff_wall: float = 0.0  # height of a rock face across
    cliff_from: float = 60.0
    dunes: float = 0.0
    water: str = ""
    near: float = 14.0  # the water's near and far shore
    far: float = 500.0
    headland: float = 0.0  # side of a promontory (-1, 0, 1)
    stream: str = ""
    stream_width: float = 9.0
    stream_far: float = 1500.0
    bank: float = 1.3
    beach: str = ""
    beach_height: float = 1.0
    forest: float = 0.3
    forest_from: float = 60.0
    clearing: float = 0.0  # half width of the corridor without forest
    conifers: float = 0.5
    plants: float = 0.0
    boulders: float = 0.0
    fields: float = 0.0
    path: str = ""
    path_width: float = 2.0
    path_far: float = 600.0
    clouds: float = 0.5
    bends: tuple[float, float, float] = (0.0, 0.3, 0.0)  # of path and stream: drift, swing, phase
    offset: np.ndarray = field(default_factory=lambda: np.zeros(8))
    things: list = field(default_factory=list)

    def bend(self, z):
        """x of the middle of the path or stream."""
        drift, swing, phase = self.bends
        return z * (drift + swing * np.sin(1.9 * np.log(z) + phase) / (1 + (z / 260) ** 0.5)) * smoothstep(0, 12, z)


class Land:
    """The height field of a place over (depth step, column), and the class masks that shape it."""

    def __init__(self, place: Place, columns: np.ndarray, light: Light) -> None:
        self.place = place
        start = 0.5 * FOCAL * place.eye / (1 - place.horizon)
        self.z = (start * (FAR / start) ** (np.arange(STEPS) / (STEPS - 1))).astype(np.float32)[:, None]
        self.tangent = ((columns - WIDTH / 2) / FOCAL).astype(np.float32)[None]
        self.x = self.z * self.tangent
        self.cam = place.eye + (place.bank if place.water or place.stream else 0.0)
        self._raise()
        self._grow()
        self._light(light, columns)

    def _raise(self) -> None:
        p, x, z, o, shelf = self.place, self.x, self.z, self.place.offset, textures()
        n = shelf.relief(x / 1500 + o[0], z / 1500 + o[1], shelf.relief.level(z / 1500 / 80))
        self.noise = n
        height = p.relief * n * np.minimum(0.010 * z + 0.1, 14)
        distant = smoothstep(120, 900, z)
        self.hill = p.hills * distant * np.clip(n * 0.7 + 0.45 + 0.5 * np.abs(self.tangent), 0, 3)
        height += self.hill
        self.mount = np.zeros_like(height)
        if p.mountains:
            ridge = shelf.ridges(x / 6000 + o[2], z / 5000 + o[3], shelf.ridges.level(z / 6000 / 120))
            swell = (
                np.sin(7 * self.tangent + 6.3 * o[7])
                + 0.6 * np.sin(15 * self.tangent + 6.3 * o[5])
                + 0.25 * np.sin(37 * self.tangent + 6.3 * o[0])
            )
            crest = 0.62 + 0.22 * swell
            tent = np.maximum(
                np.maximum(1 - np.abs(z - 4600) / 2900, 0.62 - np.abs(z - 2600 - 250 * swell[:, ::-1]) / 1700), 0
            )
            side = 1 - p.valley * np.exp(-((self.tangent - 0.6 * (o[4] - 0.5)) ** 2) / 0.04)
            self.mount = 1.65 * p.mountains * tent * (crest + 0.9 * (ridge - 0.35)) * side
            height += self.mount
        self.rock = np.zeros_like(height)
        if p.cliffs or p.cliff_wall:
            self._cliffs(height)
        if p.dunes:
            crest = shelf.ridges(x / 420 + o[5], z / 260 + o[6], 3)
            height += 2.2 * p.dunes * crest**1.5 * smoothstep(8, 70, z)
        near_cap = 0.35 * p.eye + 0.02 * z + 400 * smoothstep(*((60, 500) if p.dunes else (25, 90)), z)
        height = np.minimum(height, near_cap)
        height = self._flood(height)
        self.bare = height

    def _cliffs(self, height: np.ndarray) -> None:
        p, x, z, o, shelf = self.place, self.x, self.z, self.place.offset, textures()
        jag = shelf.ridges(x / 160 + o[3], z / 160 + o[2], 1) - 0.4
        rock = np.zeros_like(height)
        if p.cliffs:
            edge = np.abs(x) - p.cliff_gap * z**0.9 - 3 + 14 * jag * np.minimum(z / 60, 1)
            rock = p.cliffs * smoothstep(0, 9, edge) * smoothstep(10, 30, z) * (0.8 + 0.5 * jag)
        if p.cliff_wall:
            wall = smoothstep(p.cliff_from, p.cliff_from * 1.16, z + 12 * jag)
            rock = np.maximum(rock, p.cliff_wall * wall * (0.9 + 0.35 * jag))
        self.rock = rock
        height += rock

    def _flood(self, height: np.ndarray) -> np.ndarray:
        p, x, z = self.place, self.x, self.z
        if not (p.water or p.stream):
            return height
        height = height + p.bank
        if p.water:
            shore = z * np.exp(0.30 * self.noise + 0.5 * p.headland * self.tangent)
            basin = smoothstep(p.near * 0.75, p.near * 1.35, shore)
            if p.water == "sea":
                side = p.headland * self.tangent
                basin = basin * (
                    1
                    - smoothstep(0.16, 0.42, side + 0.12 * self.noise)
                    * smoothstep(0.9 * p.near, 2.5 * p.near, z)
                    * smoothstep(1600, 1300, z)
                    * abs(p.headland)
                )
                height = height * (1 - basin) - 4 * basin
            else:
                basin = basin * smoothstep(p.far * 1.25, p.far * 0.8, shore)
                height = np.where(z < p.far, np.minimum(height, p.bank + 0.25 * p.eye), height)
                height = height * (1 - basin) - 3 * basin
        if p.stream:
            off = np.abs(x - p.bend(z)) + self.noise * p.stream_width * 0.12
            bed = smoothstep(p.stream_width * 0.5, p.stream_width * 0.9, off)
            valley = smoothstep(p.stream_width * 0.8, p.stream_width * 8 + 0.1 * z, off)
            ends = smoothstep(p.stream_far * 0.8, p.stream_far, z)
            lower = np.minimum(height, p.bank) + np.maximum(height - p.bank, 0) * (0.05 + 0.95 * valley)
            lower += (height - lower) * ends
            height = np.maximum(bed, ends) * (lower + 1.2) - 1.2
        return height

    def _grow(self) -> None:
        """Crowns, bushes and boulders raise the ground, so that their outlines are ragged and hide what is behind."""
        p, x, z, o, shelf = self.place, self.x, self.z, self.place.offset, textures()
        height, self.canopy, self.bush = self.bare, np.zeros_like(self.bare), np.zeros_like(self.bare)
        if p.forest:
            patch = shelf.patches(x / 1400 + o[6], z / 1400 + o[7], shelf.patches.level(z / 1400 / 90))
            want = patch * 0.9 + (p.forest - 0.5) * 3.6
            want = want - 2.5 * smoothstep(0.62, 0.2, z / p.forest_from - 0.4) * 2
            if p.clearing:
                want = want + 4 * (smoothstep(0, p.clearing, np.abs(x - p.bend(z)) - p.clearing * 0.4) - 1)
            bare = (self.rock > 1.5) & (self.rock < 0.75 * max(p.cliffs, p.cliff_wall))
            if p.mountains:
                bare |= self.mount > 0.30 * p.mountains
            if p.water or p.stream:
                bare |= height < 0.5
            want -= np.float32(6) * bare
            crowns = shelf.conifers if p.conifers > 0.5 else shelf.leaves
            top = crowns(x / 230 + o[1], z / 230 + o[2], crowns.level(z / 230 / 150))[..., 0]
            ragged = 2.2 * shelf.ground(x / 45 + o[3], z / 45 + o[4], shelf.ground.level(z / 45 / 120))[..., 1]
            self.canopy = np.clip(want * 2.5, 0, 1) * (
                4.5 + ragged * np.clip(90 / z, 0.2, 1) + (13.0 if p.conifers > 0.5 else 10.0) * top
            )
        if p.plants:
            n = int(np.searchsorted(z[:, 0], 115.0))
            x, z, height = x[:n], z[:n], height[:n]
            patch = shelf.patches(x / 130 + o[4], z / 130 + o[5], 1) + (p.plants - 0.5) * 3 - 3 * smoothstep(60, 110, z)
            leaf = shelf.leaves(x / 26 + o[4], z / 26 + o[5], shelf.leaves.level(z / 26 / 150))[..., 0]
            dry = (height > 0.15) | (not (p.water or p.stream))
            self.bush[:n] = np.clip(patch * 2.5, 0, 1) * (0.15 + 0.5 * leaf) * min(1.0, p.eye / 3) * dry
        self.height = (
            np.maximum(self.bare + self.canopy + self.bush, 0)
            if (p.water or p.stream)
            else self.bare + self.canopy + self.bush
        )

    def _light(self, light: Light, columns: np.ndarray) -> None:
        dx = self.z * ((columns[-1] - columns[0]) / (len(columns) - 1) / FOCAL)
        solid = self.height - 0.55 * self.canopy
        gx = np.empty_like(solid)
        gx[:, 1:-1] = (solid[:, 2:] - solid[:, :-2]) / (2 * dx)
        gx[:, 0], gx[:, -1] = gx[:, 1], gx[:, -2]
        gz = np.empty_like(solid)
        gz[1:] = (solid[1:] - solid[:-1]) / (self.z[1:] - self.z[:-1])
        gz[0] = gz[1]
        self.slope = np.hypot(gx, gz)
        steep = 2.6 if self.place.dunes else 1.4
        gx, gz = np.clip(steep * gx, -2, 2), np.clip(steep * gz, -2, 2)
        lx, ly, lz = light.towards
        lambert = (ly - lx * gx - lz * gz) / np.sqrt(1 + gx * gx + gz * gz)
        self.sun = np.clip(lambert, 0, 1) / max(0.35, float(ly)) * min(1.0, 0.55 + float(ly))


class View:
    """View from `first_row` down, per pixel: land or sky, depth z, world x, the fields of the land there."""

    def __init__(self, land: Land, rows: np.ndarray) -> None:
        p, h, w = land.place, len(rows), land.tangent.shape[1]
        projected = (p.horizon + FOCAL * (land.cam - land.height) / land.z).astype(np.float32)
        skyline = np.minimum.accumulate(projected, axis=0)
        self.first_row = int(np.searchsorted(rows, skyline[-1].min()))
        self.first_row = max(0, min(self.first_row - 1, h - 2))
        rows = rows[self.first_row :]
        h = len(rows)
        first = np.clip(np.ceil((skyline - rows[0]) / (rows[1] - rows[0])), 0, h).astype(np.int64)
        columns = np.arange(w)
        count = np.bincount((first * w + columns).ravel(), minlength=(h + 1) * w).reshape(h + 1, w)
        # a depth step k is hidden from row r while skyline[k] > rows[r], that is first[k] > r
        k = STEPS - np.cumsum(count[:h], axis=0)
        self.land_mask = k < STEPS
        self.top = skyline[-1]
        here = np.clip(k, 1, STEPS - 1)
        at = here * w + columns
        y0, y1 = projected.ravel().take(at - w), projected.ravel().take(at)
        t = np.clip((y0 - rows[:, None]) / np.maximum(y0 - y1, 1e-6), 0, 1)
        inverse = (1 / land.z).ravel()
        self.z = 1 / (inverse.take(here - 1) * (1 - t) + inverse.take(here) * t)
        self.x = self.z * land.tangent
        stack = np.stack(
            [
                land.height,
                land.bare,
                land.sun,
                land.canopy,
                land.bush,
                land.mount,
                land.rock,
                land.slope,
                land.hill,
                land.noise,
            ],
            -1,
        ).reshape(-1, 10)
        fields = stack.take(at - w, axis=0)
        fields += (stack.take(at, axis=0) - fields) * t[..., None]
        names = ("height", "bare", "sun", "canopy", "bush", "mount", "rock", "slope", "hill", "noise")
        for i, name in enumerate(names):
            setattr(self, name, np.ascontiguousarray(fields[..., i]))
        self.depth = np.where(self.land_mask, self.z, np.float32(1e9))

    height: np.ndarray
    bare: np.ndarray
    sun: np.ndarray
    canopy: np.ndarray
    bush: np.ndarray
    mount: np.ndarray
    rock: np.ndarray
    slope: np.ndarray
    hill: np.ndarray
    noise: np.ndarray
