"""What was found out about files, kept in the user's cache for the next start: no file is read twice in one state."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from scenegen.base.members import File, state_of

OFF = "off"
FORMAT = 1
"""Of the store; another one's entries are not read."""

YOUNG_NS = 2_000_000_000
"""Age below which a file's state is not kept: it could change again within one tick of its file system's clock."""

WAIT = 5.0
"""Seconds that a process waits for another one that writes into the same store."""

State = tuple[int, ...]


def cache_folder(setting: str) -> Path | None:
    """ "off" is None, "auto" is $SCENEGEN_CACHE ("off" there too) or the user's cache, anything else a folder."""
    own = os.environ.get("SCENEGEN_CACHE") if setting == "auto" else setting
    if own == OFF:
        return None
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "scenegen"


Notice = Callable[[str], None]
"""Receives a sentence that the user should see."""


class Kept:
    """Values found out about files, by path, by what was found out, and by the state that the file was in.

    A file's state is its size, both its times (the file system's own cannot be set back by tools, so that a file
    rewritten with its old size and date is looked at anew) and its place in a tar: reading a file to hash it would cost
    what the look costs. Values are plain bytes in one SQLite file per root; what is written in batches is there after a
    kill. A store that cannot be opened, read or written keeps nothing and stops nobody.

    Args:
        root: the folder that the files are below.
        setting: see cache_folder.
        notice: receives a sentence about a store that cannot be used.
    """

    def __init__(self, root: Path, *, setting: str = "auto", notice: Notice = lambda _: None) -> None:
        self.notice = notice
        self.store: sqlite3.Connection | None = None
        folder = cache_folder(setting)
        if folder is not None:
            name = hashlib.sha256(os.fsencode(root.expanduser().absolute())).hexdigest()[:24]
            self.file = folder / "files" / f"{name}.sqlite"
            self._guarded(self._open)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the use of the store; what was put is there."""
        if self.store is not None:
            self.store.close()
            self.store = None

    def get(self, files: Sequence[File], what: str) -> list[tuple[State | None, bytes | None]]:
        """Of each file its state, None where it cannot be looked at, and the value kept of that state, or None."""
        states = [_state(file) for file in files]
        found: dict[str, bytes] = {}
        if self.store is not None:
            wanted = [(str(file), state) for file, state in zip(files, states, strict=True) if state is not None]
            found = self._guarded(lambda: self._read(wanted, what)) or {}
        return [(state, found.get(str(file))) for file, state in zip(files, states, strict=True)]

    def put(self, values: Sequence[tuple[File, State, bytes]], what: str) -> None:
        """Keep values of files in their states, all of them or none; very young states are left out."""
        rows = [
            (os.fsencode(str(file)), what, _spelt(state), value) for file, state, value in values if not is_young(state)
        ]
        if rows and self.store is not None:
            self._guarded(lambda: self._write(rows))

    def _open(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.store = sqlite3.connect(self.file, timeout=WAIT, isolation_level=None)
        (there,) = self.store.execute("PRAGMA user_version").fetchone()
        if there not in (0, FORMAT):
            raise sqlite3.DatabaseError(f"format {there}, where {FORMAT} is read")
        self.store.execute("PRAGMA synchronous = NORMAL")
        self.store.execute(f"PRAGMA user_version = {FORMAT:d}")
        self.store.execute(
            "CREATE TABLE IF NOT EXISTS kept (path BLOB, what TEXT, state TEXT, value BLOB, PRIMARY KEY (path, what)) "
            "WITHOUT ROWID"
        )

    def _read(self, wanted: Sequence[tuple[str, State]], what: str) -> dict[str, bytes]:
        assert self.store is not None
        found = {}
        for path, state in wanted:
            row = self.store.execute(
                "SELECT state, value FROM kept WHERE path = ? AND what = ?", (os.fsencode(path), what)
            ).fetchone()
            if row is not None and row[0] == _spelt(state) and isinstance(row[1], bytes):
                found[path] = row[1]
        return found

    def _write(self, rows: Sequence[tuple[bytes, str, str, bytes]]) -> None:
        assert self.store is not None
        self.store.execute("BEGIN IMMEDIATE")
        self.store.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", rows)
        self.store.execute("COMMIT")

    def _guarded(self, work: Callable[[], dict[str, bytes] | None]) -> dict[str, bytes] | None:
        """The work's answer; a store that fails is given up."""
        try:
            return work()
        except (OSError, sqlite3.Error) as error:
            self.notice(f"{self.file} keeps nothing of this start ({error}); it may be deleted")
            self.close()
            return None


def is_young(state: State) -> bool:
    """True where the file could change again without a change of its state."""
    return max(state[1:3]) >= time.time_ns() - YOUNG_NS


def _state(file: File) -> State | None:
    try:
        return state_of(file)
    except (OSError, ValueError):
        return None


def _spelt(state: State) -> str:
    return " ".join(map(str, state))
