"""Folders of photographs and label maps: matched by name, read into samples."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.members import File
from scenegen.base.pictures import SUFFIXES
from scenegen.base.records import Refusal
from scenegen.data import compact
from scenegen.data.classes import ClassList
from scenegen.data.labels import IN_DATA, NPY, read_ids, read_label, resize_nearest
from scenegen.data.photographs import STRICT, Reading, Size, read_photo


@dataclass(frozen=True)
class Pair:
    """The files of one sample; image None in folders of label maps alone."""

    name: str
    label: File
    image: File | None = None
    instance: File | None = None


@dataclass(frozen=True)
class Matched(compact.Compact[Pair]):
    """Pairs as columns of names and files; a column that no pair has is None."""

    names: compact.Strings
    labels: compact.Compact[File]
    images: compact.Compact[File] | None = None
    instances: compact.Compact[File] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def item(self, place: int) -> Pair:
        columns = (self.images, self.instances)
        image, instance = (None if column is None else column.item(place) for column in columns)
        return Pair(self.names.item(place), self.labels.item(place), image, instance)

    def take(self, places: Sequence[int]) -> Matched:
        columns = (self.images, self.instances)
        images, instances = (None if column is None else column.take(places) for column in columns)
        return Matched(self.names.take(places), self.labels.take(places), images, instances)


@dataclass(frozen=True)
class Fault:
    """Something wrong with one file; `stops` when training on it is refused."""

    file: str
    problem: str
    stops: bool = True

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


@dataclass(frozen=True)
class Raw:
    """One sample as its files have it: label (h, w) class ids, RGB photograph, instance ids (h, w); absent is None."""

    label: np.ndarray | None = None
    image: Image.Image | None = None
    instance: np.ndarray | None = None

    @property
    def ids(self) -> np.ndarray:
        """The label map, of samples that have one.

        Raises:
            Refusal: where there is none.
        """
        if self.label is None:
            raise Refusal("these photographs have no label maps; choose data that have, such as data=folder")
        return self.label

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the label map, of the photograph where there is none."""
        if self.label is not None:
            return self.label.shape[0], self.label.shape[1]
        assert self.image is not None
        return self.image.height, self.image.width


@dataclass(frozen=True)
class Files:
    """Matched files as a source of samples.

    Attributes:
        root: the folder that was given.
        classes: what label ids mean after `remap`.
        pairs: in natural order of their names, all with the same kinds of files.
        unmatched: files without their partner; `inspection.scan` reports them with all other faults.
        remap: file id -> class id where they differ.
        cure: end of the sentence about an id of no class: labels.IN_DATA or labels.IN_A_RUN.
        reading: choices about photographs and sizes.
    """

    root: Path
    classes: ClassList
    pairs: Sequence[Pair]
    unmatched: tuple[Fault, ...] = ()
    remap: Mapping[int, int] = field(default_factory=dict, repr=False)
    cure: str = field(default=IN_DATA, repr=False)
    reading: Reading = STRICT

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def names(self) -> list[str]:
        return list(self.pairs.names) if isinstance(self.pairs, Matched) else [pair.name for pair in self.pairs]

    @property
    def has_labels(self) -> bool:
        return True

    @property
    def has_instances(self) -> bool:
        return bool(self.pairs) and self.pairs[0].instance is not None

    @property
    def has_images(self) -> bool:
        return bool(self.pairs) and self.pairs[0].image is not None

    def read_label(self, index: int) -> np.ndarray:
        """One sample's label map, (h, w) class ids."""
        return read_label(self.pairs[index].label, classes=self.classes, remap=self.remap, cure=self.cure)

    @property
    def styles(self) -> None:
        """Files know no style."""

    @property
    def label_counts(self) -> None:
        """Files are read for it; see `inspection`."""

    def load(self, index: int) -> Raw:
        """Read one sample's files; a Refusal names the file that cannot be used."""
        pair = self.pairs[index]
        label = self.read_label(index)
        shape = label.shape[0], label.shape[1]
        image = None if pair.image is None else read_photo(pair.image, reading=self.reading, label=shape)
        instance = read_ids(pair.instance).astype(np.int32) if pair.instance and self.has_instances else None
        if instance is not None and instance.shape != label.shape:
            raise Refusal(f"{pair.instance}: an instance map of another size than the label map {pair.label}")
        if image is not None and image.size != (shape[1], shape[0]):
            if problem := size_problem(shape, (image.height, image.width), reading=self.reading):
                raise Refusal(f"{pair.label}: {problem}")
            label = resize_nearest(label, height=image.height, width=image.width)
            if instance is not None:
                instance = resize_nearest(instance, height=image.height, width=image.width)
        return Raw(label=label, image=image, instance=instance)


