"""What every single picture of a score contributed: the file from which paired comparisons are made."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenegen.base.files import whole
from scenegen.base.refusal import Refusal


@dataclass(frozen=True)
class PerPicture:
    """One row per scored picture, in the order of the label maps; absent = None.

    Two scores of one protocol pair by `names`. Of drawn pictures i the mask accuracy is sum right / sum counted, the
    aesthetic the mean of `aesthetic`, and FID, to first order, the whole set's FID + mean of `fid_influence`.

    Attributes:
        names: (n,) of the label maps.
        right, counted: (n,) int64, pixels read right and pixels that count.
        aesthetic: (n,) float64, 0..10.
        hist_corr: (n,) float64, -1..1.
        fid_influence: (n,) float64, see `metrics.target.Target.influence`.
        features: (n, d) float32, what FID and KID saw.
    """

    names: np.ndarray
    right: np.ndarray | None
    counted: np.ndarray | None
    aesthetic: np.ndarray
    hist_corr: np.ndarray | None
    fid_influence: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def save(self, path: Path) -> Path:
        """Write the file, whole or not at all; numpy.load reads it without pickle."""
        arrays = {f.name: a for f in dataclasses.fields(self) if (a := getattr(self, f.name)) is not None}
        with whole(path) as part, part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        return path

    @classmethod
    def load(cls, path: Path) -> PerPicture:
        """Read a file that `save` wrote.

        Raises:
            Refusal: no such file, a damaged one, or rows that do not match.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            found = cls(**{f.name: arrays.pop(f.name, None) for f in dataclasses.fields(cls)})
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise Refusal(f"{path} holds no per-picture values ({error}); score the pictures again") from error
        needed = {name: getattr(found, name) for name in ("names", "aesthetic", "fid_influence", "features")}
        absent = [name for name, array in needed.items() if array is None]
        lengths = {len(a) for f in dataclasses.fields(cls) if (a := getattr(found, f.name)) is not None}
        if absent or len(lengths) != 1:
            what = f"lacks {', '.join(absent)}" if absent else f"has rows of {sorted(lengths)} pictures"
            raise Refusal(f"{path} {what}; score the pictures again")
        return found
