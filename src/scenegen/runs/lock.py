"""Lock of a run's folder: one process at a time trains there. It ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scenegen.base.refusal import Refusal

LOCK = ".lock"
"""File that is locked, with the process and the machine that hold it; it is gone once they have ended well."""

_TRIES = 20

_OPEN: weakref.WeakSet[_Held] = weakref.WeakSet()


@dataclass(frozen=True)
class Holder:
    """Process that holds a folder; `pid` is 0 where it could not be read."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid or '(unknown)'} on {self.host or 'another machine'}"


class _Held:
    """An open lock file; forked children close their copy, so that the lock ends with the process that took it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.owner = os.getpid()

    def close(self) -> None:
        os.close(self.descriptor)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder for the length of the block.

    Args:
        folder: the folder, which exists.

    Raises:
        Refusal: another process holds it, or no file can be written there.
    """
    file = _Held(_take(folder))
    _OPEN.add(file)
    try:
        yield
    finally:
        if os.getpid() == file.owner:  # a forked child that ends this block holds nothing
            _OPEN.discard(file)
            (folder / LOCK).unlink(missing_ok=True)
            file.close()


def holder(folder: Path) -> Holder | None:
    """Process that holds a folder now; None where no living process does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return _read(descriptor) if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    finally:
        os.close(descriptor)
    return None


def _take(folder: Path) -> int:
    """Descriptor of the locked file."""
    path = folder / LOCK
    for _ in range(_TRIES):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Refusal(
                f"{folder} cannot be written ({error.strerror}); make the folder writable, or copy the run to a place "
                "that is and go on there"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _read(descriptor)
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise Refusal(
                    f"{folder} cannot be locked ({error.strerror}), so two processes could spoil each other's run; "
                    "keep runs on a disk with file locks"
                ) from error
            raise Refusal(
                f"{folder} is in use by {owner}; wait until it has ended, or end it (kill {owner.pid or 'PID'})"
            ) from error
        if _same(descriptor, path):
            record = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, record, 0)
            return descriptor
        os.close(descriptor)  # its former holder removed it between the two calls
    raise Refusal(f"{path} is taken and released again and again; end the processes that use {folder}")


def _same(descriptor: int, path: Path) -> bool:
    """True where the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> Holder:
    try:
        record = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(int(record["pid"]), str(record["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(0, "")


def _release_in_child() -> None:
    for file in list(_OPEN):
        file.close()
    _OPEN.clear()


os.register_at_fork(after_in_child=_release_in_child)
