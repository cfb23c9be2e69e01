"""Progress of a search of look-alikes in the user's cache: one that was killed goes on, one that ended is known."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import zipfile
from pathlib import Path

import numpy as np

from scenegen.base.files import whole
from scenegen.base.kept import Notice, cache_folder
from scenegen.data.look_alikes import SAME, Nearest
from scenegen.data.looks import FROM

LOG = logging.getLogger(__name__)
FORMAT = 1
"""Of the file; another one's is not read."""
EVERY = 20.0
"""Seconds between two writings."""
AT_ONCE = 4096
"""Thumbnails that are hashed at a time."""


class Progress:
    """Progress of the search in one data set: one file, under the content of the thumbnails.

    Few photographs are searched in a second and keep nothing. A file that cannot be read or written stops nobody.

    Args:
        root: the data set's folder.
        count: its photographs.
        notice: receives a sentence about a file that cannot be used.
    """

    def __init__(self, root: Path, *, count: int, notice: Notice = LOG.warning) -> None:
        folder = cache_folder("auto") if count >= FROM else None
        name = hashlib.sha256(os.fsencode(root.expanduser().absolute())).hexdigest()[:24]
        self.file = None if folder is None else folder / "alike" / f"{name}.npz"
        self.notice = notice
        self.key = ""
        self.written = time.monotonic()

    def get(self, pixels: np.ndarray, order: np.ndarray, nearest: Nearest) -> int:
        """Steps of the same search that were done before, of which `nearest` takes the findings.

        Args:
            pixels: (n, 24, 24, 3) uint8 thumbnails.
            order: (n,) places in the order of the search.
            nearest: the findings.
        """
        if self.file is None:
            return 0
        self.key = _hash(pixels, order, nearest.group)
        try:
            with np.load(self.file) as kept:
                if str(kept["key"]) != self.key:
                    return 0
                place, value, done = kept["place"], kept["value"], int(kept["done"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            self.notice(f"{self.file} is damaged, and look-alikes are searched anew ({error})")
            return 0
        nearest.place[:], nearest.value[:] = place, value
        return done

    def put(self, done: int, nearest: Nearest, *, last: bool) -> None:
        """Keep the findings of so many steps; nothing is written where that was done a moment ago."""
        if self.file is None or not (last or time.monotonic() - self.written >= EVERY):
            return
        try:
            with whole(self.file, several_writers=True) as part, part.open("wb") as file:
                np.savez(file, key=self.key, done=done, place=nearest.place, value=nearest.value)
        except OSError as error:
            self.notice(f"{self.file} keeps nothing of this search of look-alikes ({error.strerror})")
            self.file = None
        self.written = time.monotonic()


def _hash(pixels: np.ndarray, order: np.ndarray, group: np.ndarray) -> str:
    """sha256 of all on which a search and its steps depend."""
    content = hashlib.sha256(f"{FORMAT} {SAME} {pixels.shape}\n".encode())
    for start in range(0, len(pixels), AT_ONCE):
        content.update(pixels[start : start + AT_ONCE].tobytes())
    for places in (order, group):
        content.update(places.astype(np.int64).tobytes())
    return content.hexdigest()
