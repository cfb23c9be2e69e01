"""Photographs without label maps: a folder of them, split by its own subfolders or by a hash of the names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenegen.base.pictures import SUFFIXES
from scenegen.base.records import Refusal
from scenegen.data.classes import NO_LABELS, ClassList
from scenegen.data.compact import Below, Compact, Strings
from scenegen.data.layouts import check_split, held_places
from scenegen.data.pairs import Raw, listed, natural_key
from scenegen.data.photographs import Alpha, Exif, Icc, Reading, read_photo
from scenegen.data.samples import Pairs
from scenegen.data.transforms import Fit, Framing

OPTIONS = ("exif", "alpha", "icc")
TRAIN = ("train/images", "train_img", "train")
TEST = ("val/images", "val_img", "val", "test/images", "test_img", "test")
"""Subfolders of a split, the first that is there."""


@dataclass(frozen=True)
class Photo:
    """One photograph; its name is the stem of its file."""

    name: str
    image: Path


@dataclass(frozen=True)
class Named(Compact[Photo]):
    """Photographs as a column of names and one of files."""

    names: Strings
    images: Below

    def __len__(self) -> int:
        return len(self.names)

    def item(self, place: int) -> Photo:
        return Photo(self.names.item(place), self.images.item(place))

    def take(self, places: Sequence[int]) -> Named:
        return Named(self.names.take(places), self.images.take(places))


@dataclass(frozen=True)
class Photos:
    """Photographs as a source of samples that have no label map.

    Attributes:
        root: the folder that was given.
        photos: in natural order of their names.
        reading: choices about photographs.
    """

    root: Path
    photos: Named
    reading: Reading
    classes: ClassList = NO_LABELS
    has_labels: bool = False
    has_instances: bool = False
    has_images: bool = True
    styles: None = None
    label_counts: None = None

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def names(self) -> list[str]:
        return list(self.photos.names)

    def load(self, index: int) -> Raw:
        """Read one photograph; a Refusal names the file that cannot be used."""
        return Raw(image=read_photo(self.photos[index].image, reading=self.reading))


def open_photos(folder: Path, *, option: str, reading: Reading) -> Photos:
    """The photographs that lie in a folder itself.

    Args:
        folder: the folder.
        option: the option that named it, for sentences.
        reading: choices about photographs.

    Raises:
        Refusal: no such folder, none in it, or two of one name.
    """
    if not folder.is_dir():
        raise Refusal(f"{option}={folder}: there is no such folder; give one with photographs")
    files = listed(folder, SUFFIXES)
    if not files:
        raise Refusal(f"{option}={folder} holds no photographs; give the folder in which they lie themselves")
    stems = {file: os.path.splitext(file)[0] for file in files}
    if twice := next((stem for stem, count in Counter(stems.values()).items() if count > 1), None):
        raise Refusal(f"{option}={folder} holds {twice} twice, under two suffixes; keep one of them")
    files.sort(key=lambda file: natural_key(stems[file]))
    return Photos(folder, Named(Strings(stems[file] for file in files), Below(folder, Strings(files))), reading)


def split_photos(folder: Path, *, option: str, split: str, fraction: float, reading: Reading) -> Photos:
    """One side of a folder: its subfolder of that split, or its share of the folder itself.

    Args:
        folder, option, reading: see `open_photos`.
        split: "train" or "test".
        fraction: share that is held out where there are no subfolders of both splits; 0 gives all to both.
    """
    train, test = (next((folder / name for name in names if (folder / name).is_dir()), None) for names in (TRAIN, TEST))
    if train is not None and test is not None:
        return open_photos(train if split == "train" else test, option=option, reading=reading)
    found = open_photos(folder if train is None else train, option=option, reading=reading)
    if len(found) == 1 and fraction:
        raise Refusal(f"{option}={folder} holds one photograph, which cannot be split into training and test; give "
                      "more, or data.val_fraction=0 for both from the one")  # fmt: skip
    held = held_places(found.photos.names, split=split, fraction=fraction)
    return Photos(found.root, found.photos.take(held), reading)


def pictures(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    flip: float,
    rotation: float,
    fit: Fit,
    scale: float,
    exif: Exif,
    alpha: Alpha,
    icc: Icc,
    val_fraction: float,
) -> Pairs:
    """Any photographs, without label maps."""
    check_split(split)
    if not root:
        raise Refusal("data.root is missing: write data.root=PATH; it should hold photographs, or train/ and val/ with "
                      "photographs")  # fmt: skip
    reading = Reading(exif=exif, alpha=alpha, icc=icc, options=OPTIONS)
    found = split_photos(
        Path(root).expanduser(), option="data.root", split=split, fraction=val_fraction, reading=reading
    )
    framing = Framing(
        height=height, width=width, fit=fit, scale=scale, flip=flip, rotation=rotation, random=split == "train"
    )
    return Pairs(found, framing=framing, seed=seed)
