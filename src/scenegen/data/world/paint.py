"""Standing things put into the picture: sprites, upright bands, level strips, each hidden by what is nearer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenegen.data.classes import LANDSCAPE
from scenegen.data.world.light import Light, mix, rgb, vegetation
from scenegen.data.world.noise import smoothstep, textures
from scenegen.data.world.sprites import SIDE, sprites
from scenegen.data.world.terrain import FOCAL, STEPS, WIDTH, Land
from scenegen.data.world.things import Deck, Ribbon, Thing

CLASS = {name: i for i, name in enumerate(LANDSCAPE.names)}
WET = np.zeros(29, bool)
WET[[CLASS[n] for n in ("water", "sea", "river", "lake")]] = True


def distance(thing: Thing | Ribbon | Deck) -> float:
    """Depth by which things are painted, far first."""
    if isinstance(thing, Thing):
        return thing.z
    if isinstance(thing, Ribbon):
        return max(thing.start[1], thing.end[1]) * 0.999
    return thing.z[1]


def stands_behind(thing: Thing | Ribbon | Deck, canvas: Canvas, shore: np.ndarray) -> bool:
    """True for things that the water mirrors: those on land beyond the shore, bridges and waterfalls."""
    if isinstance(thing, Deck):
        return False
    if isinstance(thing, Ribbon):
        return thing.label in ("bridge", "waterfall")
    if thing.needs == "water":
        return False
    column = (thing.x / thing.z * FOCAL + WIDTH / 2) / WIDTH * len(shore)
    return thing.z > shore[int(np.clip(column, 0, len(shore) - 1))] > 0


def soften(image: np.ndarray, depth: np.ndarray) -> None:
    """Average each pixel of an outline (a jump of depth to the row above) with its neighbours above and below."""
    jump = depth[:-1] > 1.12 * depth[1:]
    at = np.flatnonzero(jump[:-1]) + depth.shape[1]
    w = depth.shape[1]
    flat = image.reshape(-1, 3)
    flat[at] = 0.5 * flat[at] + 0.3 * flat[at - w] + 0.2 * flat[at + w]


@dataclass
class Canvas:
    """The picture under way: (h, w, 3) image, (h, w) label and depth, and the geometry they share."""

    image: np.ndarray
    label: np.ndarray
    depth: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    land: Land
    light: Light
    season: float

    def __post_init__(self) -> None:
        self.h, self.w = self.label.shape
        self.horizon, self.cam = self.land.place.horizon, self.land.cam
        self.dx = float(self.columns[1] - self.columns[0])

    def put(self, thing: Thing | Ribbon | Deck) -> None:
        if isinstance(thing, Thing):
            self._sprite(thing)
        elif isinstance(thing, Ribbon):
            self._ribbon(thing)
        else:
            self._deck(thing)

    def ground(self, z, columns) -> np.ndarray:
        """Height of the bare ground at depths z in the given pixel columns."""
        log = np.log(self.land.z[:, 0])
        k = np.clip((np.log(z) - log[0]) / (log[1] - log[0]), 0, STEPS - 1.001)
        i = k.astype(int)
        bare = self.land.bare
        return bare[i, columns] * (1 - k + i) + bare[i + 1, columns] * (k - i)

    def _tint(self, tint) -> np.ndarray:
        if isinstance(tint, str):
            return mix(vegetation(self.season, tint), rgb(0.86, 0.89, 0.95), 0.22 * self.light.snow)
        return np.array(tint, np.float32)

    def _bright(self, level: float = 0.8) -> np.ndarray:
        return self.light.ambient * np.float32(0.72) + self.light.sun * np.float32(level)

    def _hazed(self, colour: np.ndarray, z) -> np.ndarray:
        far = (1 - np.exp(-np.asarray(z, np.float32) / np.float32(self.light.reach))) * np.float32(0.93)
        return colour + (self.light.haze - colour) * far

    def _blend(self, box, colour, alpha, depth, label: int, solid=None) -> None:
        """Paint a box where nothing nearer stands; label where the cover is at least a half."""
        alpha = alpha * (self.depth[box] > np.float32(0.97) * depth)
        self.image[box] += (colour - self.image[box]) * alpha[..., None]
        sure = (alpha >= 0.5) if solid is None else solid & (self.depth[box] > np.float32(0.97) * depth)
        self.label[box][sure] = label
        np.copyto(self.depth[box], depth, where=sure)

    def _sprite(self, t: Thing) -> None:
        centre = WIDTH / 2 + FOCAL * t.x / t.z
        column = int(centre / self.dx)
        if not 0 <= column < self.w and not -0.3 < centre < WIDTH + 0.3:
            return
        base = t.base
        if base is None:
            base = float(self.ground(np.float32(t.z), min(max(column, 0), self.w - 1)))
            if t.needs == "land" and base < 0.1 and (self.land.place.water or self.land.place.stream):
                return
            base = max(base, 0.0) if t.needs == "any" and (self.land.place.water or self.land.place.stream) else base
        elif t.needs == "water" and self.ground(np.float32(t.z), min(max(column, 0), self.w - 1)) > -0.3:
            return
        foot = self.horizon + FOCAL * (self.cam - base) / t.z
        tall = FOCAL * t.size / t.z
        wide = tall * t.stretch
        top, left = foot - tall, centre - wide / 2
        r0, r1 = max(int(np.ceil(top * self.h - 0.5)), 0), min(int(np.floor(foot * self.h - 0.5)) + 1, self.h)
        c0, c1 = (
            max(int(np.ceil(left / self.dx - 0.5)), 0),
            min(int(np.floor((left + wide) / self.dx - 0.5)) + 1, self.w),
        )
        if r0 >= r1 or c0 >= c1:
            return
        variants = sprites(t.sprite)
        levels = variants[int(abs(t.x * 7.3 + t.z * 3.1)) % len(variants)]
        level = int(np.clip(np.log2(max(SIDE / max(tall * self.h, 1), 1.0)) - 0.2, 0, len(levels) - 1))
        picture = levels[level]
        if self.light.towards[0] < 0:
            picture = picture[:, ::-1]
        n = picture.shape[0]
        v = np.clip((self.rows[r0:r1] - top) / tall * n - 0.5, 0, n - 1.001)
        u = np.clip((self.columns[c0:c1] - left) / wide * n - 0.5, 0, n - 1.001)
        iv, iu = v.astype(int), u.astype(int)
        tv, tu = (v - iv).astype(np.float32)[:, None, None], (u - iu).astype(np.float32)[None, :, None]
        strips = picture[iv] * (1 - tv) + picture[iv + 1] * tv
        ink = strips[:, iu] * (1 - tu) + strips[:, iu + 1] * tu
        tints = np.stack([self._tint(tint) for tint in t.tints])
        alpha = ink[..., 3]
        colour = (ink[..., :3] @ tints) / np.maximum(alpha, 0.05)[..., None] * self._bright()
        box = (slice(r0, r1), slice(c0, c1))
        self._blend(box, self._hazed(colour, t.z), alpha, np.float32(t.z), CLASS[t.label])

    def _ribbon(self, r: Ribbon) -> None:
        (x1, z1), (x2, z2) = r.start, r.end
        tangent = self.land.tangent[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            s = (z1 * tangent - x1) / ((x2 - x1) - tangent * (z2 - z1))
        inside = np.flatnonzero((s >= 0) & (s <= 1))
        if len(inside) < 2:
            return
        c0, c1 = int(inside[0]), int(inside[-1]) + 1
        s = s[c0:c1].astype(np.float32)
        z = np.maximum(z1 + s * (z2 - z1), 1.0).astype(np.float32)
        base = self.ground(z, np.arange(c0, c1)) if r.base is None else np.full_like(z, r.base)
        foot = self.horizon + FOCAL * (self.cam - base) / z
        top = self.horizon + FOCAL * (self.cam - base - r.size) / z
        r0, r1 = max(int(top.min() * self.h) - 1, 0), min(int(foot.max() * self.h) + 2, self.h)
        if r0 >= r1:
            return
        y = self.rows[r0:r1, None]
        v = (foot[None] - y) / (foot - top)[None]
        along = s * np.float32(np.hypot(x2 - x1, z2 - z1))
        edge = np.clip((y - top) * self.h + 0.5, 0, 1) * np.clip((foot - y) * self.h + 0.5, 0, 1)
        draw = {"wall": _wall, "fence": _fence, "railing": _railing, "bridge": _bridge, "waterfall": _waterfall}[
            r.label
        ]
        texel = z / (self.h * FOCAL)
        albedo, cover = draw(along[None], v, r.size, texel[None], self.land.place.offset)
        box = (slice(r0, r1), slice(c0, c1))
        colour = self._hazed(albedo * self._bright(0.75), z[None, :, None])
        solid = (edge >= 0.5) & (cover >= 0.5 if r.label in ("bridge", "waterfall") else True)
        depth = np.broadcast_to(z[None], edge.shape)
        self._blend(
            box, colour, edge * cover, depth * np.float32(0.9 if r.label == "waterfall" else 1), CLASS[r.label], solid
        )

    def _deck(self, d: Deck) -> None:
        r0 = int(np.clip((self.horizon + FOCAL * (self.cam - d.height) / d.z[1]) * self.h, 0, self.h - 1))
        y = self.rows[r0:, None]
        z = FOCAL * (self.cam - d.height) / np.maximum(y - self.horizon, 1e-3)
        x = z * self.land.tangent
        pixel = z / (self.h * FOCAL)
        cover = np.clip((d.half - np.abs(x - d.x)) / pixel + 0.5, 0, 1) * ((z > d.z[0]) & (z < d.z[1]))
        plank = (
            0.9
            + 0.1 * np.sin(z * 9) * np.clip(0.1 / pixel, 0, 1)
            - 0.3 * (np.abs(np.abs(x - d.x) - d.half * 0.9) < 0.08 * d.half)
        )
        colour = self._hazed(rgb(0.50, 0.40, 0.31) * plank[..., None] * self._bright(), z[..., None])
        box = (slice(r0, self.h), slice(0, self.w))
        step = 3.0
        for side in (-1, 1):
            for post in np.arange(d.z[1], d.z[0], -step):
                tall, wide = d.height + 0.7, 0.22
                wood = ((0.36, 0.28, 0.21),) * 3
                self._post(d.x + side * d.half, float(post), tall, wide, wood, CLASS[d.label])
        self._blend(box, colour, cover, z * np.float32(0.96) + np.zeros_like(x), CLASS[d.label])

    def _post(self, x: float, z: float, tall: float, wide: float, wood, label: int) -> None:
        centre = WIDTH / 2 + FOCAL * x / z
        y0 = self.horizon + FOCAL * (self.cam - tall) / z
        y1 = self.horizon + FOCAL * self.cam / z
        half = max(0.5 * wide * FOCAL / z, 0.4 * self.dx)
        r0, r1 = int(np.clip(y0 * self.h, 0, self.h)), int(np.clip(y1 * self.h, 0, self.h))
        c0, c1 = (
            int(np.clip((centre - half) / self.dx, 0, self.w)),
            int(np.clip((centre + half) / self.dx + 1, 0, self.w)),
        )
        if r0 >= r1 or c0 >= c1:
            return
        box = (slice(r0, r1), slice(c0, c1))
        colour = self._hazed(np.float32(wood[0]) * self._bright(), z)
        alpha = np.full((r1 - r0, c1 - c0), min(1.0, 2 * half / self.dx), np.float32)
        self._blend(box, np.broadcast_to(colour, (*alpha.shape, 3)), alpha, np.float32(z * 0.95), label)


def _wall(u, v, size, texel, offset):
    shelf = textures().ground
    stone = shelf(u / 5 + offset[0], v * size / 5 + offset[1], shelf.level(np.minimum(texel / 5, 0.2)))
    joint = np.abs(np.sin(v * 9)) < 0.12
    tone = 1 + 0.10 * stone[..., 2] + 0.08 * stone[..., 1] - 0.16 * joint + 0.18 * (v > 0.9)
    return rgb(0.63, 0.58, 0.51) * np.clip(tone, 0.4, 1.6)[..., None], np.ones_like(v)


def _bars(phase, width, texel):
    """Soft bars of a width (in periods) around phase 0; below a pixel they turn into an even veil."""
    d = np.abs(phase - np.round(phase))
    soft = np.maximum(texel, 1e-4)
    return np.clip((width / 2 - d) / soft + 0.5, 0, 1)


def _fence(u, v, size, texel, offset):
    posts = _bars(u / 2.0, 0.09, texel / 2.0)
    rails = np.maximum(
        _bars((v - 0.88), 0.12, texel / size),
        np.maximum(_bars((v - 0.55), 0.11, texel / size), _bars((v - 0.22), 0.11, texel / size)),
    )
    cover = np.maximum(posts, rails)
    tone = 0.85 + 0.2 * v
    return rgb(0.50, 0.39, 0.28) * tone[..., None], np.clip(cover, 0, 1)


def _railing(u, v, size, texel, offset):
    posts = _bars(u / 1.8, 0.05, texel / 1.8)
    thin = _bars(u / 0.22, 0.2, texel / 0.22) * 0.9
    rails = np.maximum(_bars(v - 0.95, 0.10, texel / size), _bars(v - 0.10, 0.06, texel / size))
    return rgb(0.74, 0.76, 0.79) * (0.8 + 0.3 * v)[..., None], np.clip(np.maximum(np.maximum(posts, rails), thin), 0, 1)


def _bridge(u, v, size, texel, offset):
    period = size * 2.6
    phase = u / period - np.floor(u / period) - 0.5
    arch = 0.72 * np.sqrt(np.clip(1 - (phase / 0.42) ** 2, 0, 1))
    gap = np.clip((arch - v) * size / np.maximum(texel, 1e-4) + 0.5, 0, 1) * (np.abs(phase) < 0.42)
    rim = (v > arch) & (v < arch + 0.10) & (np.abs(phase) < 0.45)
    tone = (
        0.92
        + 0.16 * rim
        + 0.10 * (v > 0.93)
        - 0.22 * ((v > 0.80) & (v < 0.85))
        + 0.04 * np.sin(u * 5) * np.sign(np.sin(v * 40))
    )
    return rgb(0.66, 0.57, 0.48) * tone[..., None], 1 - gap


def _waterfall(u, v, size, texel, offset):
    shelf = textures().waves
    streak = shelf(v * size / 60 + offset[0], u / 7 + offset[1], shelf.level(np.minimum(texel / 7, 0.2)))
    middle = u.mean() + 0.5 * np.sin(v * 5 + offset[2] * 6) * (1 - v)
    half = 0.5 * float(u.max() - u.min()) * (0.72 + 0.25 * (1 - v) + 0.05 * streak)
    cover = np.clip((half - np.abs(u - middle)) / np.maximum(texel, 0.1) + 0.5, 0, 1)
    mist = smoothstep(0.15, 0.0, v)
    tone = 0.86 + 0.14 * streak + 0.2 * mist
    return rgb(0.90, 0.95, 1.0) * np.clip(tone, 0.5, 1.25)[..., None], cover * (0.93 - 0.1 * (streak < -0.8))
