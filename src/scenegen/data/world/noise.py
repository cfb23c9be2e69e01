"""Tileable noise pictures, made once per process, that every scene looks up at its own offsets."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SIZE = 512


class Texture:
    """A tileable picture with its halved copies (mip levels), looked up bilinearly.

    Args:
        picture: (n, n) or (n, n, c) float array, n a power of two.
    """

    def __init__(self, picture: np.ndarray) -> None:
        self.size = picture.shape[0]
        levels, offsets, at = [], [], 0
        level = picture.astype(np.float32)
        while level.shape[0] >= 4:
            levels.append(level.reshape(level.shape[0] ** 2, *level.shape[2:]))
            offsets.append(at)
            at += level.shape[0] ** 2
            level = (level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]) / 4
        self.flat = np.concatenate(levels)
        self.offsets = np.array(offsets, np.intp)
        self.sides = np.array([self.size >> i for i in range(len(levels))], np.intp)

    def level(self, footprint):
        """The mip level whose texel is about `footprint` (in tiles) wide."""
        level = np.log2(np.maximum(np.asarray(footprint, np.float32) * self.size, 1.0))
        return np.minimum(level.astype(np.intp), len(self.sides) - 1)

    def __call__(self, u, v, level=0) -> np.ndarray:
        """Values at (u, v), in tiles; the three arguments broadcast against each other."""
        side, offset = self.sides[level], self.offsets[level]
        texels = np.float32(side)
        u, v = (
            np.asarray(u, np.float32) * texels - np.float32(0.5),
            np.asarray(v, np.float32) * texels - np.float32(0.5),
        )
        iu, iv = np.floor(u), np.floor(v)
        tu, tv = u - iu, v - iv
        mask = side - 1
        iu, iv = iu.astype(np.intp), iv.astype(np.intp)
        left, right = iu & mask, (iu + 1) & mask
        top, low = (iv & mask) * side + offset, ((iv + 1) & mask) * side + offset
        if self.flat.ndim == 2:
            tu, tv = tu[..., None], tv[..., None]
        take = self.flat.take
        a, b = take(top + left, axis=0), take(top + right, axis=0)
        a += (b - a) * tu
        c, d = take(low + left, axis=0), take(low + right, axis=0)
        c += (d - c) * tu
        a += (c - a) * tv
        return a

    def nearest(self, u, v, level=0) -> np.ndarray:
        """Values at (u, v) without interpolation, for texels no larger than a pixel or two."""
        side, offset = self.sides[level], self.offsets[level]
        texels, mask = np.float32(side), side - 1
        iu = np.floor(np.asarray(u, np.float32) * texels).astype(np.intp) & mask
        iv = np.floor(np.asarray(v, np.float32) * texels).astype(np.intp) & mask
        return self.flat.take(iv * side + (offset + iu), axis=0)


@lru_cache(maxsize=2)
def _frequencies(stretch: float) -> np.ndarray:
    """Of the values of a real picture's Fourier transform, per tile, above 0; those along u count `stretch` times."""
    fy = np.fft.fftfreq(SIZE, 1 / SIZE)[:, None]
    fx = np.fft.rfftfreq(SIZE, 1 / SIZE)[None] * stretch
    return np.maximum(np.hypot(fx, fy), 1e-6)


def _spectral(rng: np.random.Generator, beta: float, low: float, high: float, stretch: float = 1.0) -> np.ndarray:
    """Gaussian noise with power f^-beta between two frequencies (per tile); stretch > 1 draws it out along u."""
    f = _frequencies(stretch)
    gain = (f >= low) * np.exp(-((f / high) ** 2))
    if beta:
        gain *= f ** (-beta / 2)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * gain, s=(SIZE, SIZE))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def _ridged(rng: np.random.Generator) -> np.ndarray:
    """Sharp crests and rounded valleys in [0, 1]: octaves of 1 - |noise|, each stronger on the crests below it."""
    total, weight, gain = np.zeros((SIZE, SIZE), np.float32), 1.0, 1.0
    for octave in range(6):
        f = 2.0 * 2**octave
        crest = np.clip(1 - np.abs(_spectral(rng, 0.0, f * 0.5, f)) * 0.75, 0, 1) ** 2
        total += gain * crest * weight
        weight = np.clip(crest * 1.6, 0.25, 1)
        gain *= 0.5
    return (total - total.min()) / np.ptp(total)


def _crowns(rng: np.random.Generator, cells: int, pointed: float) -> np.ndarray:
    """Tree crowns seen from above: height in [0, 1], a number per crown in [0, 1], the side that faces +u."""
    offset, size = rng.uniform(0, 1, (cells, cells, 2)), rng.uniform(0.55, 1.0, (cells, cells))
    crowns = (offset[..., 0], offset[..., 1], size, rng.uniform(0, 1, (cells, cells)))
    at = (np.arange(SIZE) + 0.5) * cells / SIZE
    own = np.floor(at).astype(int)
    best = np.full(SIZE**2, -1.0)
    out = np.zeros((SIZE**2, 3))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            row, column = own + dy, own + dx
            y, x, full, shade = (numbers.take(row % cells, 0).take(column % cells, 1) for numbers in crowns)
            y, x = at[:, None] - (row[:, None] + y), at[None] - (column[None] + x)
            radius = full * 0.85
            # the first crown is also what stands where none reaches; of the others, no more than their squares
            near = np.ones(y.shape, bool) if (dy, dx) == (-1, -1) else (np.abs(x) < radius) & (np.abs(y) < radius)
            place = np.flatnonzero(near)
            y, x, radius, full, shade = (part[near] for part in (y, x, radius, full, shade))
            d = np.hypot(x, y) / radius
            dome = np.sqrt(np.clip(1 - d * d, 0, 1)) * (1 - pointed) + pointed * np.clip(1 - d, 0, 1)
            height = dome * full
            nearer = height > best[place]
            best[place[nearer]] = height[nearer]
            out[place[nearer]] = np.stack([height, shade, np.clip(x / radius, -1, 1)], -1)[nearer]
    return out.reshape(SIZE, SIZE, 3)


def _with_slopes(height: np.ndarray, scale: float) -> np.ndarray:
    slope = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * scale
    return np.stack([height, np.clip(slope, -2, 2)], -1)


class Textures:
    """The noise pictures, each centred (mean 0, deviation 1) unless said otherwise."""

    def __init__(self) -> None:
        rng = np.random.default_rng(20220422)
        self.relief = Texture(_spectral(rng, 3.4, 1, 200))
        self.ridges = Texture(_ridged(rng))
        self.patches = Texture(_spectral(rng, 2.2, 2, 250))
        self.clouds = Texture(_with_slopes(_spectral(rng, 2.9, 2, 180), 4.0))
        self.conifers = Texture(_crowns(rng, 48, 0.8))
        self.leaves = Texture(_crowns(rng, 40, 0.1))
        self.waves = Texture(_spectral(rng, 1.6, 3, 90, stretch=6.0))
        rock = _ridged(rng)
        bump = _with_slopes(rock - rock.mean(), 8.0)
        soft, fine = _spectral(rng, 1.4, 3, 160), _spectral(rng, 0.4, 12, 220)
        self.ground = Texture(np.stack([soft, fine, bump[..., 0] * -5, bump[..., 1]], -1))


@lru_cache(maxsize=1)
def textures() -> Textures:
    """Textures of this process, made on first use."""
    return Textures()


def smoothstep(low, high, x):
    """0 below low, 1 above high, smooth between (low > high turns it round)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
