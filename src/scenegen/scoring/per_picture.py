"""Contribution of every single picture to a score: the file from which paired comparisons are made."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from scenegen.base.files import whole
from scenegen.base.refusal import Refusal
from scenegen.metrics.rows import Rows, blocks

UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    MemoryError,
    zipfile.BadZipFile,
    NotImplementedError,  # zipfile's of versions and packings that it does not know
)
"""Errors of zipfile and NumPy on damaged files."""


@dataclass(frozen=True)
class PerPicture:
    """Values of the scored pictures, one row each in the order of the label maps; None where not measured.

    Two scores of one protocol pair by `names`. The mask accuracy of some pictures is sum right / sum counted, their
    aesthetic the mean of `aesthetic`, and their FID, to first order, the whole set's FID + mean of `fid_influence`.

    Attributes:
        names: (n,) of the label maps.
        right, counted: (n,) int64, pixels read right and pixels that count.
        aesthetic: (n,) float64, 0..10.
        hist_corr: (n,) float64, -1..1.
        fid_influence: (n,) float64, see `metrics.target.Target.influence`.
        features: (n, d) float32, those of FID and KID; an array where they were loaded.
        measures: role -> (n, ...) rows of every other measure of single pictures; in the file as "measure.<role>".
    """

    names: np.ndarray
    right: np.ndarray | None = None
    counted: np.ndarray | None = None
    aesthetic: np.ndarray | None = None
    hist_corr: np.ndarray | None = None
    fid_influence: np.ndarray | None = None
    features: np.ndarray | Rows | None = None
    measures: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def save(self, path: Path) -> Path:
        """Write the file, whole or not at all; numpy.load reads it without pickle."""
        with whole(path) as part, zipfile.ZipFile(part, "w") as archive:
            for name, rows in self._arrays().items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    if isinstance(rows, np.ndarray):
                        np.lib.format.write_array(stream, rows, allow_pickle=False)
                    else:
                        _write_blocks(stream, rows)
        return path

    @classmethod
    def load(cls, path: Path) -> PerPicture:
        """Read a file that `save` wrote.

        Raises:
            Refusal: no such file, a damaged one, or rows that do not match.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise ValueError("its arrays are packed")
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            more = {name.removeprefix(PREFIX): arrays.pop(name) for name in list(arrays) if name.startswith(PREFIX)}
            found = cls(names=arrays["names"], **{name: arrays.get(name) for name in FIELDS[1:]}, measures=more)
        except UNREADABLE as error:
            raise Refusal(f"{path} holds no per-picture values ({error}); score the pictures again") from error
        lengths = {len(array) for array in found._arrays().values()}
        if len(found._arrays()) < 2 or len(lengths) != 1:
            what = f"has rows of {sorted(lengths)} pictures" if len(lengths) > 1 else "holds names alone"
            raise Refusal(f"{path} {what}; score the pictures again")
        return found

    def _arrays(self) -> dict[str, np.ndarray | Rows]:
        """Measured arrays, by their names in the file."""
        own = {name: array for name in FIELDS if (array := getattr(self, name)) is not None}
        return own | {f"{PREFIX}{role}": rows for role, rows in self.measures.items()}


def _write_blocks(stream: IO[bytes], rows: Rows) -> None:
    """Write (n, d) float32 rows as an .npy, a part at a time."""
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(rows.shape)}
    np.lib.format.write_array_header_1_0(stream, header)
    for block in blocks(rows):
        stream.write(np.ascontiguousarray(block.numpy(), dtype="<f4").data)


FIELDS = tuple(f.name for f in dataclasses.fields(PerPicture) if f.name != "measures")
PREFIX = "measure."
