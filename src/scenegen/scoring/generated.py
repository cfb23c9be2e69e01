"""A folder of generated pictures, of any project: matched to label maps by name, checked whole, read as uint8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.depth import Depth
from scenegen.base.documents import read_json
from scenegen.base.listing import few
from scenegen.base.pictures import load_pixels, open_picture, result_name
from scenegen.base.refusal import Refusal
from scenegen.data.levels import read_levels
from scenegen.data.photographs import nature_of
from scenegen.data.samples import Pairs
from scenegen.data.transforms import View, keeps_shape
from scenegen.scoring.picture_files import KINDS, SHOWN, Found, fault_of, find, format_of, nothing_sentence

JPEG_WARNING = (
    "{count} of {total} pictures are JPEG: a JPEG step cost 0.075 of the total in the contest log, as much as its "
    "best loss gave; write PNG end to end"
)
LOSSY_WARNING = "{count} of {total} pictures are WebP or TIFF with a lossy compression; write PNG end to end"
CMYK_WARNING = "{count} of {total} pictures are CMYK, converted to RGB by the plain formula; write RGB PNG end to end"
GREY_WARNING = (
    "{count} of {total} pictures have one channel or a palette, as label maps have; if they are label maps, give "
    "generated= the folder of the painted pictures"
)
ONE_CHANNEL = ("1", "L", "LA", "P")
"""Modes of pictures, as PIL names them."""


@dataclass(frozen=True)
class Generated:
    """The pictures to score.

    Attributes:
        folder: their folder.
        files: label name -> file; the first of several results.
        further: label name -> the files of its other results, where several are read.
        size: (height, width) of the label maps.
        resize: "none", or "bicubic" and "squash" for pictures of another size.
        views: file -> the view of its label map, for pictures that have the shape of the label map's file and not that
            of `size`.
        fit: the label maps' own way to another shape, "crop" or "squash", where there are such pictures.
        cmyk: number of pictures in CMYK.
        grey: number of pictures with one channel or a palette, where the photographs have three channels.
        depth: meaning of the grey levels of slices of more than 8 bits; None for 8-bit pictures.
    """

    folder: Path
    files: dict[str, Path]
    size: tuple[int, int]
    resize: str = "none"
    views: Mapping[Path, View] = field(default_factory=dict, repr=False)
    fit: str | None = None
    cmyk: int = 0
    grey: int = 0
    depth: Depth | None = None
    further: Mapping[str, tuple[Path, ...]] = field(default_factory=dict, repr=False)

    def results(self, name: str) -> list[np.ndarray]:
        """All results of a label map, the first included; see `read`."""
        return [self._read(file) for file in (self.files[name], *self.further.get(name, ()))]

    def read(self, name: str) -> np.ndarray:
        """One picture as (h, w, 3) uint8, or a slice as (h, w, 1) float64 in Hounsfield units."""
        return self._read(self.files[name])

    def _read(self, file: Path) -> np.ndarray:
        """The only place where scores read or resize generated pictures."""
        if self.depth is not None:
            return self.depth.of_levels(read_levels(file))[..., None]
        with open_picture(file) as picture:
            rgb = picture.convert("RGB")
        if file in self.views:
            return self.views[file].of_photo(rgb)
        height, width = self.size
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(rgb).copy()

    @property
    def formats(self) -> str:
        """Formats of the files, such as "png", "jpeg", "jpeg+png"."""
        return "+".join(sorted({format_of(file) for file in self.files.values()}))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Cautions about the files."""
        jpeg = sum(KINDS[file.suffix.lower()] == "JPEG" for file in self.files.values())
        lossy = sum(format_of(file).endswith("-lossy") for file in self.files.values())
        total = len(self.files)
        found = [JPEG_WARNING.format(count=jpeg, total=total)] if jpeg else []
        found += [LOSSY_WARNING.format(count=lossy, total=total)] if lossy else []
        found += [CMYK_WARNING.format(count=self.cmyk, total=total)] if self.cmyk else []
        found += [GREY_WARNING.format(count=self.grey, total=total)] if self.grey else []
        return tuple(found)


