"""Files of masks: white (or black) where the picture is missing, read, thresholded and brought to a picture's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from scenegen.base.pictures import SUFFIXES, open_picture
from scenegen.base.records import Refusal
from scenegen.data.levels import DEEP
from scenegen.data.pairs import Fault, natural_key
from scenegen.data.photographs import nature_of

Hole = Literal["white", "black"]
Size = tuple[int, int]
Notice = Callable[[str], None]

NEARLY_ALL = 0.9
"""Share of hole above which a mask is asked back, as one whose colours are the other way round."""

WHITE = 128
"""Grey level from which a pixel of a mask is white."""

GREY = 0.01
"""Share of pixels between black and white, or in colour, above which a mask counts as grey, or as one in colour."""

COLOURED = 32
"""Levels between a pixel's channels above which it is in colour; JPEG's noise lies below."""


@dataclass(frozen=True)
class Masks:
    """A folder of mask files.

    Attributes:
        root: the folder.
        files: name -> file, in natural order.
        hole: the colour that is missing.
        fit: "refuse" takes masks of the picture's shape alone, resized by nearest neighbour; "squash" stretches.
        option: the option that named the folder, for sentences.
        most: share of hole up to which a mask is taken; 1 takes masks that hide nearly all.
        fit_option: the option that chooses `fit`, "" where nobody can.
    """

    root: Path
    files: dict[str, Path]
    hole: Hole
    fit: Literal["refuse", "squash"]
    option: str
    most: float = NEARLY_ALL
    fit_option: str = ""
    _warned: set[str] = field(default_factory=set, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.files)

    def of(self, name: str, size: Size, *, notice: Notice | None = None) -> np.ndarray:
        """The hole of a named mask, (h, w) bool at a picture's size.

        Raises:
            Refusal: no such mask, one in colour or with transparent pixels, one of another shape, one without a hole,
                or one that hides nearly all.
        """
        if name not in self.files:
            raise Refusal(f"{self.option}={self.root} has no mask named {name}; name each mask like its picture")
        path = self.files[name]
        with open_picture(path) as picture:
            _require_plain(path, picture)
            grey = _grey_of(picture)
        grey = self._fitted(path, grey, size)
        between = float(((grey > 12) & (grey < 243)).mean())
        if between > GREY and notice is not None and name not in self._warned:
            self._warned.add(name)
            notice(f"{path}: {between:.0%} of the mask are neither black nor white; values of 128 and more are taken "
                   "as white")  # fmt: skip
        return self._checked(path, grey)

    def faults(self, size: Size) -> list[Fault]:
        """All that is wrong with the masks for pictures of a size; grey ones do not stop."""
        found: list[Fault] = []

        def grey(sentence: str) -> None:
            found.append(Fault(*sentence.split(": ", 1), stops=False))

        for name, path in self.files.items():
            try:
                self.of(name, size, notice=grey)
            except Refusal as refusal:
                found.append(Fault(str(path), str(refusal).removeprefix(f"{path}: ")))
        return found

    def _fitted(self, path: Path, grey: np.ndarray, size: Size) -> np.ndarray:
        h, w = size
        if grey.shape == size:
            return grey
        alike = 2 * abs(grey.shape[0] * w - grey.shape[1] * h) <= max(h, w)  # one side is the other's, rounded
        if not alike and self.fit == "refuse":
            cure = f"stretch it with {self.fit_option}=squash" if self.fit_option else "give one of the picture's size"
            raise Refusal(f"{path}: the mask is {grey.shape[1]}x{grey.shape[0]} but its picture {w}x{h} (width x "
                          f"height); {cure}")  # fmt: skip
        return np.asarray(Image.fromarray(grey).resize((w, h), Image.Resampling.NEAREST))

    def _checked(self, path: Path, grey: np.ndarray) -> np.ndarray:
        hole = (grey >= WHITE) == (self.hole == "white")
        share, other = float(hole.mean()), "black" if self.hole == "white" else "white"
        if not share:
            raise Refusal(f"{path}: the mask has no hole ({self.hole} pixels are missing, and it has none: its grey "
                          f"levels go from {grey.min()} to {grey.max()}, and {WHITE} and more are white); paint one, "
                          f"or say {_hole_option(self.option)}={other} where {other} is missing")  # fmt: skip
        if share > self.most:
            raise Refusal(f"{path}: {share:.0%} of the picture would be missing, so the mask looks inverted; say "
                          f"{_hole_option(self.option)}={other} where {other} is missing, or "
                          f"{_most_option(self.option)}=1 where nearly all shall be painted")  # fmt: skip
        return hole


def open_masks(
    folder: str,
    *,
    hole: Hole,
    option: str,
    most: float = NEARLY_ALL,
    fit: Literal["refuse", "squash"] = "refuse",
    fit_option: str = "",
) -> Masks:
    """The masks that lie in a folder.

    Raises:
        Refusal: no such folder, none in it, or a word that is not known.
    """
    root = Path(folder).expanduser()
    if hole not in ("white", "black"):
        raise Refusal(f"{_hole_option(option)}={hole}: write white or black, the colour of what is missing")
    if fit not in ("refuse", "squash"):
        raise Refusal(f"{fit_option}={fit}: write refuse or squash (stretched)")
    if not root.is_dir():
        raise Refusal(f"{option}={folder}: there is no such folder; give one with masks")
    files = [path for path in root.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    if not files:
        raise Refusal(
            f"{option}={folder} holds no masks; give the folder in which the pictures of masks lie themselves"
        )
    files.sort(key=lambda path: natural_key(path.stem))
    return Masks(root, {path.stem: path for path in files}, hole, fit, option, most, fit_option)


def _grey_of(picture: Image.Image) -> np.ndarray:
    """Grey levels of a mask, (h, w) uint8; of files with more bits, numbers above 255 count up to 65535."""
    if picture.mode not in DEEP:
        return np.asarray(picture.convert("L"))
    levels = np.asarray(picture, dtype=np.float64)
    levels = levels / 257 if levels.max() > 255 else levels
    return np.nan_to_num(levels, posinf=255.0).clip(0, 255).astype(np.uint8)


def _require_plain(path: Path, picture: Image.Image) -> None:
    """Refuse masks whose meaning lies in colours or in transparency, of which their grey says nothing."""
    if nature_of(picture, path).transparent:
        raise Refusal(f"{path}: the mask has transparent pixels; save it in black and white, without an alpha channel")
    if picture.mode in ("RGB", "RGBA", "P"):
        rgb = np.asarray(picture.convert("RGB")).astype(int)
        if float((rgb.max(2) - rgb.min(2) > COLOURED).mean()) > GREY:
            raise Refusal(f"{path}: the mask is a picture in colour; save it in black and white")


def _hole_option(option: str) -> str:
    return option.replace("masks", "hole")


def _most_option(option: str) -> str:
    return option.replace("masks", "most")
