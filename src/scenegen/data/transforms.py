"""Resizing and cutting of samples: one View per sample, for label, instance map and photograph alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.data.labels import resize_nearest

Fit = Literal["crop", "squash"]


@dataclass(frozen=True)
class View:
    """Resize to (scaled_height, scaled_width), cut (height, width) at (top, left), mirror if flip, turn by `rotation`
    degrees anticlockwise."""

    scaled_height: int
    scaled_width: int
    top: int
    left: int
    height: int
    width: int
    flip: bool
    rotation: float = 0.0

    def of_ids(self, ids: np.ndarray) -> np.ndarray:
        """This view of a map of ids (h, w), by nearest neighbour."""
        assert not self.rotation, "photographs alone are turned: a map's corners would be of no class"
        scaled = resize_nearest(ids, height=self.scaled_height, width=self.scaled_width)
        return self._cut(scaled)

    def of_photo(self, photo: Image.Image) -> np.ndarray:
        """This view of an RGB photograph: antialiased bicubic, (height, width, 3) uint8; turned bilinearly, the corners
        black."""
        size = (self.scaled_width, self.scaled_height)
        if photo.size != size:
            photo = photo.resize(size, Image.Resampling.BICUBIC)
        cut = self._cut(np.asarray(photo))
        if not self.rotation:
            return cut
        return np.array(Image.fromarray(cut).rotate(self.rotation, Image.Resampling.BILINEAR))

    def _cut(self, array: np.ndarray) -> np.ndarray:
        window = array[self.top : self.top + self.height, self.left : self.left + self.width]
        return np.array(window[:, ::-1] if self.flip else window, order="C")


@dataclass(frozen=True, kw_only=True)
class Framing:
    """Fit of pictures of any size to (height, width).

    Attributes:
        height, width: the target size.
        fit: "crop" keeps the aspect (the picture covers the target, the rest is cut off);
            "squash" stretches to the target, as the published 4:3 -> 1:1 pipelines do.
        scale: resize this much larger before the cut; 1.117 is the published 286 -> 256.
        flip: probability of a mirrored sample.
        rotation: most degrees by which a sample is turned, either way; of photographs without label maps.
        random: cut at a random place (training) instead of the middle, mirror and turn.
    """

    height: int
    width: int
    fit: Fit = "crop"
    scale: float = 1.0
    flip: float = 0.0
    rotation: float = 0.0
    random: bool = False

    def __post_init__(self) -> None:
        if self.fit not in ("crop", "squash"):
            raise Refusal(f"data.fit={self.fit}: write crop (keeps the aspect) or squash (stretches)")
        if self.height < 1 or self.width < 1:
            raise Refusal(f"a picture size of {self.height}x{self.width} is empty; give both sides in pixels")
        if not 1.0 <= self.scale <= 4.0:
            raise Refusal(f"data.scale={self.scale}: must lie in 1..4 (1.117 is the published 286/256)")
        if not 0.0 <= self.flip <= 1.0:
            raise Refusal(f"data.flip={self.flip}: a probability, 0..1")
        if not 0.0 <= self.rotation <= 45.0:
            raise Refusal(f"data.rotation={self.rotation}: degrees, 0 (none) to 45; 3 is PICNet's")

    def view(self, size: tuple[int, int], *, seed: int) -> View:
        """The view of one sample.

        Args:
            size: (h, w) of the sample's files.
            seed: of this sample in this epoch; ignored unless `random`.
        """
        h, w = size
        scale = self.scale if self.random else 1.0
        tall, wide = round(self.height * scale), round(self.width * scale)
        if self.fit == "crop":
            factor = max(tall / h, wide / w)
            tall, wide = max(tall, round(h * factor)), max(wide, round(w * factor))
        mirror, down, across, turn = self._draw(seed)
        return View(
            scaled_height=tall,
            scaled_width=wide,
            top=int(down * (tall - self.height + 1)),
            left=int(across * (wide - self.width + 1)),
            height=self.height,
            width=self.width,
            flip=mirror < self.flip,
            rotation=(2 * turn - 1) * self.rotation,
        )

    def _draw(self, seed: int) -> tuple[float, float, float, float]:
        """Mirror below `flip`, place of the cut and turn as shares; the middle and no mirror unless random."""
        if not self.random:
            return 1.0, 0.5, 0.5, 0.5
        # Always four numbers in one order, so that no option changes what another one draws.
        mirror, down, across, turn = np.random.default_rng(seed).random(4)
        return float(mirror), float(down), float(across), float(turn)


@dataclass(frozen=True, kw_only=True)
class OwnSize(Framing):
    """Maps at their own size, both sides brought to the nearest multiple of `step`; no target size counts."""

    step: int

    def view(self, size: tuple[int, int], *, seed: int) -> View:
        """The view of a map of (h, w); nothing is cut, `seed` is ignored."""
        h, w = (max(self.step, round(side / self.step) * self.step) for side in size)
        return View(scaled_height=h, scaled_width=w, top=0, left=0, height=h, width=w, flip=False)


def keeps_shape(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """True where a picture of (h, w) comes to the target size without a cut, up to half a pixel."""
    view = Framing(height=target[0], width=target[1]).view(size, seed=0)
    return (view.scaled_height, view.scaled_width) == target
