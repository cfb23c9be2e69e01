"""Pictures of maps that are painted by hand: a trained run, and maps of class ids that come as bytes."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal
from scenegen.config.opened import TrainedRun
from scenegen.data.labels import resize_nearest
from scenegen.data.own_maps import by
from scenegen.data.transforms import Framing
from scenegen.sampling.one_map import paint, require_maps_alone

NAME = "painting"
"""Name of the map, which is a part of the noise's seed: scenegen.sample finds it as painting.png."""

COPIES = 4
"""Variations that are offered of one map."""

MOST_SEED = 2**53 - 1
"""The largest whole number that a browser keeps."""

MOST_PIXELS = 1 << 24
"""Pixels of the largest map or photograph that the page opens."""


@dataclass(frozen=True)
class Wish:
    """The choices beside the map.

    Attributes:
        seed: of the noise, 0..MOST_SEED.
        copy: number of the variation, 0..COPIES - 1.
        small: a picture of half the sides, where the model paints several sizes.
        style: (1, 3, h, w) a style picture in [-1, 1], or None.
    """

    seed: int = 0
    copy: int = 0
    small: bool = False
    style: Tensor | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MOST_SEED:
            raise Refusal(f"the seed {self.seed} is out of range; choose one in 0..{MOST_SEED}")
        if not 0 <= self.copy < COPIES:
            raise Refusal(f"there is no variation {self.copy}; choose one in 0..{COPIES - 1}")


class Easel:
    """A trained run that paints one map at a time.

    Args:
        run: an open run, its model in eval mode.
        checkpoint: that was opened; None for a run that was passed on with one set of weights.
        device: of the model.
        lookup: the model's modulations were made look-up tables.

    Attributes:
        run, checkpoint, device, lookup: as given.
        size: (height, width) of maps and pictures, in pixels.
        has_noise: seeds and variations make different pictures.
        reads_style: a style picture may be given.
        halves: small pictures can be had.
        free: held by the one who paints; a model paints one map at a time.

    Raises:
        Refusal: a run whose model needs more than a label map.
    """

    def __init__(self, run: TrainedRun, *, checkpoint: Path | None, device: str, lookup: bool) -> None:
        model, size = run.model, run.config["size"]
        require_maps_alone(model, run=run.folder.name)
        self.run = run
        self.checkpoint = None if checkpoint is None else checkpoint.resolve()
        self.device = device
        self.lookup = lookup
        self.size: tuple[int, int] = (size["height"], size["width"])
        self.has_noise = model.noise_shape is not None
        self.reads_style = "encode" in model.offers
        step = model.size_step
        self.halves = step is not None and all(side % (2 * step) == 0 for side in self.size)
        self.free = threading.Lock()

    @property
    def classes(self) -> Any:
        """The run's class list."""
        return self.run.vocabulary.classes

    def ids_of(self, body: bytes) -> np.ndarray:
        """The map of a request: (h, w) uint16 class ids.

        Args:
            body: h * w little-endian 16-bit numbers, row by row.

        Raises:
            Refusal: another number of pixels, or ids outside the classes.
        """
        h, w = self.size
        if len(body) != 2 * h * w:
            raise Refusal(f"the map holds {len(body)} bytes, not the {2 * h * w} of {by(self.size)} pixels with 16 "
                          "bits each; reload the page")  # fmt: skip
        ids = np.frombuffer(body, "<u2").reshape(h, w)
        if (highest := int(ids.max())) >= len(self.classes):
            raise Refusal(f"the map holds the id {highest}, outside the {len(self.classes)} classes "
                          f"(ids 0..{len(self.classes) - 1}); choose the colours of the palette")  # fmt: skip
        return ids

    def paint(self, ids: np.ndarray, wish: Wish) -> np.ndarray:
        """The picture of a map, as scenegen.sample makes it with batch_size=1.

        Args:
            ids: (h, w) class ids of the run.
            wish: the choices beside it.

        Returns:
            (h, w, 3) uint8; half the sides where a small one is wished and can be had.

        Raises:
            Refusal: a style for a model that reads none.
        """
        if wish.style is not None and not self.reads_style:
            raise Refusal(f"run={self.run.folder.name} reads no style picture; take the style away")
        if wish.small and self.halves:
            ids = resize_nearest(ids, height=self.size[0] // 2, width=self.size[1] // 2)
        chosen = {"name": NAME, "seed": wish.seed, "copy": wish.copy, "style": wish.style}
        return paint(self.run.model, ids, device=self.device, **chosen)


def png(array: np.ndarray) -> bytes:
    """A PNG file of (h, w, 3) uint8 colours, or of (h, w) uint8 or uint16 ids."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG")
    return file.getvalue()


def label_png(ids: np.ndarray, *, bits: int, classes: int) -> bytes:
    """A label file of class ids, grey of 8 or 16 bits.

    Raises:
        Refusal: other bits, or more classes than 8 bits hold.
    """
    if bits not in (8, 16):
        raise Refusal(f"a label file has 8 or 16 bits, not {bits}; choose one of them")
    if bits == 8 and classes > 256:
        raise Refusal(f"{classes} classes do not fit into 8 bits; choose 16 bits")
    return png(ids.astype(np.uint8 if bits == 8 else np.uint16))


def require_small(body: bytes) -> None:
    """Refuse a picture file that is no picture or too large, by its head alone."""
    with open_picture(io.BytesIO(body), pixels=False) as picture:
        w, h = picture.size
    if w * h > MOST_PIXELS:
        raise Refusal(f"the picture has {w}x{h} pixels, and the page opens at most {MOST_PIXELS}; save it smaller")


def fitted(ids: np.ndarray, *, size: tuple[int, int], fit: str) -> tuple[np.ndarray, str]:
    """A map brought to the size that the run paints, by nearest neighbour.

    Args:
        ids: (h, w).
        size: (height, width) of the run.
        fit: "refuse" takes maps of that shape alone; "crop" cuts the middle; "squash" stretches.

    Returns:
        The map, and a sentence about what was done to it ("" for nothing).

    Raises:
        Refusal: another shape and no fit.
    """
    if fit not in ("refuse", "crop", "squash"):
        raise Refusal(f"fit={fit} is not known; choose refuse, crop or squash")
    own = (ids.shape[0], ids.shape[1])
    if own == size:
        return ids, ""
    view = Framing(height=size[0], width=size[1]).view(own, seed=0)
    if (view.scaled_height, view.scaled_width) == size:
        return view.of_ids(ids), f"The map was resized from {by(own)} to {by(size)}, its shape kept."
    if fit == "refuse":
        raise Refusal(f"the map has {by(own)} pixels, another shape than the {by(size)} that this run paints; choose "
                      "“cut the middle” or “stretch” beside Open, then open it again")  # fmt: skip
    done = {"crop": "cut to its middle", "squash": "stretched"}[fit]
    view = Framing(height=size[0], width=size[1], fit="crop" if fit == "crop" else "squash").view(own, seed=0)
    return view.of_ids(ids), f"The map was {done}, from {by(own)} to {by(size)}."
