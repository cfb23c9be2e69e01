"""Arrays larger than memory should hold, in a file without a name, which goes with the process."""

from __future__ import annotations

import math
import os
import tempfile

import numpy as np
from numpy.typing import DTypeLike

from scenegen.base.refusal import Refusal

IN_MEMORY = 256 * 2**20
"""Bytes above which an array lies in a file, of which the kernel keeps in memory what has room."""


def scratch(shape: tuple[int, ...], kind: DTypeLike) -> np.ndarray:
    """An array to fill; a large one lies in the folder for temporary files.

    Raises:
        Refusal: no room there.
    """
    kind = np.dtype(kind)
    size = math.prod(shape) * kind.itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, kind)
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))  # a mapped file ends the process where the disk is full
            return np.memmap(file, dtype=kind, mode="r+", shape=shape)
    except OSError as error:
        where = tempfile.tempdir or "a folder for temporary files"  # None: no folder takes files
        raise Refusal(f"{size / 2**30:.1f} GiB are needed in {where}, where there is no room "
                      f"({error.strerror}); set TMPDIR to a folder of another disk") from error  # fmt: skip
