"""Long lists of names and files, of which an item takes tens of bytes and is made when it is asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar, overload

import numpy as np

from scenegen.base.members import Member

Item = TypeVar("Item", covariant=True)


class Compact(Sequence[Item], Generic[Item]):
    """A sequence whose items are made when they are asked for; a part of it is another one."""

    @abstractmethod
    def item(self, place: int) -> Item:
        """The item at a place that is there."""

    @abstractmethod
    def take(self, places: Sequence[int]) -> Self:
        """The items at some places, in their order."""

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place):
        if isinstance(place, slice):
            return self.take(range(len(self))[place])
        return self.item(range(len(self))[place])  # which refuses a place that is not there


class Strings(Compact[str]):
    """Texts, as one run of UTF-8 and their ends in it."""

    def __init__(self, texts: Iterable[str]) -> None:
        coded = [text.encode("utf-8", "surrogateescape") for text in texts]
        self.run = b"".join(coded)
        self.ends = np.cumsum([0, *map(len, coded)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def item(self, place: int) -> str:
        return self.run[self.ends[place] : self.ends[place + 1]].decode("utf-8", "surrogateescape")

    def take(self, places: Sequence[int]) -> Strings:
        return Strings(self.item(place) for place in places)


@dataclass(frozen=True)
class Below(Compact[Path]):
    """Files below a folder.

    Attributes:
        folder: the folder.
        names: their paths below it.
    """

    folder: Path
    names: Strings

    def __len__(self) -> int:
        return len(self.names)

    def item(self, place: int) -> Path:
        return self.folder / self.names.item(place)

    def take(self, places: Sequence[int]) -> Below:
        return Below(self.folder, self.names.take(places))


@dataclass(frozen=True)
class Members(Compact[Member]):
    """Files within tars.

    Attributes:
        tars: the tars.
        names: of the members.
        spots: (n, 3) int64, of each member its tar's place in `tars`, and offset and size of its content there.
    """

    tars: tuple[Path, ...]
    names: Strings
    spots: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def item(self, place: int) -> Member:
        tar, offset, size = self.spots[place].tolist()
        return Member(self.tars[tar], self.names.item(place), offset, size)

    def take(self, places: Sequence[int]) -> Members:
        return Members(self.tars, self.names.take(places), self.spots[np.asarray(places, dtype=np.int64)])
