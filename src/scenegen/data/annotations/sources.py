"""A folder of somebody's annotations: its files by kind, its photographs by name, its splits."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path, PureWindowsPath

from scenegen.base.pictures import SUFFIXES, open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.photographs import nature_of

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "val"}
"""Folder name, or a part of a file's name, -> the split of data=folder."""

_SPLIT = re.compile(rf"({'|'.join(SPLITS)})([^a-z]*(label|annot|mask|gt|seg|image|img).*)?")
"""Folder of a split, alone or with what it holds: train, train_labels, valannot."""

_SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(SPLITS)})(?:set|data|split)?(?![a-z])")
"""Split in a file's name, as a word of it: instances_train2017, my-testset, and not latest or constrained."""


class Source:
    """Files below one folder, or one file of it; links that lead out of the folder are not followed.

    Args:
        root: the folder, or the one file of it that is read.
        images: the folder of the photographs, where it is another one.
    """

    def __init__(self, root: Path, *, images: Path | None = None) -> None:
        if not root.exists():
            raise Refusal(f"annotations={root}: there is no such folder or file; give the folder of the annotations")
        if images is not None and not images.is_dir():
            raise Refusal(f"images={images}: there is no such folder; give the folder of the photographs")
        self.given = root
        self.root = root if root.is_dir() else root.parent
        self.photographs = images or self.root

    @cached_property
    def files(self) -> list[Path]:
        """Regular files below the folder, in order of their paths."""
        return _files(self.root)

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        """Files by their names."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in self.files:
            found[path.name].append(path)
        return found

    def ending(self, *endings: str) -> list[Path]:
        """Annotation files with one of some endings, in lower case."""
        listed = self.files if self.given == self.root else [self.given]
        return [path for path in listed if path.name.lower().endswith(endings)]

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path in self.files if self.photographs == self.root else _files(self.photographs):
            if path.suffix.lower() in SUFFIXES:
                found[_plain(path.stem)].append(path)
        return found

    def photograph(self, named: str, *, near: Path, suffix: str = "") -> Path:
        """The photograph of a name.

        Several of one stem are told apart by what the annotation says (ending, case, folders), then by their place: of
        the annotation's split, in the folders most like its own, outside folders of labels.

        Args:
            named: stem of the photograph's file, or its path as the annotation has it, which chooses among the files
                that are there and is not followed.
            near: the annotation file.
            suffix: ending that the stem has in the photograph's name, such as "_leftImg8bit".

        Raises:
            Refusal: there is none, or several could be meant.
        """
        path = PureWindowsPath(named)
        stem = (path.stem if path.suffix.lower() in SUFFIXES else path.name) + suffix
        found = self._of_stem(stem, near)
        if not found:
            raise Refusal(
                f"{near.name}: there is no photograph {stem}.* below {self.photographs}; "
                "give their folder as images=FOLDER, or leave it out with broken=skip"
            )
        told = _lower(path.parts[-2::-1])
        found = _most(found, lambda photo: photo.suffix.lower() == path.suffix.lower())
        found = _most(found, lambda photo: photo.stem == stem)
        found = _most(found, lambda photo: _shared(told, _lower(photo.parts[-2::-1])))
        found = self._nearest(found, near)
        found = _most(found, lambda photo: not any(map(speaks_of_labels, self._folders(photo))))
        if len({photo.parent for photo in found}) > 1:
            found = _most(found, lambda photo: photo.suffix.lower() in (".jpg", ".jpeg"))
        if len(found) > 1:
            raise Refusal(
                f"{near.name}: {len(found)} photographs could be meant ({', '.join(map(str, found[:3]))}); leave one "
                "of them there, or give the folder of the annotated ones as images=FOLDER"
            )
        return found[0]

    def has_photograph(self, stem: str, *, near: Path) -> bool:
        """True where there is at least one photograph of a stem, other than the annotation itself."""
        return bool(self._of_stem(stem, near))

    def map_of(self, name: str, *, near: Path, photograph: Path) -> Path:
        """The picture with the ids of an annotation file that names it, such as a panoptic PNG.

        Args:
            name: its file's name, with or without folders.
            near: the annotation file; its stem is the name of the maps' folder in COCO.
            photograph: of the same picture, which may have the same name.

        Raises:
            Refusal: there is none, or several could be meant.
        """
        path = PureWindowsPath(name)
        found = [file for file in self.by_name.get(path.name, []) if file != photograph]
        if not found:
            raise Refusal(
                f"{near.name}: the panoptic PNG {path.name} is not below {self.root}; put the PNGs' folder there"
            )
        told = _lower(path.parts[-2::-1])
        found = _most(found, lambda file: _shared(told, _lower(file.parts[-2::-1])))
        found = _most(found, lambda file: near.stem in file.parts)
        found = _most(found, lambda file: any(map(speaks_of_labels, self._folders(file))))
        found = self._nearest(found, near)
        if len(found) > 1:
            raise Refusal(f"{near.name}: {len(found)} files could be its panoptic PNG ({', '.join(map(str, found[:3]))}"
                          f"); put those of {near.name} into a folder called {near.stem}")  # fmt: skip
        return found[0]

    def _of_stem(self, stem: str, near: Path) -> list[Path]:
        return [photo for photo in self._by_stem.get(_plain(stem), []) if photo != near]

    def _nearest(self, found: list[Path], near: Path) -> list[Path]:
        """The files of the same split as another one, in the folders most like its own."""
        folders = self._folders(near)
        found = _most(found, lambda file: self.split_of(file) == self.split_of_file(near))
        found = _most(found, lambda file: _shared(folders, self._folders(file)))
        return _most(found, lambda file: _shared(folders[::-1], self._folders(file)[::-1]))

    def split_of(self, path: Path) -> str:
        """ "train" or "val" by the folders of a path below the source, "" where none says it."""
        named = (_SPLIT.fullmatch(part.lower()) for part in reversed(self._folders(path)))
        return next((SPLITS[found[1]] for found in named if found), "")

    def split_of_file(self, path: Path) -> str:
        """Split of all pictures of one annotation file, by a word of its name, or by its folders."""
        word = _SPLIT_WORD.search(path.stem.lower())
        return SPLITS[word[1]] if word else self.split_of(path)

    def _folders(self, path: Path) -> tuple[str, ...]:
        """Folders of a file below the source's root or that of its photographs."""
        for root in (self.root, self.photographs):
            if path.is_relative_to(root):
                return path.relative_to(root).parts[:-1]
        return path.parts[:-1]

    @staticmethod
    def size_of(image: Path, *, turned: bool) -> tuple[int, int]:
        """(height, width) of a photograph, after its EXIF turn where `turned`."""
        with open_picture(image, pixels=False) as picture:
            nature = nature_of(picture, image)
        return nature.upright_size if turned else nature.size


def _files(root: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        found += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
    base = root.resolve()  # no link to a folder is followed, so a link to a file alone can lead out
    return [p for p in found if p.is_file() and (not p.is_symlink() or p.resolve().is_relative_to(base))]


def speaks_of_labels(folder: str) -> bool:
    """True for the name of a folder of labels: labels, masks, trainannot, gtFine, SegmentationClass, color_maps."""
    words = re.split(r"[^a-z]+", folder.lower())
    return any(word.startswith(("gt", "seg", "colo")) for word in words) or any(
        part in folder.lower() for part in ("label", "mask", "annot", "groundtruth", "panoptic")
    )


def _lower(parts: Sequence[str]) -> list[str]:
    return [part.lower() for part in parts]


def _plain(stem: str) -> str:
    """A stem without regard to case and to the form of its accents, in which file systems differ."""
    return unicodedata.normalize("NFC", stem).casefold()


def _most(found: list[Path], key: Callable[[Path], int]) -> list[Path]:
    """The paths of the greatest key."""
    best = max(map(key, found))
    return [path for path in found if key(path) == best]


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Number of equal parts at the beginning of two sequences."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
