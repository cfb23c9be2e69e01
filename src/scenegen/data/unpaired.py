"""Pictures of two domains that come in no pairs: a source, and a target that it should look like."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from scenegen.base.records import Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.layouts import check_split
from scenegen.data.photographs import Alpha, Exif, Icc, Reading
from scenegen.data.photos import OPTIONS, Photos, open_photos, split_photos
from scenegen.data.samples import Pairs, Sample, planes
from scenegen.data.transforms import Fit, Framing


class Unpaired(Pairs):
    """Samples with a `source` picture and a target picture as `image`, each cut and mirrored by itself.

    In training an epoch has as many samples as the larger folder has pictures; the source comes in turn, its target is
    drawn. The test split has each source once, and the targets in turn.

    Args:
        source, target: the photographs of both domains.
        framing, seed: see `Pairs`.

    Source: Zhu et al., ICCV 2017 (CycleGAN), released data code.
    """

    def __init__(self, source: Photos, target: Photos, *, framing: Framing, seed: int = 0) -> None:
        super().__init__(source, framing=framing, seed=seed)
        self.target = target
        count = max(len(source), len(target)) if framing.random else len(source)
        self.names = [source.names[index % len(source)] for index in range(count)]

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"source", "image"})

    @property
    def sources(self) -> tuple[Photos, ...]:
        assert isinstance(self.source, Photos)
        return self.source, self.target

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        place = self._partner(epoch, index)
        source = self._view(self.source.load(index % len(self.source)), "augment", epoch, index)
        image = self._view(self.target.load(place), "augment target", epoch, index)
        return Sample(name=self.names[index], source=source, image=image)

    def still(self) -> Unpaired:
        assert isinstance(self.source, Photos)
        return Unpaired(self.source, self.target, framing=self._still_framing(), seed=self.seed)

    def reference(self) -> Pairs:
        """The target pictures, each once."""
        return Pairs(self.target, framing=self._still_framing(), seed=self.seed)

    def _still_framing(self) -> Framing:
        return dataclasses.replace(self.framing, random=False)

    def _partner(self, epoch: int, index: int) -> int:
        """Place of a sample's target picture."""
        if not self.framing.random:
            return index % len(self.target)
        return int(np.random.default_rng(hash_seed(self.seed, "partner", epoch, index)).integers(len(self.target)))

    def _view(self, raw, *seeds):
        view = self.framing.view(raw.shape, seed=hash_seed(self.seed, *seeds))
        return planes(view.of_photo(raw.image))


def unpaired(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    source: str | None,
    target: str | None,
    flip: float,
    fit: Fit,
    scale: float,
    exif: Exif,
    alpha: Alpha,
    icc: Icc,
    val_fraction: float,
) -> Unpaired:
    """Two folders of photographs, or one with trainA, trainB, testA and testB."""
    check_split(split)
    reading = Reading(exif=exif, alpha=alpha, icc=icc, options=OPTIONS)
    if root is not None and (source or target):
        raise Refusal("data.root= names a folder with trainA, trainB, testA, testB, data.source= and data.target= two "
                      "folders of their own; give one or the other")  # fmt: skip
    if root is not None:
        places = [(f"data.root={root}", Path(root).expanduser() / f"{split}{letter}") for letter in "AB"]
        if absent := [place.name for _, place in places if not place.is_dir()]:
            raise Refusal(f"data.root={root} has no folder {absent[0]}; it should hold trainA, trainB, testA and "
                          "testB, or give data.source=FOLDER data.target=FOLDER")  # fmt: skip
        found = [open_photos(place, option="data.root", reading=reading) for _, place in places]
    else:
        given = {"data.source": source, "data.target": target}
        if absent := [option for option, folder in given.items() if not folder]:
            raise Refusal(f"{absent[0]} is missing: write data.source=FOLDER (pictures to translate) and "
                          "data.target=FOLDER (pictures that they should look like)")  # fmt: skip
        found = [
            split_photos(Path(str(folder)).expanduser(), option=option, split=split, fraction=val_fraction,
                         reading=reading)
            for option, folder in given.items()
        ]  # fmt: skip
    for option, photos in zip(("source", "target"), found, strict=True):
        if split == "train" and len(photos) < 2:
            raise Refusal(f"the {option} has one photograph to train on ({photos.root}), which is no domain to learn; "
                          "give two or more on each side")  # fmt: skip
    framing = Framing(height=height, width=width, fit=fit, scale=scale, flip=flip, random=split == "train")
    return Unpaired(*found, framing=framing, seed=seed)
