"""Folders of noisy and clean slices: matched by their paths, split by patient."""

from __future__ import annotations

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenegen.base.depth import Depth
from scenegen.base.listing import few
from scenegen.base.records import Refusal
from scenegen.data.layouts import check_split, held_places
from scenegen.data.levels import ENDINGS, read_units
from scenegen.data.pairs import Fault, natural_key
from scenegen.data.slices import Slices, Twins

NOISY = ("noisy", "quarter_dose", "low_dose", "input")
CLEAN = ("clean", "full_dose", "high_dose", "target")
"""Folders below data.root, the first that is there."""


@dataclass(frozen=True)
class Patient:
    """The slices of one patient: paths below both folders, in natural order."""

    name: str
    slices: tuple[tuple[Path, Path], ...]


class SliceFiles(Twins):
    """Pairs of files as a source of slices.

    Args:
        noisy, clean: the folders.
        pairs: the files of both, in order.
        depth: says what the grey levels of PNG and TIFF mean.
    """

    def __init__(self, noisy: Path, clean: Path, *, pairs: tuple[tuple[Path, Path], ...], depth: Depth) -> None:
        self.noisy, self.clean, self.pairs, self.depth = noisy, clean, pairs, depth
        self.names = ["_".join(path.relative_to(noisy).with_suffix("").parts) for path, _ in pairs]
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise Refusal(f"two slices below {noisy} are called {twice}; rename one of them")

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        noisy, clean = (read_units(path, depth=self.depth) for path in self.pairs[index])
        if noisy.shape != clean.shape:
            raise Refusal(f"{self.pairs[index][0]}: {noisy.shape[1]}x{noisy.shape[0]}, but its clean twin is "
                          f"{clean.shape[1]}x{clean.shape[0]}; give both as they were reconstructed")  # fmt: skip
        return noisy, clean


def slices(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    noisy: str | None,
    clean: str | None,
    patient: str,
    flip: float,
    val_fraction: float,
    depth: Depth,
) -> Slices:
    """Pairs of slices in two folders, noisy and clean, of 16-bit PNG or TIFF, or DICOM."""
    training = check_split(split) == "train"
    folders = _folders(root, noisy, clean)
    patients = hold_out_patients(_patients(*folders, pattern=patient), split=split, fraction=val_fraction)
    source = SliceFiles(*folders, pairs=tuple(pair for one in patients for pair in one.slices), depth=depth)
    return Slices(source, depth=depth, patch=(height, width) if training else None, flip=flip, seed=seed)


def hold_out_patients(patients: list[Patient], *, split: str, fraction: float) -> tuple[Patient, ...]:
    """One side of a split in which no patient is on both."""
    if len(patients) < 2 and fraction:
        raise Refusal(f"all slices are of one patient ({patients[0].name}), who cannot be split into training and "
                      "test; give more, another data.patient= if the names say more, or data.val_fraction=0 for both "
                      "from the one")  # fmt: skip
    held = held_places([patient.name for patient in patients], split=split, fraction=fraction)
    return tuple(patients[place] for place in held)


def _folders(root: str | None, noisy: str | None, clean: str | None) -> tuple[Path, Path]:
    """The folders of noisy and of clean slices."""
    if root is not None and (noisy or clean):
        raise Refusal("data.root= names a folder with noisy/ and clean/, data.noisy= and data.clean= two folders of "
                      "their own; give one or the other")  # fmt: skip
    found = []
    for option, given, names in (("noisy", noisy, NOISY), ("clean", clean, CLEAN)):
        if root is not None:
            base = Path(root).expanduser()
            there = next((base / name for name in names if (base / name).is_dir()), None)
            if there is None:
                raise Refusal(f"data.root={root} has no folder {names[0]}; it should hold noisy/ and clean/, or give "
                              "data.noisy=FOLDER data.clean=FOLDER")  # fmt: skip
        elif not given:
            raise Refusal(f"data.{option} is missing: write data.noisy=FOLDER (slices of a low dose) and "
                          "data.clean=FOLDER (the same of a high one), or data.root=PATH for both")  # fmt: skip
        else:
            there = Path(given).expanduser()
            if not there.is_dir():
                raise Refusal(f"data.{option}={given}: there is no such folder; give one with slices")
        found.append(there)
    return found[0], found[1]


