"""A folder of your own slices to denoise, without clean twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scenegen.base.depth import Depth
from scenegen.base.records import Refusal
from scenegen.data.levels import ENDINGS, read_units
from scenegen.data.pairs import natural_key
from scenegen.data.samples import Sample
from scenegen.data.slices import Slices, Twins


class Lone(Twins):
    """Names of slices that have no twins."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Refused: nothing is known of what should come out."""
        raise Refusal(f"{self.names[index]} has no clean twin; give pairs of slices as data=slices data.root=FOLDER")


class OwnSlices(Slices):
    """Samples with a noisy slice as `source`, whole, and nothing that should come out.

    Args:
        files: the slices.
        depth: see `Slices`.
    """

    def __init__(self, files: list[Path], *, depth: Depth) -> None:
        super().__init__(Lone([path.stem for path in files]), depth=depth, patch=None, flip=0.0)
        self.files = files

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"source"})

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        index = key[1] if isinstance(key, tuple) else key
        source = self.depth.picture(read_units(self.files[index], depth=self.depth))
        return Sample(name=self.names[index], source=source, depth=self.depth)


def own_slices(folder: str, *, depth: Depth) -> OwnSlices:
    """The slices that lie in a folder itself; every file is read once, so that all faults are known first.

    Raises:
        Refusal: no such folder, none in it, two of one name, or slices that cannot be read, each by its name.
    """
    base = Path(folder).expanduser()
    if not base.is_dir():
        raise Refusal(f"pictures={folder}: there is no such folder; give one with slices")
    files = [path for path in base.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != "."]
    files.sort(key=lambda path: natural_key(path.stem))
    if not files:
        raise Refusal(f"pictures={folder} holds no slices; give the folder in which they lie themselves, as 16-bit PNG "
                      "or TIFF, or DICOM")  # fmt: skip
    stems = [path.stem for path in files]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise Refusal(f"pictures={folder} holds {twice} twice, under two suffixes; keep one of them")
    faults = []
    for path in files:
        try:
            read_units(path, depth=depth)
        except Refusal as refusal:
            faults.append(str(refusal))
    if faults:
        raise Refusal("\n  ".join([f"{len(faults)} slices cannot be used; mend or remove:", *faults[:20]]))
    return OwnSlices(files, depth=depth)
