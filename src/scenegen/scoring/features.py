"""Features of the pictures of a score, batch by batch: few in memory, more of them in a file that is read in parts."""

from __future__ import annotations

import os
import tempfile
import weakref

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.rows import Rows

IN_MEMORY = 2**24
"""Bytes of features above which they go into a file: 2,048 pictures of the published Inception."""


class Stored:
    """Rows of float32 in an open file, of which those that are asked for are read.

    Args:
        descriptor: of the file, which is closed with this object; a file without a name goes with it.
        shape: (n, d).
        offset: bytes before the first row.
    """

    def __init__(self, descriptor: int, shape: tuple[int, int], *, offset: int = 0) -> None:
        self._file, self.shape, self._offset = descriptor, shape, offset
        weakref.finalize(self, os.close, descriptor)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice | Tensor, /) -> Tensor:
        if isinstance(part, slice):
            first, last, step = part.indices(len(self))
            if step != 1:
                raise IndexError(f"rows are read one after the other or by their numbers, not {part}")
            found = torch.empty(max(0, last - first), self.shape[1])
            self._read(found, first)
            return found
        found = torch.empty(len(part), self.shape[1])
        for row, place in zip(found, part.tolist(), strict=True):
            self._read(row, place)
        return found

    def _read(self, into: Tensor, first: int) -> None:
        """Fill rows that lie together from those of the file, from the first of them on."""
        into_bytes = _bytes_of(into)
        place, done = self._offset + first * self.shape[1] * 4, 0
        while done < len(into_bytes):
            read = os.preadv(self._file, [into_bytes[done:]], place + done)
            if not read:
                raise OSError("the file of the features ends before its last row")
            done += read


class Gathered:
    """Features that come batch by batch: in memory up to IN_MEMORY bytes, beyond them in a file without a name."""

    def __init__(self) -> None:
        self._waiting: list[Tensor] = []
        self._bytes, self._shape = 0, (0, 0)
        self._file: int | None = None

    def add(self, features: Tensor) -> None:
        """Take in the next (b, d) features, of any device.

        Raises:
            Refusal: no room on the disk.
        """
        rows = features.float().cpu()
        self._waiting.append(rows)
        self._bytes, self._shape = self._bytes + rows.nbytes, (self._shape[0] + len(rows), rows.shape[1])
        if self._bytes > IN_MEMORY:
            self._write()

    def rows(self) -> Rows:
        """(n, d) float32 of all batches in order, which stay when this object goes."""
        if self._file is None:
            return torch.cat(self._waiting)
        return Stored(os.dup(self._write()), self._shape)

    def _write(self) -> int:
        """Put what waits into the file, which is returned."""
        try:
            if self._file is None:
                with tempfile.TemporaryFile(buffering=0) as file:
                    self._file = os.dup(file.fileno())
                weakref.finalize(self, os.close, self._file)
            for rows in self._waiting:
                write_rows(self._file, rows)
        except OSError as error:
            raise Refusal(
                f"the features of more than {self._shape[0]} pictures do not fit {tempfile.gettempdir()} "
                f"({error.strerror}); name a folder with more room as TMPDIR=FOLDER before the command"
            ) from error
        self._waiting, self._bytes = [], 0
        return self._file


def write_rows(descriptor: int, rows: Tensor) -> None:
    """Append (b, d) float32 to an open file as `Stored` reads them."""
    rest = _bytes_of(rows.contiguous())
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _bytes_of(rows: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    return rows.numpy().data.cast("B") if rows.numel() else memoryview(b"")
