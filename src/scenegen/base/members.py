"""Files within tars, read where they lie: nothing is extracted, so no name in a tar ever becomes a path."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scenegen.base.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Member:
    """One file within an uncompressed tar, with those of pathlib's names that readers use.

    Attributes:
        tar: the tar.
        name: the file's name in it, for sentences.
        offset, size: bytes of its content in the tar.
    """

    tar: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.tar}/{self.name}"

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """The content as a file to read; `mode` is "rb" alone."""
        if mode != "rb":
            raise ValueError(f"a member of a tar is read, not opened with mode {mode!r}")
        return io.BufferedReader(_Window(self))

    def read_bytes(self) -> bytes:
        with self.open() as file:
            return file.read()


File = Path | Member
"""A file of its own, or one within a tar."""


def as_file(file: str | File) -> File:
    """A file, of which a text is the path."""
    return Path(file) if isinstance(file, str) else file


def folder_of(file: File) -> Path:
    """The folder in which a file, or its tar, lies."""
    return file.tar.parent if isinstance(file, Member) else file.parent


def size_of(file: File) -> int:
    """Bytes of a file."""
    return file.size if isinstance(file, Member) else file.stat().st_size


def state_of(file: File) -> tuple[int, ...]:
    """Size, times of the last change in ns (the one that tools set, and the file system's own), and place in a tar.

    Raises:
        OSError: it cannot be looked at.
    """
    found = os.stat(file.tar if isinstance(file, Member) else file)
    place = (file.offset, file.size) if isinstance(file, Member) else ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, *place


class _Window(io.RawIOBase):
    """The bytes of a member; each window has a descriptor of its own, so that threads and processes do not meet."""

    def __init__(self, member: Member) -> None:
        self.start, self.size, self.place = member.offset, member.size, 0
        self.descriptor = os.open(member.tar, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            self.close()
            raise Refusal(f"{member.tar}: is no regular file; put the shard back")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        view = memoryview(buffer)[: max(0, self.size - self.place)]
        count = os.preadv(self.descriptor, [view], self.start + self.place) if len(view) else 0
        self.place += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"a place before the beginning of a file: {base + offset}")
        self.place = base + offset
        return self.place

    def tell(self) -> int:
        return self.place

    def close(self) -> None:
        if not self.closed:
            os.close(self.descriptor)
        super().close()
