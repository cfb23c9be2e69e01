"""Pictures of the user's own with masks of what is missing in them, for a trained run that fills holes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from scenegen.base.listing import few
from scenegen.base.pictures import SUFFIXES, open_picture
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.degrade import GREY
from scenegen.data.labels import IN_A_RUN, NPY, read_label
from scenegen.data.masks import Masks
from scenegen.data.own_maps import Notice, Target, by
from scenegen.data.photographs import Reading, Size
from scenegen.data.photos import Photos, open_photos
from scenegen.data.samples import Pairs, Sample, planes
from scenegen.data.transforms import keeps_shape

READING = Reading(exif="apply", alpha="drop", icc="ignore")
"""Files are taken as viewers show them; what stands in the hole is not read."""


@dataclass(frozen=True)
class Maps:
    """A folder of label maps.

    Attributes:
        root: the folder.
        files: name -> file.
        classes: of the run that reads them.
        remap: file id -> class id where they differ.
    """

    root: Path
    files: Mapping[str, Path]
    classes: ClassList
    remap: Mapping[int, int] | None

    def of(self, name: str, size: Size) -> np.ndarray:
        """The label map of a name, (h, w) class ids of its picture's size.

        Raises:
            Refusal: no such map, one that cannot be read, or one of another size.
        """
        if name not in self.files:
            raise Refusal(f"labels={self.root} has no label map named {name}; name each like its picture")
        found = read_label(self.files[name], classes=self.classes, remap=self.remap, cure=IN_A_RUN)
        own = found.shape[0], found.shape[1]
        if own != size:
            raise Refusal(f"{self.files[name]}: the label map is {by(own)} but its picture {by(size)} (width x "
                          "height); give one of the picture's size")  # fmt: skip
        return found


def open_maps(folder: str, *, classes: ClassList, remap: Mapping[int, int] | None) -> Maps:
    """The label maps that lie in a folder.

    Raises:
        Refusal: no such folder, or none in it.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise Refusal(f"labels={folder} is no folder; give one with label maps of the run's classes (*.png)")
    files = {path.stem: path for path in sorted(root.iterdir()) if path.suffix.lower() in SUFFIXES | {NPY}}
    if not files:
        raise Refusal(f"labels={folder} holds no label map (*.png); give the folder in which they lie themselves")
    return Maps(root, files, classes, remap)


class MaskedPictures(Pairs):
    """Photographs, each with the hole of the mask of its name, and with its label map, in one view.

    Args:
        photos: the photographs.
        masks: of the same names, at the photographs' own sizes.
        maps: label maps of the same names, or None.
        target: the size that the run paints, and the way there.
        notice: receives a sentence about what is made to fit, and about grey masks.
    """

    def __init__(self, photos: Photos, masks: Masks, maps: Maps | None, *, target: Target, notice: Notice) -> None:
        super().__init__(photos, framing=target.framing)
        self.masks, self.maps, self.notice = masks, maps, notice
        self.classes = photos.classes if maps is None else maps.classes

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"source", "hole", *(["label"] if self.maps is not None else [])})

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        index = key[1] if isinstance(key, tuple) else key
        name, raw = self.names[index], self.source.load(index)
        hole = self.masks.of(name, raw.shape, notice=self.notice)
        view = self.framing.view(raw.shape, seed=0)
        assert raw.image is not None
        seen = view.of_ids(hole.astype("uint8")) > 0
        if not seen.any():
            raise Refusal(f"the hole of {name} lies outside the part that fit=crop keeps; choose fit=squash")
        photo = view.of_photo(raw.image)
        photo[seen] = GREY
        ids = None if self.maps is None else view.of_ids(self.maps.of(name, raw.shape))
        return Sample(
            name=name,
            label=None if ids is None else torch.from_numpy(ids.astype(np.int64)),
            source=planes(photo),
            hole=torch.from_numpy(seen)[None],
            classes=len(self.classes),
        )

    def require_sound(self) -> None:
        """Look at every mask, and say all that is wrong at once.

        Raises:
            Refusal: with the first faults, and how many there are.
        """
        faults = []
        for photo in self.photos:
            with open_picture(photo.image, pixels=False) as picture:
                size = picture.height, picture.width
            try:
                self.masks.of(photo.name, size, notice=self.notice)
                if self.maps is not None:
                    self.maps.of(photo.name, size)
            except Refusal as refusal:
                faults.append(str(refusal))
        if len(faults) == 1:
            raise Refusal(faults[0])
        if faults:
            raise Refusal(f"{len(faults)} of {len(self)} pictures cannot be filled: {'; '.join(faults[:6])}")

    @property
    def photos(self):
        """The photographs' files."""
        assert isinstance(self.source, Photos)
        return self.source.photos


def own_pictures(pictures: str, masks: Masks, maps: Maps | None, *, target: Target, notice: Notice) -> MaskedPictures:
    """A folder of pictures with a folder of masks.

    Args:
        pictures: folder of photographs.
        masks, maps: their masks and label maps, by name.
        target, notice: see `MaskedPictures`.

    Raises:
        Refusal: no such folder, another shape without a fit, or masks that cannot be used.
    """
    photos = open_photos(Path(pictures).expanduser(), option="pictures", reading=READING)
    size, other, scaled = (target.height, target.width), [], []
    for photo in photos.photos:
        with open_picture(photo.image, pixels=False) as picture:
            found = picture.height, picture.width
        said = f"{photo.image.name} {by(found)}"
        if not keeps_shape(found, size):
            other.append(said)
        elif found != size:
            scaled.append(said)
    if other and target.fit == "refuse":
        raise Refusal(
            f"pictures={pictures}: {len(other)} of {len(photos)} pictures have another shape than the {by(size)} "
            f"(width x height) that this run paints: {few(other)}; choose fit=crop (the middle, the rest is cut off) "
            "or fit=squash (stretched)"
        )
    if other:
        done = {"crop": "lose what the middle does not show", "squash": "are stretched"}[target.fit]
        notice(f"pictures={pictures}: {len(other)} of {len(photos)} {done} (fit={target.fit}, to {by(size)}): "
               f"{few(other)}")  # fmt: skip
    if scaled:
        notice(f"pictures={pictures}: {len(scaled)} of {len(photos)} are resized to {by(size)}, their shape kept: "
               f"{few(scaled)}")  # fmt: skip
    data = MaskedPictures(photos, masks, maps, target=target, notice=notice)
    data.require_sound()
    return data
