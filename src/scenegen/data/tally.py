"""Numbers over the files of all splits, in tens of bytes a file; thumbnails lie in a file where there are many."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from scenegen.base.scratch import scratch
from scenegen.data.inspection import Inspected
from scenegen.data.look_alikes import COLUMNS, SIDE, Known, look_alikes
from scenegen.data.looks import Facts
from scenegen.data.pairs import Fault, Files
from scenegen.data.samples import Pairs


class Tally:
    """Numbers over the files of all splits, of which one that is in two counts once.

    Args:
        datasets: the splits, of files.
        deep: photographs are decoded.
    """

    def __init__(self, datasets: Mapping[str, Pairs], *, deep: bool) -> None:
        count = sum(map(len, datasets.values())) if deep else 0
        self.again = dict(_again(datasets))
        self.count = self.instances = 0
        self.faults: list[Fault] = []
        self.sizes: Counter[str] = Counter()
        self.turns: Counter[str] = Counter()
        self.pixels: Counter[int] = Counter()
        self.pictures: Counter[int] = Counter()
        self.grey: list[str] = []
        self.photographs = _Photographs(count)
        self.contents = _Hashed(3 * count)

    def add(self, split: str, item: Inspected) -> None:
        if str(item.pair.label) in self.again[split]:
            return
        self.count += 1
        self.instances += item.instance is not None
        self.faults += item.faults
        self.sizes[shape_of((item.image or item.label).size)] += 1
        self.pixels.update(item.counts)
        self.pictures.update(item.counts.keys())
        files = (item.pair.label, item.label), (item.pair.image, item.image), (item.pair.instance, item.instance)
        for file, facts in files:
            if file and facts and facts.digest:
                self.contents.append(str(file), facts.digest)
        if item.pair.image is not None and item.image is not None:
            self._add_photo(split, item.pair.image.name, item.image)

    def _add_photo(self, split: str, file: str, facts: Facts) -> None:
        name = f"{split}/{file}"
        if facts.nature is not None and facts.nature.turn != 1:
            self.turns[f"orientation {facts.nature.turn}"] += 1
        if facts.grey:
            self.grey.append(name)
        if facts.digest:
            self.photographs.add(list(self.again).index(split), name, facts)

    def digest(self, root: Path) -> str:
        """sha256 over the names below a folder and contents of all files."""
        names = [f"{os.path.relpath(file, root)} " for file in self.contents.names]
        whole = hashlib.sha256()
        for place in sorted(range(len(names)), key=names.__getitem__):
            line = f"{names[place]}{self.contents.digests[place].tobytes().hex()}\n"
            whole.update(line.encode("utf-8", "surrogateescape"))
        return whole.hexdigest()


class _Texts:
    """Texts in one run of bytes."""

    def __init__(self) -> None:
        self.run, self.ends = bytearray(), array("q", [0])

    def append(self, text: str) -> None:
        self.run += text.encode("utf-8", "surrogateescape")
        self.ends.append(len(self.run))

    def __getitem__(self, place: int) -> str:
        return self.run[self.ends[place] : self.ends[place + 1]].decode("utf-8", "surrogateescape")

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


class _Hashed:
    """Names of files, and the hashes of their contents.

    Args:
        most: files that there may be.
    """

    def __init__(self, most: int) -> None:
        self.names = _Texts()
        self.digests = scratch((most, 4), np.uint64)

    def append(self, name: str, digest: str) -> None:
        self.digests[len(self.names)] = np.frombuffer(bytes.fromhex(digest), np.uint64)
        self.names.append(name)


class _Photographs(_Hashed):
    """Photographs as split/file, with their thumbnails."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.splits = np.zeros(most, np.uint8)
        self.shown = np.zeros(most, bool)
        self.looks = scratch((most, SIDE, SIDE, 3), np.uint8)

    def add(self, split: int, name: str, facts: Facts) -> None:
        place = len(self.names)
        self.append(name, facts.digest)
        self.splits[place] = split
        if facts.look is not None:
            self.shown[place] = True
            self.looks[place] = facts.look

    def equal(self) -> list[list[str]]:
        """Groups of photographs with equal bytes."""
        groups = _runs([*self.digests[: len(self.names)].T])
        found = sorted((group for group in groups if len(group) > 1), key=lambda group: group[0])
        return [[self.names[place] for place in group.tolist()] for group in found]

    def alike(self, known: Known | None = None) -> list[tuple[str, str]]:
        """Pairs that look alike without being equal; of equal ones in a split the first speaks for all.

        Thumbnails are moved together for it, so it is asked once.

        Args:
            known: findings of an earlier start.
        """
        shown = np.flatnonzero(self.shown)
        groups = _runs([self.splits[shown], *self.digests[shown].T])
        places = shown[np.sort(np.array([group[0] for group in groups], dtype=np.int64))]
        for first in range(0, len(places), COLUMNS):
            some = places[first : first + COLUMNS]
            self.looks[first : first + len(some)] = self.looks[some]  # from behind or from where it is
        found = look_alikes(self.looks[: len(places)], self.splits[places], known=known)
        pairs = [(int(places[a]), int(places[b])) for a, b in found]
        return [(self.names[a], self.names[b]) for a, b in pairs if (self.digests[a] != self.digests[b]).any()]


def _runs(columns: list[np.ndarray]) -> list[np.ndarray]:
    """Places of equal rows, each group in order."""
    if not len(columns[0]):
        return []
    order = np.lexsort(columns)  # a stable sort
    new = np.any([column[order][1:] != column[order][:-1] for column in columns], axis=0)
    return np.split(order, np.flatnonzero(new) + 1)


def _again(datasets: Mapping[str, Pairs]) -> Iterator[tuple[str, set[str]]]:
    """Of each split its label maps that an earlier one has too."""
    earlier: list[Files] = []
    for split, data in datasets.items():
        assert isinstance(data.source, Files)
        ours = {str(pair.label) for pair in data.source.pairs} if earlier else set()
        yield split, {file for files in earlier for pair in files.pairs if (file := str(pair.label)) in ours}
        earlier.append(data.source)


def shape_of(size: tuple[int, ...] | None) -> str:
    """A size (h, w) as "widthxheight"."""
    return f"{size[1]}x{size[0]}" if size else "unreadable"
