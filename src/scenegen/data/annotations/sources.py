"""A folder of somebody's annotations: its files by kind, its photographs by name, its splits."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from scenegen.base.pictures import SUFFIXES, open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.photographs import nature_of

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "val"}
"""Folder name, or a part of a file's name, -> the split of data=folder."""

_SPLIT = re.compile(rf"({'|'.join(SPLITS)})([^a-z]*(label|annot|mask|gt|seg|image|img).*)?")
"""Folder of a split, alone or with what it holds: train, train_labels, valannot."""


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
                found[path.stem].append(path)
        return found

    def photograph(self, stem: str, *, near: Path, suffix: str = "") -> Path:
        """The photograph of a name, the nearest one where several have it.

        Args:
            stem: of the photograph's file; folders that an annotation file names are not followed.
            near: the annotation file.
            suffix: ending that the stem has in the photograph's name, such as "_leftImg8bit".

        Raises:
            Refusal: there is none.
        """
        found = [path for path in self._by_stem.get(stem + suffix, []) if path != near]
        if not found:
            raise Refusal(
                f"{near.name}: there is no photograph {stem}{suffix}.* below {self.photographs}; "
                "give their folder as images=FOLDER, or leave it out with broken=skip"
            )
        jpeg = [path for path in found if path.suffix.lower() in (".jpg", ".jpeg")]
        return max(jpeg or found, key=lambda path: len(os.path.commonpath([path, near])))

    def split_of(self, path: Path) -> str:
        """ "train" or "val" by the folders of a path below the source, "" where none says it."""
        parts = path.relative_to(self.root).parts[:-1] if path.is_relative_to(self.root) else path.parts[:-1]
        named = (_SPLIT.fullmatch(part.lower()) for part in reversed(parts))
        return next((SPLITS[found[1]] for found in named if found), "")

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
