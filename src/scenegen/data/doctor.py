"""The data doctor's report: what a dataset holds and everything that is wrong with it."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from scenegen.base.console import printable, shown
from scenegen.base.kept import Notice
from scenegen.base.listing import few
from scenegen.base.members import folder_of
from scenegen.base.records import Refusal
from scenegen.data.alike_progress import Progress
from scenegen.data.inspection import faults_of_masks, in_groups, inspect, scan
from scenegen.data.labels import count_ids
from scenegen.data.pairs import Fault, Files
from scenegen.data.samples import Pairs
from scenegen.data.slice_files import SliceFiles
from scenegen.data.slices import Twins
from scenegen.data.tally import Tally, shape_of

LOG = logging.getLogger(__name__)
LOOKED = 32
"""Holes of a split that are measured."""

LISTED = 10
"""Names that the printed report lists of a group that does not stop training; the JSON has all."""


@dataclass(frozen=True)
class ClassRow:
    """Share of one class in the data: its pixels, and the pictures that show it."""

    id: int
    name: str
    pixels: int
    share_of_pixels: float
    pictures: int
    share_of_pictures: float


@dataclass(frozen=True)
class Report:
    """Findings of the doctor.

    Attributes:
        splits: pictures per split.
        sizes: pictures per "widthxheight".
        classes: one row per class, in id order.
        unused: names of classes that no pixel has.
        faults: what stops training, one per file and problem.
        remarks: what does not stop training and should be known, one per file and remark.
        turned: photographs per EXIF orientation other than 1.
        grey: photographs without colour.
        duplicates: groups of photographs with equal bytes, as split/file.
        near_duplicates: pairs that look alike (correlation of 24x24 thumbnails above 0.95, mirrored too), each
            photograph with its nearest one in each split.
        instances: samples with instance maps.
        digest: sha256 over the sorted names and contents of all files; None without a deep look.
    """

    splits: dict[str, int]
    sizes: dict[str, int]
    classes: list[ClassRow]
    unused: list[str]
    faults: list[Fault]
    remarks: list[Fault]
    turned: dict[str, int]
    grey: list[str]
    duplicates: list[list[str]]
    near_duplicates: list[tuple[str, str]]
    instances: int
    digest: str | None

    @property
    def sound(self) -> bool:
        """True when nothing stops training."""
        return not any(fault.stops for fault in self.faults)

    @property
    def leaks(self) -> list[tuple[str, str]]:
        """Photographs of one split that equal or resemble one of the other: scores on those are memory."""
        equal = [(a, b) for group in self.duplicates for a, b in pairwise(group)]
        return [(a, b) for a, b in [*equal, *self.near_duplicates] if a.partition("/")[0] != b.partition("/")[0]]

    def to_dict(self) -> dict:
        """Plain containers, for JSON."""
        return {**dataclasses.asdict(self), "sound": self.sound, "leaks": self.leaks}


def open_splits(
    open_split: Callable[[str], Pairs], splits: Sequence[str] = ("train", "test")
) -> tuple[dict[str, Pairs], list[Fault]]:
    """The splits that open, and a fault for each that does not; raises the Refusal when none opens."""
    found: dict[str, Pairs] = {}
    refusals: list[tuple[str, Refusal]] = []
    for split in splits:
        try:
            found[split] = open_split(split)
        except Refusal as refusal:
            refusals.append((split, refusal))
    if not found:
        raise refusals[0][1]
    return found, [Fault(f"split {split}", str(refusal)) for split, refusal in refusals]


def examine(
    datasets: Mapping[str, Pairs],
    *,
    deep: bool = True,
    faults: Sequence[Fault] = (),
    advance: Callable[[], None] = lambda: None,
    notice: Notice = LOG.warning,
) -> Report:
    """Look at every file of the splits.

    Args:
        datasets: the splits; a file that is in two counts once.
        deep: decode the photographs; otherwise grey ones, duplicates and the hash stay unknown.
        faults: what is already known.
        advance: called once per sample, for a progress bar.
        notice: receives a sentence about a store of looks that cannot be used.
    """
    first = next(iter(datasets.values()))
    faults = [*faults, *_of_holes(datasets)]
    if not isinstance(first.source, Files):
        return _examine_rendered(datasets, advance, faults=[*faults, *_faults_of_slices(datasets)])
    tally = Tally(datasets, deep=deep)
    found = dict.fromkeys(faults)
    for split, dataset in datasets.items():
        files = dataset.source
        assert isinstance(files, Files)
        found |= dict.fromkeys(files.unmatched)
        for item in inspect(files, deep=deep, advance=advance, notice=notice):
            tally.add(split, item)
    found |= dict.fromkeys([*tally.faults, *_of_unlabelled(first, tally.pixels)])
    return Report(
        splits={split: len(dataset) for split, dataset in datasets.items()},
        sizes=dict(tally.sizes),
        classes=_rows(first, tally.pixels, tally.pictures, tally.count),
        unused=[name for i, name in enumerate(first.classes.names) if not tally.pixels[i]],
        faults=[fault for fault in found if fault.stops],
        remarks=[fault for fault in found if not fault.stops],
        turned=dict(sorted(tally.turns.items())),
        grey=tally.grey,
        duplicates=tally.photographs.equal(),
        near_duplicates=tally.photographs.alike(Progress(first.source.root, count=tally.count, notice=notice)),
        instances=tally.instances,
        digest=tally.digest(first.source.root) if deep else None,
    )


def _of_holes(datasets: Mapping[str, Pairs]) -> list[Fault]:
    """Faults of mask files; where there are none, a remark about the share of the pictures that holes hide."""
    found = list(dict.fromkeys(fault for data in datasets.values() for fault in faults_of_masks(data)))
    if any(fault.stops for fault in found):
        return found
    for split, data in datasets.items():
        if "hole" in data.offers:
            places = range(0, len(data), max(1, len(data) // LOOKED))
            holes = [data[(0, place)].hole for place in places]
            shares = np.array([hole.float().mean().item() for hole in holes if hole is not None])
            said = f"{shares.mean():.0%} of the pixels on average, {shares.min():.0%} to {shares.max():.0%}"
            found.append(Fault(f"holes of {split}", f"{said}, over {len(shares)} pictures", stops=False))
    return found


def _of_unlabelled(data: Pairs, pixels: Mapping[int, int]) -> list[Fault]:
    """A remark where no pixel has any class but the unlabelled one."""
    ignore = data.classes.ignore
    if ignore is None or any(count for id, count in pixels.items() if id != ignore) or not pixels.get(ignore):
        return []
    said = (
        f"every pixel is {data.classes.names[ignore]} (id {ignore}), from which no class is learned; "
        "see that unlabelled in classes.json is the right id"
    )
    return [Fault("label maps", said, stops=False)]


def _faults_of_slices(datasets: Mapping[str, Pairs]) -> list[Fault]:
    """Faults of slices in files; no other data without label maps has a scan of its own here."""
    found = (scan(data) for data in datasets.values() if isinstance(data.source, SliceFiles))
    return list(dict.fromkeys(fault for faults in found for fault in faults))


def _examine_rendered(datasets: Mapping[str, Pairs], advance: Callable[[], None], *, faults: Sequence[Fault]) -> Report:
    """Report on a dataset without label files."""
    first = next(iter(datasets.values()))
    digest = hashlib.sha256()
    counts, sizes = [], []
    for split, dataset in datasets.items():
        for index, name in enumerate(dataset.names):
            if isinstance(dataset.source, Twins):
                counts.append({})
                if not faults:
                    slices = dataset.source.pair(index)
                    sizes.append(slices[0].shape)
                    for one in slices:
                        digest.update(one.tobytes())
                advance()
                continue
            raw = dataset.source.load(index)
            counts.append({} if raw.label is None else count_ids(raw.label))
            sizes.append(raw.shape)
            digest.update(f"{split}/{name}".encode() + (b"" if raw.label is None else raw.label.tobytes()))
            digest.update(raw.image.tobytes() if raw.image is not None else b"")
            advance()
    histogram, pictures = _histogram(counts)
    return Report(
        splits={split: len(dataset) for split, dataset in datasets.items()},
        sizes=_sizes(sizes),
        classes=_rows(first, histogram, pictures, len(counts)),
        unused=[name for i, name in enumerate(first.classes.names) if not histogram[i]],
        faults=[fault for fault in faults if fault.stops],
        remarks=[fault for fault in faults if not fault.stops],
        turned={},
        grey=[],
        duplicates=[],
        near_duplicates=[],
        instances=0,
        digest=digest.hexdigest(),
    )


def read_folders(datasets: Iterable[Pairs]) -> set[Path]:
    """Folders in which the files of datasets lie."""
    files = [dataset.source for dataset in datasets if isinstance(dataset.source, Files)]
    pairs = (pair for source in files for pair in source.pairs)
    return {folder_of(file) for pair in pairs for file in (pair.label, pair.image, pair.instance) if file is not None}


def is_report(content: bytes) -> bool:
    """True for the JSON of a report."""
    return b'"near_duplicates"' in content


def print_report(report: Report, console: Console) -> None:
    """Print the report, faults in full."""
    table = Table(title="classes", title_justify="left")
    for column in ("id", "name", "% of pixels", "% of pictures"):
        table.add_column(column, justify="left" if column == "name" else "right")
    for row in report.classes:
        if row.pixels:
            table.add_row(str(row.id), shown(row.name), f"{row.share_of_pixels:.2%}", f"{row.share_of_pictures:.1%}")
    console.print(table)
    _line(console, "pairs", ", ".join(f"{split} {count}" for split, count in report.splits.items()))
    sizes = sorted(report.sizes.items(), key=lambda item: -item[1])
    _line(console, "sizes", few([f"{size} ({count})" for size, count in sizes], LISTED))
    _line(console, "never used", few(report.unused, LISTED) or "no class")
    _line(console, "instance maps", str(report.instances))
    _line(console, "turned by EXIF", ", ".join(f"{turn} ({n})" for turn, n in report.turned.items()) or "none")
    for line in in_groups(report.remarks):
        _line(console, "remark", line)
    if report.digest is not None:
        _line(console, "grey photographs", _counted(report.grey))
        _line(console, "equal files", _counted([" = ".join(group) for group in report.duplicates]))
        _line(console, "look alike", _counted([" ~ ".join(pair) for pair in report.near_duplicates]))
        _line(console, "in both splits", _counted([" ~ ".join(pair) for pair in report.leaks]))
        _line(console, "dataset hash", report.digest)
    if report.sound:
        console.print("[bold green]sound[/]: nothing here would stop training")
        return
    count = len(report.faults)
    console.print(f"[bold red]{count} fault{'s' * (count > 1)}[/] that would stop training:")
    for line in in_groups(report.faults):
        console.print(f"  {printable(line)}", markup=False, highlight=False, soft_wrap=True)


def _line(console: Console, what: str, content: str) -> None:
    console.print(f"{what + ':':18}{printable(content)}", markup=False, highlight=False, soft_wrap=True)


def _counted(items: list[str]) -> str:
    return f"{len(items)}: {few(items, LISTED)}" if items else "none"


def _histogram(per_picture: Sequence[Mapping[int, int]]) -> tuple[Counter[int], Counter[int]]:
    """Pixels per id, and pictures per id."""
    pixels: Counter[int] = Counter()
    pictures: Counter[int] = Counter()
    for counts in per_picture:
        pixels.update(counts)
        pictures.update(counts.keys())
    return pixels, pictures


def _rows(dataset: Pairs, pixels: Counter[int], pictures: Counter[int], count: int) -> list[ClassRow]:
    total = max(1, sum(pixels.values()))
    return [
        ClassRow(i, name, pixels[i], pixels[i] / total, pictures[i], pictures[i] / max(1, count))
        for i, name in enumerate(dataset.classes.names)
    ]


def _sizes(sizes: Iterable[tuple[int, ...] | None]) -> dict[str, int]:
    return dict(Counter(map(shape_of, sizes)))
