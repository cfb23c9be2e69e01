"""CT phantoms from a seed: ellipses with a closed-form sinogram, Poisson noise in it, filtered back-projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenegen.base.depth import Depth
from scenegen.base.records import Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.layouts import check_split
from scenegen.data.slices import Slices, Twins

WATER = 0.0195
"""Attenuation of water in 1/mm, at 65 keV."""

FIELD = 360.0
"""Side of a slice in mm."""

TEST_START = 1_000_000
"""Number of the first held-out phantom; data.count never reaches it."""

Ellipses = np.ndarray
"""(n, 6): centre x, y and half axes a, b in half fields, turn in radians, Hounsfield units that it adds."""


@dataclass(frozen=True)
class Scanner:
    """A parallel-beam scanner.

    Attributes:
        views: directions, evenly over half a turn.
        photons: that leave the tube per ray at a low dose; the noise's deviation falls with their root.
        size: pixels of a slice's side; the detector has twice as many bins.
    """

    views: int
    photons: float
    size: int

    def __post_init__(self) -> None:
        if self.views < 8 or not self.photons >= 1 or self.size < 8:
            raise Refusal(f"data.views={self.views} must be 8 or more, data.photons={self.photons:g} 1 or more and the "
                          f"slices data.side=8 or more pixels (it is {self.size}); 180 views are usual")  # fmt: skip

    @property
    def angles(self) -> np.ndarray:
        """(views,) radians."""
        return np.arange(self.views) * np.pi / self.views

    @property
    def bins(self) -> np.ndarray:
        """(2 size,) centres of the detector's bins, in half fields."""
        return (np.arange(2 * self.size) + 0.5) / self.size - 1

    def sinogram(self, ellipses: Ellipses) -> np.ndarray:
        """Line integrals of attenuation, (views, bins), without noise.

        Source: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.1.
        """
        x, y, a, b, turn, units = (column[:, None] for column in ellipses.T)  # each (n, 1)
        angles = self.angles[None]  # (1, views)
        reach = (a * np.cos(angles - turn)) ** 2 + (b * np.sin(angles - turn)) ** 2  # (n, views)
        shift = x * np.cos(angles) + y * np.sin(angles)  # (n, views)
        inside = reach[..., None] - (self.bins - shift[..., None]) ** 2  # (n, views, bins)
        chords = 2 * (a * b / reach)[..., None] * np.sqrt(inside.clip(min=0))  # in half fields
        attenuation = WATER * units / 1000 * FIELD / 2
        return (attenuation[..., None] * chords).sum(0)

    def noisy(self, sinogram: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The same line integrals from a Poisson number of photons per ray; a ray without any counts one."""
        counted = rng.poisson(self.photons * np.exp(-sinogram)).clip(min=1)
        return np.log(self.photons / counted)

    def reconstruct(self, sinogram: np.ndarray) -> np.ndarray:
        """Hounsfield units (size, size) by filtered back-projection, ramp filter under a Hann window.

        Source: Kak and Slaney 1988, section 3.3.
        """
        n = sinogram.shape[1]
        spacing = FIELD / n
        ramp = np.zeros(2 * n)
        ramp[0], odd = 1 / (4 * spacing**2), np.arange(1, n, 2)
        ramp[odd] = ramp[-odd] = -1 / (np.pi * odd * spacing) ** 2
        frequencies = np.fft.rfftfreq(2 * n)
        response = np.fft.rfft(ramp).real * (0.5 + 0.5 * np.cos(2 * np.pi * frequencies)) * spacing
        filtered = np.fft.irfft(np.fft.rfft(sinogram, 2 * n, axis=1) * response, 2 * n, axis=1)[:, :n]
        at = (np.arange(self.size) + 0.5) / self.size * 2 - 1
        total = np.zeros((self.size, self.size))
        for angle, row in zip(self.angles, filtered, strict=True):
            place = at[None] * np.cos(angle) - at[:, None] * np.sin(angle)  # y points up, rows go down
            total += np.interp(place, self.bins, row, left=0.0, right=0.0)
        return (total * np.pi / self.views / WATER - 1) * 1000


def anatomy(rng: np.random.Generator) -> Ellipses:
    """A trunk's cross-section: fat, muscle, ribs and spine, organs, lungs or none, lesions of low contrast, specks."""
    wide, tall = rng.uniform(0.72, 0.9), rng.uniform(0.52, 0.72)
    # everything adds to air at -1000 HU, so that ellipses may lie in each other
    rows = [[0, 0, wide, tall, 0, rng.uniform(890, 930)], [0, 0, wide * 0.93, tall * 0.92, 0, rng.uniform(110, 150)]]
    if rng.random() < 0.5:
        for side in (-1, 1):
            at = [side * wide * 0.45, tall * 0.1, wide * 0.3, tall * 0.55, side * rng.uniform(-0.2, 0.2)]
            rows.append([*at, rng.uniform(-860, -780)])
    for turn in rng.uniform(0, 2 * np.pi, rng.integers(5, 10)):
        at = [wide * 0.87 * np.cos(turn), tall * 0.86 * np.sin(turn), 0.05, 0.022, turn + np.pi / 2]
        rows.append([*at, rng.uniform(300, 700)])
    rows.append([0, -tall * 0.6, 0.12, 0.1, 0, rng.uniform(250, 500)])
    rows.append([0, -tall * 0.6, 0.06, 0.045, 0, rng.uniform(-350, -200)])
    for _ in range(rng.integers(5, 9)):
        rows.append([*_inside(rng, wide, tall, 0.6), *rng.uniform(0.08, 0.28, 2), rng.uniform(0, np.pi),
                     rng.uniform(-60, 60)])  # fmt: skip
    for _ in range(rng.integers(6, 14)):
        rows.append([*_inside(rng, wide, tall, 0.75), *rng.uniform(0.02, 0.08, 2), rng.uniform(0, np.pi),
                     rng.choice([-1, 1]) * rng.uniform(15, 90)])  # fmt: skip
    for _ in range(rng.integers(2, 7)):
        rows.append([*_inside(rng, wide, tall, 0.7), *rng.uniform(0.008, 0.02, 2), 0, rng.uniform(200, 900)])
    return np.array(rows, dtype=np.float64)


def _inside(rng: np.random.Generator, wide: float, tall: float, share: float) -> tuple[float, float]:
    """A place in the trunk's inner part, evenly over its area."""
    turn, away = rng.uniform(0, 2 * np.pi), share * np.sqrt(rng.random())
    return wide * away * np.cos(turn), tall * away * np.sin(turn)


class Phantoms(Twins):
    """Pairs of slices, each rendered when it is first asked for and kept as long as there is room.

    The clean slice is reconstructed from the sinogram without noise, so that the two differ by noise alone.

    Args:
        numbers: of the phantoms; a number is one anatomy and one draw of its noise.
        seed: of the world.
        scanner: takes the pictures.
        cache_bytes: memory for slices.
    """

    def __init__(self, numbers: range, *, seed: int, scanner: Scanner, cache_bytes: int) -> None:
        self.numbers, self.seed, self.scanner = numbers, seed, scanner
        self.names = [f"phantom_{number:07d}" for number in numbers]
        self._room = cache_bytes // (2 * 4 * scanner.size**2)
        self._rendered: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if (found := self._rendered.get(index)) is None:
            number = self.numbers[index]
            sinogram = self.scanner.sinogram(anatomy(self._rng("phantom", number)))
            noisy = self.scanner.noisy(sinogram, self._rng("photons", number))
            found = self._slice(noisy), self._slice(sinogram)
            if len(self._rendered) < self._room:
                self._rendered[index] = found
        return found

    def _slice(self, sinogram: np.ndarray) -> np.ndarray:
        return self.scanner.reconstruct(sinogram).astype(np.float32)

    def _rng(self, purpose: str, number: int) -> np.random.Generator:
        return np.random.default_rng(hash_seed(self.seed, purpose, number))


def phantoms(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    world: int,
    count: int,
    test_count: int,
    side: int,
    views: int,
    photons: float,
    flip: float,
    cache_mib: int,
    depth: Depth,
) -> Slices:
    """Phantoms rendered from numbers, needs no files."""
    if not 1 <= count <= TEST_START or test_count < 1:
        raise Refusal(f"data.count={count}, data.test_count={test_count}: at least 1, at most {TEST_START} phantoms")
    if max(height, width) > side:
        raise Refusal(f"data=phantoms cuts patches of {width}x{height} out of slices of data.side={side} pixels; give "
                      "a smaller size= or a larger data.side=")  # fmt: skip
    training = check_split(split) == "train"
    numbers = range(count) if training else range(TEST_START, TEST_START + test_count)
    scanner = Scanner(views=views, photons=photons, size=side)
    source = Phantoms(numbers, seed=world, scanner=scanner, cache_bytes=cache_mib << 20)
    return Slices(source, depth=depth, patch=(height, width) if training else None, flip=flip, seed=seed)
