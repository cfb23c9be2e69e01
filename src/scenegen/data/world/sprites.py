"""Things that stand in the landscape, drawn once per process as small pictures of material weights."""

from __future__ import annotations

from copy import copy
from functools import cache

import numpy as np

SIDE = 128


class Sketch:
    """A drawing board over x in [-0.5, 0.5], y in [0, 1] (up), lit from the right.

    Three materials; each sprite is (SIDE, SIDE, 4): shade-weighted amounts of the materials, and alpha.
    """

    def __init__(self) -> None:
        n = SIDE * 3
        self.x = ((np.arange(n) + 0.5) / n - 0.5)[None, :]  # a row and a column: what depends on one of them
        self.y = (1 - (np.arange(n) + 0.5) / n)[:, None]  # alone is computed once per column or row
        self.ink = np.zeros((n, n, 4))

    def near(self, cx: float, cy: float, reach: float) -> Sketch:
        """The part of the board within `reach` of a point in x and in y: what is drawn there is drawn on the board."""
        columns = slice(*np.searchsorted(self.x[0], (cx - reach, cx + reach)))
        rows = slice(*np.searchsorted(-self.y[:, 0], (-cy - reach, -cy + reach)))
        part = copy(self)
        part.x, part.y, part.ink = self.x[:, columns], self.y[rows], self.ink[rows, columns]
        return part

    def add(self, mask, material: int, shade: float | np.ndarray = 1.0) -> None:
        mask = np.broadcast_to(mask, self.ink.shape[:2])
        self.ink[mask] = 0
        self.ink[..., material][mask] = np.broadcast_to(shade, mask.shape)[mask]
        self.ink[..., 3][mask] = 1

    def poly(self, *points: tuple[float, float]) -> np.ndarray:
        inside = np.zeros(self.ink.shape[:2], bool)
        for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
            if y1 == y2:
                continue
            crosses = (y1 > self.y) != (y2 > self.y)
            inside ^= crosses & (self.x < (x2 - x1) * (self.y - y1) / (y2 - y1) + x1)
        return inside

    def box(self, x1: float, x2: float, y1: float, y2: float) -> np.ndarray:
        return (self.x >= x1) & (self.x < x2) & (self.y >= y1) & (self.y < y2)

    def disc(self, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        return ((self.x - cx) / rx) ** 2 + ((self.y - cy) / ry) ** 2 < 1

    def levels(self) -> list[np.ndarray]:
        """The finished sprite and its halved copies."""
        n = SIDE
        ink = self.ink.reshape(n, 3, n, 3, 4).mean((1, 3)).astype(np.float32)
        out = [ink]
        while ink.shape[0] > 4:
            ink = (ink[::2, ::2] + ink[1::2, ::2] + ink[::2, 1::2] + ink[1::2, 1::2]) / 4
            out.append(ink)
        return out


def _conifer(s: Sketch, rng) -> None:
    s.add(s.box(-0.02, 0.02, 0, 0.2), 1, 0.7)
    tiers = int(rng.integers(9, 13))
    lean = rng.uniform(0.20, 0.27)
    for i in range(tiers):
        low = 0.06 + 0.90 * i / tiers
        top = min(low + 0.24, 1.0)
        half = lean * (1 - low) * rng.uniform(0.85, 1.1) + 0.012
        cx = rng.uniform(-0.01, 0.01)
        part = s.near(cx, (low + top) / 2, max(half, (top - low) / 2) + 0.03)  # the edge is rough by 0.028
        rough = 0.016 * np.sin(part.x * rng.uniform(150, 260) + i) + 0.012 * np.sin(part.x * 97 + 2 * i)
        t = (part.y - low + rough) / (top - low)
        mask = (t > 0) & (t < 1) & (np.abs(part.x - cx) < half * (1 - t))
        shade = 0.45 + 0.35 * np.clip(1.2 * (part.x - cx) / half + 0.5, 0, 1) + 0.45 * np.clip(0.5 - t, -0.3, 0.5)
        part.add(mask, 0, shade + 0.12 * np.sin(part.x * 210 + part.y * 160))


def _broadleaf(s: Sketch, rng, low: float = 0.3, wide: float = 0.38) -> None:
    s.add(np.abs(s.x) < 0.025 + 0.03 * np.clip(0.3 - s.y, 0, 1) * (s.y < low + 0.2), 1, 0.8)
    s.ink[s.y[:, 0] > low + 0.25] = 0
    blobs = [(0.0, 0.62, 0.3)] + [
        (rng.uniform(-wide, wide) * 0.75, rng.uniform(low + 0.05, 0.84), rng.uniform(0.09, 0.17)) for _ in range(26)
    ]
    blobs = [b for b in blobs if (b[0] / wide) ** 2 + ((b[1] - 0.62) / 0.36) ** 2 < 0.9]
    order = sorted(blobs[1:], key=lambda b: b[1] - 0.3 * b[0])
    for cx, cy, r in [blobs[0], *order]:
        n = s.near(cx, cy, 1.2 * r)
        angle = np.arctan2(n.y - cy, n.x - cx)
        edge = 1 + 0.10 * np.sin(angle * 9 + cx * 50) + 0.07 * np.sin(angle * 17 + cy * 70)
        d = np.hypot(n.x - cx, n.y - cy) / (r * edge)
        lit = 0.62 + 0.34 * ((n.x - cx) * 0.7 + (n.y - cy) * 0.8) / r + 0.35 * (cy - 0.55) + 0.25 * cx
        speckle = 0.10 * np.sin(n.x * 170 + cy * 30) * np.sin(n.y * 190 + cx * 40)
        n.add(d < 1, 0, np.clip(lit + speckle, 0.2, 1.3))


def _house(s: Sketch, rng, wing: float) -> None:
    left, corner, right, eave, ridge = -0.48, -0.48 + wing, 0.48, rng.uniform(0.42, 0.5), rng.uniform(0.8, 0.9)
    mid = (left + corner) / 2
    s.add(s.poly((left, 0), (corner, 0), (corner, eave), (mid, ridge), (left, eave)), 0, 0.62)
    s.add(s.box(corner, right, 0, eave), 0, 1.0)
    tiles = 0.9 + 0.1 * np.sign(np.sin(s.y * 130))
    s.add(
        s.poly((corner + 0.02, eave - 0.04), (0.5, eave - 0.04), (0.5 - 0.1, ridge + 0.01), (mid, ridge + 0.01)),
        1,
        tiles,
    )
    s.add(
        s.poly((left - 0.02, eave - 0.06), (left + 0.02, eave - 0.06), (mid, ridge - 0.05), (mid, ridge + 0.02)), 1, 0.6
    )
    s.add(s.box(0.15, 0.22, ridge - 0.05, ridge + 0.1), 0, 0.8)
    for cx in np.linspace(corner + 0.1, right - 0.1, 3):
        s.add(s.box(cx - 0.045, cx + 0.045, 0.18, 0.34), 2, 1.0)
    s.add(s.box(mid - 0.05, mid + 0.05, 0.5, 0.62), 2, 0.8)
    s.add(s.box(mid - 0.06, mid + 0.06, 0.0, 0.26), 2, 0.7)


def _block(s: Sketch, rng, top: float) -> None:
    split = rng.uniform(-0.28, -0.1)
    for x1, x2, shade in ((-0.42, split, 0.6), (split, 0.42, 1.0)):
        s.add(s.box(x1, x2, 0, top), 0, shade)
        rows, columns = int(top * 14), max(2, int((x2 - x1) * 11))
        for r in range(rows):
            for c in range(columns):
                cx, cy = x1 + (c + 0.5) * (x2 - x1) / columns, 0.04 + (r + 0.5) * (top - 0.06) / rows
                dx, dy = 0.3 * (x2 - x1) / columns, 0.30 * (top - 0.06) / rows
                s.add(s.box(cx - dx, cx + dx, cy - dy, cy + dy), 2, shade * rng.choice([0.7, 1.0, 1.6]))
    s.add(s.box(-0.44, 0.44, top - 0.015, top + 0.01), 1, 0.9)


def _church(s: Sketch, rng) -> None:
    s.add(s.box(-0.1, 0.46, 0, 0.3), 0, 0.95)
    s.add(s.poly((-0.12, 0.29), (0.48, 0.29), (0.4, 0.5), (-0.05, 0.5)), 1, 0.95)
    s.add(s.box(-0.36, -0.22, 0, 0.6), 0, 0.65)
    s.add(s.box(-0.22, -0.08, 0, 0.6), 0, 1.0)
    s.add(s.poly((-0.38, 0.59), (-0.06, 0.59), (-0.22, 1.0)), 1, 0.8 + 0.4 * (s.x > -0.22))
    for cx in (0.02, 0.14, 0.26, 0.38):
        s.add(s.box(cx - 0.025, cx + 0.025, 0.08, 0.22), 2)
    s.add(s.box(-0.18, -0.12, 0.42, 0.52), 2)


def _lighthouse(s: Sketch, rng) -> None:
    half = 0.11 - 0.045 * s.y
    body = (np.abs(s.x) < half) & (s.y < 0.82)
    bands = np.floor(s.y * 6) % 2 == 0
    shade = 0.65 + 0.4 * np.clip(s.x / half, -0.6, 1)
    s.add(body & bands, 0, shade)
    s.add(body & ~bands, 1, shade)
    s.add(s.box(-0.1, 0.1, 0.8, 0.83), 2, 0.7)
    s.add(s.box(-0.05, 0.05, 0.83, 0.92), 2, 2.0)
    s.add(s.poly((-0.07, 0.92), (0.07, 0.92), (0.0, 1.0)), 1, 0.8)


def _rowboat(s: Sketch, rng) -> None:
    s.add(s.poly((-0.5, 0.20), (-0.38, 0.0), (0.36, 0.0), (0.5, 0.24)), 0, 0.6 + 0.6 * s.y / 0.2)
    s.add(s.poly((-0.48, 0.185), (0.48, 0.22), (0.5, 0.25), (-0.5, 0.215)), 1, 1.1)
    s.add(s.box(-0.2, -0.06, 0.16, 0.30), 2, 0.8)


def _sailboat(s: Sketch, rng) -> None:
    s.add(s.poly((-0.36, 0.12), (-0.28, 0.0), (0.28, 0.0), (0.4, 0.13)), 0, 0.7 + 2.0 * s.y)
    s.add(s.box(-0.012, 0.006, 0.1, 1.0), 2, 0.9)
    s.add(s.poly((0.015, 0.16), (0.34, 0.17), (0.015, 0.96)), 1, 1.05 - 0.35 * np.clip(s.x * 2, 0, 1))
    s.add(s.poly((-0.03, 0.16), (-0.3, 0.17), (-0.02, 0.85)), 1, 0.82)


def _ship(s: Sketch, rng) -> None:
    s.add(s.poly((-0.48, 0.26), (-0.42, 0.0), (0.42, 0.0), (0.5, 0.30)), 0, 0.75 + 0.5 * s.y)
    s.add(s.box(-0.43, 0.43, 0.0, 0.045), 2, 0.9)
    s.add(s.box(-0.40, -0.06, 0.255, 0.42), 1, 0.95)
    s.add(s.box(-0.36, -0.12, 0.42, 0.54), 1, 1.05)
    s.add(s.box(-0.30, -0.2, 0.54, 0.68), 0, 1.1)
    for cy in (0.33, 0.47):
        s.add((np.abs(s.y - cy) < 0.022) & (np.abs(s.x + 0.24) < 0.13) & (np.sin(s.x * 150) > -0.3), 2, 0.8)
    for cx in (0.05, 0.17, 0.29):
        s.add(s.box(cx - 0.05, cx + 0.05, 0.27, rng.uniform(0.34, 0.42)), 2, rng.uniform(2.0, 4.0))
    s.add(s.box(0.38, 0.392, 0.28, 0.72), 2, 1.0)
    s.add(s.box(-0.26, -0.25, 0.66, 0.9), 2, 1.0)


def _person(s: Sketch, rng) -> None:
    stride = rng.uniform(0.03, 0.08)
    s.add(s.poly((-0.07, 0.5), (0.0, 0.5), (-stride + 0.01, 0), (-stride - 0.07, 0)), 1, 0.8)
    s.add(s.poly((0.0, 0.5), (0.08, 0.5), (stride + 0.08, 0), (stride + 0.01, 0)), 1, 1.0)
    s.add(s.disc(0, 0.66, 0.125, 0.2), 0, 0.8 + 1.5 * s.x)
    s.add(s.poly((0.09, 0.8), (0.13, 0.78), (0.17, 0.46), (0.12, 0.46)), 0, 1.0)
    s.add(s.poly((-0.09, 0.8), (-0.13, 0.78), (-0.16, 0.46), (-0.12, 0.46)), 0, 0.7)
    s.add(s.disc(0, 0.915, 0.07, 0.082), 2, 0.8 + 1.5 * s.x)


def _sheep(s: Sketch, rng) -> None:
    for cx in (-0.2, -0.12, 0.14, 0.22):
        s.add(s.box(cx - 0.03, cx + 0.03, 0, 0.3), 1)
    for cx, r in ((-0.2, 0.19), (0.0, 0.22), (0.2, 0.19)):
        s.add(s.disc(cx, 0.42, r, 0.2), 0, 0.7 + 0.9 * (s.y - 0.35))
    s.add(s.disc(0.4, 0.5, 0.1, 0.1), 1, 1.0)


def _pole(s: Sketch, rng) -> None:
    s.add(s.box(-0.018, 0.018, 0, 1.0), 0, 0.8 + 10 * s.x)
    s.add(s.box(-0.16, 0.16, 0.86, 0.885), 0, 0.9)
    s.add(s.box(-0.12, 0.12, 0.76, 0.785), 0, 0.9)
    s.add(s.box(0.02, 0.09, 0.6, 0.72), 1, 0.9)


def _balloon(s: Sketch, rng) -> None:
    stripe = np.floor((s.x / np.maximum(0.34 * np.sqrt(np.clip(1 - ((s.y - 0.62) / 0.38) ** 2, 0, 1)), 0.02)) * 2.5) % 2
    body = s.disc(0, 0.62, 0.34, 0.38) | s.poly((-0.27, 0.4), (0.27, 0.4), (0.06, 0.12), (-0.06, 0.12))
    shade = 0.7 + 0.8 * s.x
    s.add(body & (stripe == 0), 0, shade)
    s.add(body & (stripe == 1), 1, shade)
    s.add(s.box(-0.05, 0.05, 0.0, 0.08), 2, 1.0)


def _car(s: Sketch, rng) -> None:
    s.add(s.poly((-0.48, 0.08), (0.48, 0.08), (0.48, 0.24), (0.3, 0.28), (-0.46, 0.28)), 0, 0.7 + 1.2 * s.y)
    s.add(s.poly((-0.36, 0.27), (0.24, 0.27), (0.1, 0.46), (-0.26, 0.46)), 0, 1.1)
    s.add(s.poly((-0.31, 0.28), (0.18, 0.28), (0.08, 0.43), (-0.24, 0.43)), 2, 1.2)
    for cx in (-0.28, 0.28):
        s.add(s.disc(cx, 0.09, 0.09, 0.09), 1, 0.5)


def _reeds(s: Sketch, rng) -> None:
    for _ in range(46):
        x0, tip, lean = rng.uniform(-0.42, 0.42), rng.uniform(0.35, 0.98), rng.uniform(-0.14, 0.14)
        t = s.y / tip
        s.add(
            (t < 1) & (np.abs(s.x - x0 - lean * t * t) < 0.016 * (1.1 - t)), 0, 0.5 + 0.6 * t + rng.uniform(-0.1, 0.2)
        )


def _bush(s: Sketch, rng) -> None:
    for i in range(22):
        cx, cy, r = rng.uniform(-0.36, 0.36), rng.uniform(0.05, 0.5), rng.uniform(0.1, 0.18)
        cy *= 1 - (cx / 0.5) ** 2
        cy += 0.1
        n = s.near(cx, cy, 1.2 * r)
        lit = 0.6 + 0.4 * ((n.x - cx) * 0.6 + (n.y - cy)) / r + 0.5 * (cy - 0.3)
        d = np.hypot(n.x - cx, n.y - cy) / (r * (1 + 0.18 * np.sin(np.arctan2(n.y - cy, n.x - cx) * 11 + i)))
        n.add((d < 1) & (n.y > 0), 0, np.clip(lit, 0.25, 1.3))
    for _ in range(14):
        cx, cy = rng.uniform(-0.33, 0.33), rng.uniform(0.15, 0.5)
        s.add(s.disc(cx, cy, 0.025, 0.025), 1, 1.0)


def _boulder(s: Sketch, rng) -> None:
    angles = np.sort(rng.uniform(0, np.pi, 7))
    points = [
        (-0.48, 0.0),
        *[(-0.46 * np.cos(a), (0.5 + 0.2 * rng.uniform(-1, 1)) * np.sin(a) + 0.05) for a in angles],
        (0.48, 0),
    ]
    facet = np.sin(s.x * 9 + s.y * 5 + rng.uniform(0, 6)) + 0.6 * np.sin(s.x * 23 - s.y * 17)
    s.add(
        s.poly(*points), 0, 0.55 + 0.5 * s.x + 0.5 * s.y + 0.10 * np.sign(facet) + 0.05 * np.sin(s.x * 90 + s.y * 130)
    )


_MAKERS = {
    "conifer": [_conifer] * 4,
    "broadleaf": [_broadleaf] * 4 + [lambda s, r: _broadleaf(s, r, 0.22, 0.3)],
    "house": [lambda s, r: _house(s, r, 0.3), lambda s, r: _house(s, r, 0.4), lambda s, r: _house(s, r, 0.25)],
    "block": [lambda s, r, t=t: _block(s, r, t) for t in (0.97, 0.75, 0.55)],
    "church": [_church],
    "lighthouse": [_lighthouse],
    "rowboat": [_rowboat],
    "sailboat": [_sailboat],
    "ship": [_ship] * 2,
    "person": [_person] * 3,
    "sheep": [_sheep],
    "pole": [_pole],
    "balloon": [_balloon],
    "car": [_car],
    "reeds": [_reeds] * 2,
    "bush": [_bush] * 3,
    "boulder": [_boulder] * 4,
}


@cache
def sprites(name: str) -> list[list[np.ndarray]]:
    """Variants of a kind of thing, each a list of mip levels; drawn when the first picture shows one."""
    rng = np.random.default_rng(100 + list(_MAKERS).index(name))
    variants = []
    for draw in _MAKERS[name]:
        board = Sketch()
        draw(board, rng)
        variants.append(board.levels())
    return variants
