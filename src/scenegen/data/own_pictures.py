"""Pictures of the user's own with masks of what is missing in them, for a trained run that fills holes."""

from __future__ import annotations

from pathlib import Path

import torch

from scenegen.base.listing import few
from scenegen.base.pictures import open_picture
from scenegen.base.records import Refusal
from scenegen.data.degrade import GREY
from scenegen.data.masks import Masks
from scenegen.data.own_maps import Notice, Target, by
from scenegen.data.photographs import Reading
from scenegen.data.photos import Photos, open_photos
from scenegen.data.samples import Pairs, Sample, planes
from scenegen.data.transforms import keeps_shape

READING = Reading(exif="apply", alpha="drop", icc="ignore")
"""Files are taken as viewers show them; what stands in the hole is not read."""


class MaskedPictures(Pairs):
    """Photographs, each with the hole of the mask of its name, both in one view.

    Args:
        photos: the photographs.
        masks: of the same names, at the photographs' own sizes.
        target: the size that the run paints, and the way there.
        notice: receives a sentence about what is made to fit, and about grey masks.
    """

    def __init__(self, photos: Photos, masks: Masks, *, target: Target, notice: Notice) -> None:
        super().__init__(photos, framing=target.framing)
        self.masks, self.notice = masks, notice

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"source", "hole"})

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
        return Sample(name=name, source=planes(photo), hole=torch.from_numpy(seen)[None])

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
            except Refusal as refusal:
                faults.append(str(refusal))
        if len(faults) == 1:
            raise Refusal(faults[0])
        if faults:
            raise Refusal(f"{len(faults)} of {len(self)} masks cannot be used: {'; '.join(faults[:6])}")

    @property
    def photos(self):
        """The photographs' files."""
        assert isinstance(self.source, Photos)
        return self.source.photos


def own_pictures(pictures: str, masks: Masks, *, target: Target, notice: Notice) -> MaskedPictures:
    """A folder of pictures with a folder of masks.

    Args:
        pictures: folder of photographs.
        masks: their masks, by name.
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
    data = MaskedPictures(photos, masks, target=target, notice=notice)
    data.require_sound()
    return data
