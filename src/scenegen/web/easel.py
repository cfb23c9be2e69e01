"""Pictures of maps that are painted by hand: a trained run, and maps of class ids that come as bytes."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.config.opened import TrainedRun
from scenegen.data.labels import resize_nearest
from scenegen.data.own_maps import by
from scenegen.sampling.one_map import fill, paint, require_maps_alone

NAME = "painting"
"""Name of the map, which is a part of the noise's seed: scenegen.sample finds it as painting.png."""

COPIES = 4
"""Variations that are offered of one map."""

MOST_SEED = 2**53 - 1
"""The largest whole number that a browser keeps."""


@dataclass(frozen=True)
class Kept:
    """A picture that the page has handed over.

    Attributes:
        picture: (h, w, 3) uint8 at the run's size.
        style: (1, 3, h, w) in [-1, 1] as a model with a VAE reads it, or None.
        label: (h, w) its class ids for a model that paints with exemplars, or None.
        file: its file, for recipes.
        fit: the way in which the file came to the run's size.
    """

    picture: np.ndarray
    style: Tensor | None
    label: np.ndarray | None
    file: bytes
    fit: str


@dataclass(frozen=True)
class Wish:
    """The choices beside the map.

    Attributes:
        seed: of the noise, 0..MOST_SEED.
        copy: number of the variation, 0..COPIES - 1.
        small: a picture of half the sides, where the model paints several sizes.
        style: whose style or whose parts are taken, or None.
        photo: whose hole is filled, or None.
    """

    seed: int = 0
    copy: int = 0
    small: bool = False
    style: Kept | None = None
    photo: Kept | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MOST_SEED:
            raise Refusal(f"the seed {self.seed} is out of range; choose one in 0..{MOST_SEED}")
        if not 0 <= self.copy < COPIES:
            raise Refusal(f"there is no variation {self.copy}; choose one in 0..{COPIES - 1}")


class Easel:
    """A trained run that paints one map at a time, or fills the hole of one picture.

    Args:
        run: an open run, its model in eval mode.
        checkpoint: that was opened; None for a run that was passed on with one set of weights.
        device: of the model.
        lookup: the model's modulations were made look-up tables.

    Attributes:
        run, checkpoint, device, lookup: as given.
        size: (height, width) of maps and pictures, in pixels.
        layers: what is drawn: "map" (class ids), "hole" (1 where the picture is missing), or both in this order.
        style: "picture" where a style picture may be given, "exemplar" where one must be, or "".
        has_noise: seeds and variations make different pictures.
        halves: small pictures can be had.
        free: held by the one who paints; a model paints one map at a time.

    Raises:
        Refusal: a run whose model needs more than the page gives.
    """

    def __init__(self, run: TrainedRun, *, checkpoint: Path | None, device: str, lookup: bool) -> None:
        model, size = run.model, run.config["size"]
        exemplar = run.takes_exemplars
        if not exemplar and not run.fills_holes:
            require_maps_alone(model, run=run.folder.name)
        self.run = run
        self.checkpoint = None if checkpoint is None else checkpoint.resolve()
        self.device = device
        self.lookup = lookup
        self.size: tuple[int, int] = (size["height"], size["width"])
        self.layers = tuple(
            layer for layer, field in (("map", "label"), ("hole", "hole")) if field in model.reads
        )  # fmt: skip
        self.style = "exemplar" if exemplar else "picture" if "encode" in model.offers else ""
        self.has_noise = model.noise_shape is not None
        step = model.size_step
        whole = step is not None and all(side % (2 * step) == 0 for side in self.size)
        self.halves = whole and not exemplar and not run.fills_holes
        self.free = threading.Lock()

    @property
    def classes(self) -> Any:
        """The run's class list."""
        return self.run.vocabulary.classes

    def require_beside(self, other: Easel) -> None:
        """Refuse a second run that does not paint this one's maps.

        Raises:
            Refusal: other classes, another size, or other things to draw.
        """
        name, cure = other.run.folder.name, "give beside= a run of the same, or leave it out"
        if "map" in self.layers and other.classes.names != self.classes.names:
            raise Refusal(f"beside={name} paints {len(other.classes)} classes, and run={self.run.folder.name} paints "
                          f"{len(self.classes)} others; {cure}")  # fmt: skip
        if other.size != self.size:
            raise Refusal(f"beside={name} paints {by(other.size)}, and run={self.run.folder.name} {by(self.size)} "
                          f"(width x height); {cure}")  # fmt: skip
        if other.layers != self.layers:
            raise Refusal(f"beside={name} paints from {' and '.join(other.layers)}, and run={self.run.folder.name} "
                          f"from {' and '.join(self.layers)}; {cure}")  # fmt: skip

    def drawn(self, body: bytes) -> dict[str, np.ndarray]:
        """The layers of a request, each (h, w) uint16.

        Args:
            body: h * w little-endian 16-bit numbers per layer, row by row.

        Raises:
            Refusal: another number of pixels, or ids outside the classes.
        """
        (h, w), layers = self.size, self.layers
        if len(body) != 2 * h * w * len(layers):
            raise Refusal(f"the drawing holds {len(body)} bytes, not the {2 * h * w * len(layers)} of {by(self.size)} "
                          f"pixels with 16 bits each for {' and '.join(layers)}; reload the page")  # fmt: skip
        found = dict(zip(layers, np.frombuffer(body, "<u2").reshape(len(layers), h, w), strict=True))
        if "map" in found and (highest := int(found["map"].max())) >= len(self.classes):
            raise Refusal(f"the map holds the id {highest}, outside the {len(self.classes)} classes "
                          f"(ids 0..{len(self.classes) - 1}); choose the colours of the palette")  # fmt: skip
        if "hole" in found and int(found["hole"].max()) > 1:
            raise Refusal("the hole holds other numbers than 0 (given) and 1 (missing); reload the page")
        return found

    def paint(self, drawn: Mapping[str, np.ndarray], wish: Wish) -> np.ndarray:
        """The picture of a drawing, as scenegen.sample makes it with batch_size=1.

        Args:
            drawn: (h, w) of every layer.
            wish: the choices beside it.

        Returns:
            (h, w, 3) uint8; half the sides where a small one is wished and can be had.

        Raises:
            Refusal: a style for a model that reads none, or none for one that paints with exemplars.
        """
        name, kept = self.run.folder.name, wish.style
        chosen = {"name": NAME, "seed": wish.seed, "copy": wish.copy}
        if "hole" in self.layers:
            if wish.photo is None:
                raise Refusal(f"run={name} fills holes, and there is no photograph yet; open one")
            hole = drawn["hole"] > 0
            return fill(self.run.model, wish.photo.picture, hole, ids=drawn.get("map"), device=self.device, **chosen)
        if kept is not None and not self.style:
            raise Refusal(f"run={name} reads no style picture; take the style away")
        ids = drawn["map"]
        if wish.small and self.halves:
            ids = resize_nearest(ids, height=self.size[0] // 2, width=self.size[1] // 2)
        if self.style != "exemplar":
            style = None if kept is None else kept.style
            return paint(self.run.model, ids, device=self.device, style=style, **chosen)
        if kept is None:
            raise Refusal(f"run={name} paints with exemplars; take a suggestion beside Style, or drop a picture there")
        return paint(self.run.model, ids, device=self.device, exemplar=(kept.picture, kept.label), **chosen)


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
