"""Pictures that are made worse, to be the source of the pictures that they were: the options of degrade=."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.hole_shapes import SHAPES, Seeded
from scenegen.data.masks import Hole, open_masks

GREY = 128
"""Of what is missing in the source picture."""

TRIES = 50
"""Holes that are drawn until one has a share that was asked for."""


@dataclass(frozen=True)
class Given:
    """What is given in a photograph's place.

    Attributes:
        source: (h', w', 3) uint8.
        hole: (h, w) bool, true where the picture is missing; None where nothing is.
    """

    source: np.ndarray
    hole: np.ndarray | None = None


class Degrade(ABC):
    """Base of the group's options.

    Attributes:
        offers: fields of a sample that it fills.
    """

    offers: ClassVar[frozenset[str]] = frozenset({"source"})

    @abstractmethod
    def given(self, photo: np.ndarray, *, seed: int, name: str) -> Given:
        """What is given in the photograph's place.

        Args:
            photo: (h, w, 3) uint8.
            seed: of this sample in this epoch.
            name: of the sample.
        """


class Smaller(Degrade):
    """Both sides divided, by Pillow's bicubic, which filters.

    Args:
        factor: of both sides, 2 or more.

    Source: Wang et al., ECCV workshops 2018 (ESRGAN), section 4.1; Pillow's filter as in the log's port.
    """

    def __init__(self, *, factor: int) -> None:
        if not 2 <= factor <= 16:
            raise Refusal(f"degrade.factor={factor} must lie in 2..16; 2 halves both sides")
        self.factor = factor

    def given(self, photo: np.ndarray, *, seed: int, name: str) -> Given:
        """The photograph in (h / factor, w / factor, 3) uint8; nothing is drawn.

        Raises:
            Refusal: sides that do not divide.
        """
        h, w = photo.shape[:2]
        if h % self.factor or w % self.factor:
            raise Refusal(f"degrade=smaller divides both sides by {self.factor}, but pictures of {h}x{w} do not; "
                          "choose size.height= and size.width= that do")  # fmt: skip
        small = Image.fromarray(photo).resize((w // self.factor, h // self.factor), Image.Resampling.BICUBIC)
        return Given(np.array(small))


class Holes(Degrade):
    """Photographs with a hole, grey in the source.

    Args:
        kinds: shapes of holes, drawn evenly: of "centre", "boxes", "strokes" and "cellular"; not read
            with `masks`.
        masks: folder of mask files in their place: the one of the picture's name, or any of them where none has it.
        hole: colour of what is missing in mask files, "white" or "black".
        masks_fit: "refuse" takes mask files of the pictures' shape alone; "squash" stretches others.
        share: least and greatest share of hole of what is drawn; it is drawn anew until it lies between.
        most: share of hole up to which a mask file is taken.

    Source: Zheng et al., CVPR 2019 (PICNet), section 4 (boxes and strokes, evenly).
    """

    offers: ClassVar[frozenset[str]] = frozenset({"source", "hole"})

    def __init__(
        self,
        *,
        kinds: Sequence[str],
        masks: str | None,
        hole: Hole,
        masks_fit: Literal["refuse", "squash"],
        share: Sequence[float],
        most: float,
    ) -> None:
        if unknown := [kind for kind in kinds if kind not in SHAPES]:
            raise Refusal(f"degrade.kinds names {unknown[0]}; choose among {', '.join(SHAPES)}")
        if not kinds and not masks:
            raise Refusal(f"degrade.kinds names no shape of holes; give some of {', '.join(SHAPES)}, or a folder of "
                          "mask files: degrade.masks=FOLDER")  # fmt: skip
        if len(share) != 2 or not 0 <= share[0] < share[1] <= 1:
            raise Refusal(f"degrade.share={list(share)} must be the least and the greatest share of hole, such as "
                          "[0.05,0.6]")  # fmt: skip
        self.kinds, self.least, self.greatest = tuple(kinds), float(share[0]), float(share[1])
        self.masks = None
        if masks:
            self.masks = open_masks(
                masks, hole=hole, option="degrade.masks", most=most, fit=masks_fit, fit_option="degrade.masks_fit"
            )

    def given(self, photo: np.ndarray, *, seed: int, name: str) -> Given:
        """The photograph with a hole, which follows from the seed and the name."""
        hole = self._hole((photo.shape[0], photo.shape[1]), seed=seed, name=name)
        return Given(np.where(hole[..., None], np.uint8(GREY), photo), hole)

    def _hole(self, size: tuple[int, int], *, seed: int, name: str) -> np.ndarray:
        if self.masks is not None:
            names = list(self.masks.files)
            place = hash_seed(seed, "mask", name) % len(names)
            return self.masks.of(name if name in self.masks.files else names[place], size)
        for attempt in range(TRIES):
            draws = Seeded(hash_seed(seed, "hole", name, attempt))
            hole = SHAPES[self.kinds[draws.whole(0, len(self.kinds) - 1)]](size, draws)
            if self.least <= hole.mean() <= self.greatest and 0 < hole.mean() < 1:
                return hole
        raise Refusal(f"none of {TRIES} holes of {', '.join(self.kinds)} has a share in degrade.share="
                      f"[{self.least:g},{self.greatest:g}]; widen it")  # fmt: skip