def size_problem(label: Size, image: Size, *, reading: Reading) -> str | None:
    """Sentence about a label map (h, w) that does not fit its photograph (h, w), or None."""
    if label == image:
        return None
    alike = abs(label[0] * image[1] - label[1] * image[0]) <= max(image)  # up to one pixel of the label map
    if alike and reading.label_size == "nearest":
        return None
    if not alike:
        cure = "their shapes differ, so one of the two is another picture or a part of it; mend or remove it"
    elif "label_size" in reading.options:
        cure = "data.label_size=nearest resizes the label maps to their photographs by nearest neighbour"
    else:
        cure = "resize the label map with nearest neighbour to the photograph's size"
    return (
        f"the label map is {label[1]}x{label[0]} but its photograph is {image[1]}x{image[0]} (width x height); {cure}"
    )


_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> list[str | int]:
    """Sort key under which img2 comes before img10: texts and numbers by turns, a text first."""
    parts: list[str | int] = [*_DIGITS.split(name)]
    parts[1::2] = map(int, parts[1::2])
    return parts


@dataclass(frozen=True)
class Naming:
    """Ends of the stems, before the dot, that are no part of a sample's name, e.g. "_leftImg8bit"."""

    image: str = ""
    label: str = ""


def match_files(
    labels: Path,
    images: Path | None = None,
    instances: Path | None = None,
    *,
    naming: Naming = Naming(),
    nested: bool = False,
) -> tuple[Matched, tuple[Fault, ...]]:
    """Match the files of the folders by equal names, in natural order.

    Args:
        labels, images, instances: the folders.
        naming: ends that are cut off the stems; files without theirs are none of the data's.
        nested: look into the subfolders of a folder that holds no picture itself (Cityscapes has one per city).

    Returns:
        The complete pairs, and one Fault per file without partner or with a repeated name.
    """
    faults: list[Fault] = []
    maps = SUFFIXES | {NPY}
    label_files = _by_name(labels, faults, maps, naming.label, nested)
    image_files = _by_name(images, faults, SUFFIXES, naming.image, nested) if images is not None else None
    instance_files = _by_name(instances, faults, maps, "", nested) if instances is not None else None
    stems = []
    for stem in sorted(label_files, key=natural_key):
        if image_files is not None and stem not in image_files:
            faults.append(Fault(str(labels / label_files[stem]), f"no photograph of that name in {images}"))
        elif instance_files is not None and stem not in instance_files:
            faults.append(Fault(str(labels / label_files[stem]), f"no instance map of that name in {instances}"))
        else:
            stems.append(stem)
    for stem in sorted((image_files or {}).keys() - label_files.keys(), key=natural_key):
        assert images is not None
        assert image_files is not None
        faults.append(Fault(str(images / image_files[stem]), f"no label map of that name in {labels}"))

    def column(folder: Path | None, files: Mapping[str, str] | None) -> compact.Below | None:
        return compact.Below(folder, compact.Strings(files[stem] for stem in stems)) if folder and files else None

    pairs = Matched(
        compact.Strings(stems),
        compact.Below(labels, compact.Strings(label_files[stem] for stem in stems)),
        column(images, image_files),
        column(instances, instance_files),
    )
    return pairs, tuple(faults)


def _by_name(folder: Path, faults: list[Fault], suffixes: frozenset[str], end: str, nested: bool) -> dict[str, str]:
    """Paths below a folder of its files with one of some suffixes, by their stem without its end; a repeated name is a
    fault."""
    found: dict[str, str] = {}
    for path in listed(folder, suffixes, nested=nested):
        stem = os.path.splitext(os.path.basename(path))[0]
        if not stem.endswith(end):
            continue
        name = stem.removesuffix(end)
        if name in found:
            faults.append(Fault(str(folder / path), f"same name as {found[name]}; keep one of them"))
        else:
            found[name] = path
    return found


def listed(folder: Path, suffixes: frozenset[str], *, nested: bool = False) -> list[str]:
    """Visible files of a folder, or of its subfolders where it holds none itself, in order, as paths below it.

    Args:
        folder: the folder; no link to another folder is followed.
        suffixes: their endings, in lower case.
        nested: look into subfolders.
    """
    with os.scandir(folder) as entries:
        there = sorted((entry.name, nested and entry.is_dir(follow_symlinks=False)) for entry in entries)
    there = [(name, below) for name, below in there if not name.startswith(".")]
    files = [name for name, _ in there if os.path.splitext(name)[1].lower() in suffixes]
    if files or not nested:
        return files
    below = [name for name, is_folder in there if is_folder]
    return [f"{name}/{path}" for name in below for path in listed(folder / name, suffixes, nested=True)]