def _patients(noisy: Path, clean: Path, *, pattern: str) -> list[Patient]:
    """The pairs of both folders by patient, in natural order."""
    try:
        named = re.compile(pattern)
    except re.error as error:
        raise Refusal(f"data.patient={pattern} is no regular expression ({error}); '[^/_]+' takes what stands before "
                      "the first / or _") from error  # fmt: skip
    both = [_files(folder) for folder in (noisy, clean)]
    lonely = sorted(both[0].keys() ^ both[1].keys(), key=natural_key)
    if lonely or not both[0]:
        what = f"{len(lonely)} slices have no twin: {few(lonely, 5)}" if lonely else "they hold no slices"
        raise Refusal(f"{noisy} and {clean}: {what}; give each noisy slice a clean one of the same path, as 16-bit PNG "
                      "or TIFF, or DICOM")  # fmt: skip
    groups: dict[str, list[tuple[Path, Path]]] = {}
    for name in sorted(both[0], key=natural_key):
        if (found := named.match(name)) is None:
            raise Refusal(f"data.patient={pattern} finds no patient in {name}; give a regular expression that matches "
                          "the beginning of every path below the folder")  # fmt: skip
        groups.setdefault(found[0], []).append((both[0][name], both[1][name]))
    return [Patient(name, tuple(pairs)) for name, pairs in groups.items()]


def _files(folder: Path) -> dict[str, Path]:
    """Path below the folder, without its suffix -> file, of the slices in it and in its subfolders."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found if path.name[0] != "."}


CLIPPED, APART = 0.5, 100.0
"""Share of a slice outside the window, and Hounsfield units between the means of two twins, above which something of
their coding must be wrong."""


def scan_slices(source: SliceFiles, *, whole: bool) -> list[Fault]:
    """Faults of the files: unreadable, 8 bits, colour, sizes, and windows that do not fit each other.

    Args:
        source: the files.
        whole: they come whole, so that they must have one size.
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda index: _look(source, index), range(len(source))))
    faults = [fault for _, faults in found for fault in faults]
    sizes = Counter(size for size, _ in found if size is not None)
    if len(sizes) > 1:
        (h, w), _ = sizes.most_common(1)[0]
        cure = f"where most slices are {w}x{h}; test slices come whole and must have one size"
        for (path, _), (size, _) in zip(source.pairs, found, strict=True):
            if size is not None and size != (h, w):
                faults.append(Fault(str(path), f"{size[1]}x{size[0]}, {cure}", stops=whole))
    return faults


def _look(source: SliceFiles, index: int) -> tuple[tuple[int, int] | None, list[Fault]]:
    """(h, w) of a pair, None where it cannot be read, and its faults."""
    path = source.pairs[index][0]
    try:
        noisy, clean = source.pair(index)
    except Refusal as refusal:
        named = next((file for file in source.pairs[index] if str(refusal).startswith(f"{file}: ")), path)
        return None, [Fault(str(named), str(refusal).removeprefix(f"{named}: "))]
    depth, faults = source.depth, []
    for file, units in zip(source.pairs[index], (noisy, clean), strict=True):
        outside = float(((units < depth.low) | (units > depth.high)).mean())
        if outside > CLIPPED:
            window = f"[{depth.low:g}, {depth.high:g}] HU"
            cure = "check data.depth.slope and data.depth.intercept against the files"
            faults.append(Fault(str(file), f"more than half of it lies outside the window {window}; {cure}"))
    inside = [units.clip(depth.low, depth.high) for units in (noisy, clean)]
    if not faults and abs(float(inside[0].mean() - inside[1].mean())) > APART:
        cure = "as if the two had been written with different windows; export both alike"
        faults.append(Fault(str(path), f"its mean is more than {APART:g} HU away from its clean twin's, {cure}"))
    return (noisy.shape[0], noisy.shape[1]), faults