def take(
    folder: Path,
    names: Sequence[str],
    *,
    size: tuple[int, int],
    resize: str = "none",
    extra: str = "refuse",
    labels: Pairs | None = None,
    depth: Depth | None = None,
    results: int = 1,
    track: Callable[[Iterable, str], Iterable] = lambda items, _: items,
) -> Generated:
    """Match the pictures of a folder to label names and check every one.

    Args:
        folder: holds NAME.png for every label map, or another format of picture_files.KINDS, 8 bits per channel.
        names: stems of the label files.
        size: (height, width) of the label maps.
        resize: "none" refuses pictures of another size, "bicubic" takes them, "squash" those of another shape too.
        extra: "refuse" or "ignore" pictures that belong to no label map.
        labels: the label maps, through whose view pictures of the shape of their files go; without them only pictures
            of the shape of `size` are resized.
        depth: of slices of more than 8 bits, whose files hold one channel of 16; None for 8-bit pictures.
        results: pictures of each label map, NAME_0.png ... where there are several.
        track: (items, description) -> items, for a progress bar.

    Raises:
        Refusal: no such folder, or every missing, extra, doubled, unreadable and wrongly sized picture at once.
    """
    known = {"resize": ("none", "bicubic", "squash"), "extra": ("refuse", "ignore")}
    for key, value, options in (("resize", resize, known["resize"]), ("extra", extra, known["extra"])):
        if value not in options:
            raise Refusal(f"{key}={value} is not one of {', '.join(options)}")
    if not folder.is_dir():
        raise Refusal(f"generated={folder} is no folder; give the folder of the generated pictures")
    stems = {result_name(name, k, results=results): name for name in names for k in range(results)}
    there = find(folder, set(stems))
    files = there.files
    if not files:
        more = f", {results} results of each as measure=diversity reads them (sample n_per_label={results})"
        raise Refusal(nothing_sentence(folder, there, list(stems)) + more * (results > 1))
    faults = _faults_of_names(there, stems, extra=extra)
    looked = _Looked(size, resize=resize, labels=labels, depth=depth)
    for stem, path in track(list(files.items()), "reading pictures"):
        looked.look(path, label=stems[stem])
    faults += looked.faults
    if any(listed for _, listed in faults):
        report = "\n  ".join(f"{len(listed)} {what}: {few(listed, SHOWN)}" for what, listed in faults if listed)
        raise Refusal(f"generated={folder} does not fit the {len(names)} label maps:\n  {report}")
    fit = labels.framing.fit if labels is not None and looked.views else None
    found = {name: [files[result_name(name, k, results=results)] for k in range(results)] for name in names}
    first, further = ({n: all_[0] for n, all_ in found.items()}, {n: tuple(all_[1:]) for n, all_ in found.items()})
    modes = looked.modes
    grey = sum(modes[mode] for mode in ONE_CHANNEL) if labels is None or labels.channels > 1 else 0
    return Generated(folder, first, size, resize, looked.views, fit, modes["CMYK"], grey, depth, further)


def _faults_of_names(there: Found, stems: Iterable[str], *, extra: str) -> list[tuple[str, list[str]]]:
    """What is wrong with the files of a folder by their names: (kind, files)."""
    missing = [stem for stem in stems if stem not in there.files]
    below = [f"{name}/ ({count})" for name, count in there.below.items()]
    return [
        ("missing", [f"{name}.png" for name in missing]),
        ("of their names that are no files, or not read", there.unread if missing else []),
        ("folders with pictures of their names, which are not looked into", below if missing else []),
        ("given twice", there.doubled),
        ("of no label map (extra=ignore takes the rest)", there.unknown if extra == "refuse" else []),
    ]


class _Looked:
    """What is wrong with pictures by their contents, and how those of another shape are read; see `take`.

    Attributes:
        views: see `Generated`.
        modes: mode of a file, as PIL names it -> number of pictures.
    """

    def __init__(self, size: tuple[int, int], *, resize: str, labels: Pairs | None, depth: Depth | None) -> None:
        self.size, self.resize, self.labels, self.depth = size, resize, labels, depth
        self.views: dict[Path, View] = {}
        self.modes: Counter[str] = Counter()
        self._unreadable: list[str] = []
        self._sized: list[str] = []
        self._shaped: list[str] = []

    def look(self, path: Path, *, label: str) -> None:
        """Read one picture."""
        problem, found, mode = _problem(path) if self.depth is None else _slice_problem(path)
        self.modes[mode] += 1
        if problem:
            self._unreadable.append(f"{path.name}: {problem}")
        elif found != self.size and (self.resize == "none" or self.depth is not None):
            self._sized.append(f"{path.name}: {found[1]}x{found[0]}")
        elif self.resize != "squash" and not keeps_shape(found, self.size):
            view, shape = (None, self.size) if self.labels is None else _view(self.labels, label)
            if view is not None and keeps_shape(found, shape):
                self.views[path] = view
            else:
                self._shaped.append(f"{path.name}: {found[1]}x{found[0]}, its label map {shape[1]}x{shape[0]}")

    @property
    def faults(self) -> list[tuple[str, list[str]]]:
        """(kind, pictures)."""
        size = f"{self.size[1]}x{self.size[0]}"
        other = f"of another shape than {size} and than the label map's file (choose size.height= and size.width=)"
        wanted = f"not {size} like the label maps (choose size=, or resize=bicubic)"
        return [("unreadable", self._unreadable), (wanted, self._sized), (other, self._shaped)]


def _view(labels: Pairs, name: str) -> tuple[View, tuple[int, int]]:
    """The view of a label map, and the (h, w) of its file."""
    height, width = labels.source.load(labels.names.index(name)).shape
    return labels.framing.view((height, width), seed=0), (height, width)


def read_styles(path: Path) -> dict[str, str]:
    """The style picture of every label map: stem -> stem, from a JSON file like the contest's label_to_img.json.

    Raises:
        Refusal: no such file, or not one object of names.
    """
    cure = 'write {"label.png": "photograph.jpg", ...}'
    named = read_json(path, what="styles=", cure=cure, shape=dict[str, str])
    return {Path(label).stem: Path(photo).stem for label, photo in named.items()}


def _slice_problem(path: Path) -> tuple[str, tuple[int, int], str]:
    """As `_problem`, of a slice."""
    try:
        height, width = read_levels(path).shape
        return "", (height, width), ""
    except Refusal as refusal:
        return str(refusal).removeprefix(f"{path}: "), (0, 0), ""


def _problem(path: Path) -> tuple[str, tuple[int, int], str]:
    """Fault of a picture ("" for none), its (h, w), and the mode that it is stored in."""
    try:
        with open_picture(path, pixels=False) as picture:
            nature, mode = nature_of(picture, path), picture.mode  # before decoding, which loses the number of bits
            load_pixels(picture, path)
            return fault_of(picture, path, nature), (picture.height, picture.width), mode
    except Refusal as refusal:
        return str(refusal).removeprefix(f"{path}: "), (0, 0), ""
