"""Photographs and label maps in tar shards of WebDataset's layout, read at the offsets of their files: data=shards.

webdataset reads shards as a stream behind a shuffle buffer, whose place no step number names, so a killed run could not
go on bit for bit; the offsets that the standard library's tarfile finds give any sample at any time, and webdataset
itself writes and reads the same shards (tests/data/test_shards.py).
"""

from __future__ import annotations

import io
import json
import logging
import re
import tarfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from scenegen.base.documents import read_json
from scenegen.base.kept import Kept
from scenegen.base.listing import few
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.compact import Members, Strings
from scenegen.data.layouts import check_split, chosen_classes, existing_root, held_places, read_classes
from scenegen.data.pairs import Fault, Files, Matched, natural_key
from scenegen.data.photographs import Alpha, Exif, Icc, LabelSize, Reading
from scenegen.data.samples import Pairs
from scenegen.data.transforms import Fit, Framing

LOG = logging.getLogger(__name__)

EXPECTED = (
    "it should hold train-*.tar and val-*.tar (or *.tar, split by data.val_fraction) with NAME.jpg and NAME.png, a "
    "photograph and the class ids, one after the other, and classes.json; python -m scenegen.shards makes them"
)
OPTIONS = ("exif", "alpha", "icc", "label_size")

COUNTS = "shards.json"
"""File beside the shards with the number of each split's, by which a last one that was not copied is seen."""

SIDES = {"train": "train", "test": "val"}
"""Split -> the word in the names of its shards, as they are written here."""

LABEL, IMAGE, INSTANCE = range(3)
FIELDS = {
    **dict.fromkeys(("png", "label.png", "label.tif", "label.tiff", "seg.png", "mask.png"), LABEL),
    **dict.fromkeys(("jpg", "jpeg", "webp"), IMAGE),
    **{f"image.{ending}": IMAGE for ending in ("png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif")},
    "instance.png": INSTANCE,
}
"""What stands behind the first dot of a member's name -> what it is; others (json, txt, cls, ...) are not read."""

ENDINGS = tuple(FIELDS)

LARGEST = 1 << 30
"""Bytes of the largest member that is read."""
LONGEST = 255
"""Bytes of the longest name of a sample, as of a file."""
HEAD = 1 << 16
"""Bytes of a tar's header, and of the long name before it, that are read at a time; tarfile itself reads any number."""
BLOCK = 512
MOST = 999_999
"""Shards of a split."""
MANY = 16
"""Shards of a split from which on their headers are kept for the next start; fewer are read in a second."""
_META = re.compile(r"__[^/]*__($|/)")
"""Names that WebDataset keeps for itself."""

_NUMBERED = re.compile(r"(.*?)(\d{1,9})(\.tar|\.tgz|\.tar\.(?:gz|bz2|xz|zst))")
"""Name of a shard, plain or compressed: that of its row, its number, its ending."""
GAP = "this shard is not there, and its row goes on to {end}; copy it too, or number the shards that are meant in a row"
LOST = "this shard is not there, and {counts} counts {count} of {split}; copy it too, or delete that file"
COMPRESSED = "a compressed tar, which is not read; unpack it to a plain one"

MEMBERS = "members 1"
"""What is kept of a shard, and its format."""

Entry = tuple[str, int, int]
"""Name, offset and size of a member."""


def shards(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    classes: str | Sequence[str] | None,
    unlabelled: int | None,
    remap: Mapping[int, int] | None,
    instances: bool,
    flip: float,
    fit: Fit,
    scale: float,
    exif: Exif,
    alpha: Alpha,
    icc: Icc,
    label_size: LabelSize,
    val_fraction: float,
) -> Pairs:
    """Tar shards: {train,val}-*.tar, or *.tar alone; the samples in natural order of their names, as of a folder."""
    training = check_split(split) == "train"
    base = existing_root(root, EXPECTED)
    found = chosen_classes(str(base), classes, unlabelled)
    meaning = found if isinstance(found, ClassList) else read_classes(found, expected=EXPECTED)
    tars, divided = _tars(base, split)
    pairs, faults = match_members(tars, root=base, instances=instances)
    if not len(pairs):
        first = f" (first: {faults[0]})" if faults else ""
        raise Refusal(f"{base}: not one whole sample in {few([tar.name for tar in tars])}{first}; {EXPECTED}")
    if not divided:
        pairs = pairs.take(held_places(pairs.names, split=split, fraction=val_fraction))
    reading = Reading(exif=exif, alpha=alpha, icc=icc, label_size=label_size, options=OPTIONS)
    files = Files(
        base,
        meaning,
        pairs,
        (*absent(tars), *lost(tars, base, split=split), *faults),
        {**meaning.remap, **(remap or {})},
        reading=reading,
    )
    framing = Framing(height=height, width=width, fit=fit, scale=scale, flip=flip, random=training)
    return Pairs(files, framing=framing, seed=seed)


def _tars(base: Path, split: str) -> tuple[list[Path], bool]:
    """The shards of a split in natural order, and whether they come divided into splits."""
    there = sorted((path for path in base.rglob("*.tar") if path.name[0] != "."), key=lambda p: natural_key(str(p)))
    if not there:
        packed = [path.name for path in base.rglob("*.tar.*")] + [path.name for path in base.rglob("*.tgz")]
        cure = f" (compressed ones are not read: {few(packed)}; unpack them to plain tars)" if packed else ""
        raise Refusal(f"data.root={base} holds no *.tar{cure}; {EXPECTED}")
    words = {path: re.split(r"[\W_]+", path.relative_to(base).as_posix().lower()) for path in there}
    sides = {
        side: [path for path in there if set(words[path]) & names]
        for side, names in (("train", {"train", "training"}), ("test", {"val", "validation", "valid", "test"}))
    }
    if not sides["train"] or not sides["test"]:
        return sides["train"] or there, False
    return sides[split], True


def absent(tars: Sequence[Path]) -> list[Fault]:
    """Faults of shards that are not there: gaps in the numbers of a row of shards, and compressed ones of it.

    A row with as many gaps as shards, such as dates, counts nothing.
    """
    rows: dict[tuple[Path, str], dict[int, Path]] = defaultdict(dict)
    for tar in tars:
        if found := _NUMBERED.fullmatch(tar.name):
            rows[tar.parent, found[1]][int(found[2])] = tar
    faults = []
    for (folder, name), row in rows.items():
        numbered = ((_NUMBERED.fullmatch(path.name), path) for path in folder.iterdir())
        packed = {int(n[2]): path for n, path in numbered if n and n[1] == name and n[3] != ".tar"}
        faults += [Fault(str(packed[number]), COMPRESSED) for number in sorted(packed.keys() - row.keys())]
        first, last = min(row), max(row)
        if last - first + 1 < 2 * len(row):
            width, end = len(row[first].stem) - len(name), row[last].name
            gaps = [number for number in range(first, last) if number not in row.keys() | packed.keys()]
            faults += [Fault(str(folder / f"{name}{gap:0{width}}.tar"), GAP.format(end=end)) for gap in gaps]
    return faults


def lost(tars: Sequence[Path], root: Path, *, split: str) -> list[Fault]:
    """Faults of the last shards of a split, that `COUNTS` counts and that no row goes on to.

    Raises:
        Refusal: a file of that name that counts nothing.
    """
    if not (root / COUNTS).is_file():
        return []
    cure = f'it should count the shards of each split, as {{"train": 12, "test": 2}}; else delete {COUNTS}'
    counted = read_json(root / COUNTS, what="the file", cure=cure, shape=dict[str, int])
    count = counted.get(split, 0)
    if not 0 <= count <= MOST:
        raise Refusal(f"the file {root / COUNTS} counts {count} shards of {split}, not 0 to {MOST}; {cure}")
    there = {tar.name for tar in tars}
    last = max((number for number in range(count) if shard_name(split, number) in there), default=-1)
    names = (shard_name(split, number) for number in range(last + 1, count))
    return [Fault(str(root / name), LOST.format(counts=COUNTS, count=count, split=split)) for name in names]


def shard_name(split: str, number: int) -> str:
    """Name of a shard that is written here."""
    return f"{SIDES[split]}-{number:06}.tar"


def match_members(tars: Sequence[Path], *, root: Path, instances: bool) -> tuple[Matched, tuple[Fault, ...]]:
    """The samples of some shards by their names, in natural order.

    Args:
        tars: the shards.
        root: the folder that they are below; what their headers say is kept in the cache under it.
        instances: take instance maps, where every sample has one.

    Returns:
        The complete pairs, and one Fault per shard that cannot be read, per member without its partner or with a name
        that is there already.
    """
    faults: list[Fault] = []
    table = _Table(tars)
    with Kept(root, setting="auto" if len(tars) >= MANY else "off", notice=LOG.warning) as kept:
        for place, tar in enumerate(tars):
            for entry in _entries(tar, kept, faults):
                name, field = _parts(entry[0])
                if field not in FIELDS:
                    continue
                if problem := _problem(name, entry) or table.add(name, field, place, entry):
                    faults.append(Fault(f"{tar}/{entry[0]}", problem))
    names, spots = table.sorted()
    whole = (spots[:, LABEL, 0] >= 0) & (spots[:, IMAGE, 0] >= 0)
    for row in np.flatnonzero(~whole):
        there, lacks = (IMAGE, "label map (NAME.png)") if spots[row, LABEL, 0] < 0 else (LABEL, "photograph (NAME.jpg)")
        if spots[row, there, 0] >= 0:
            one = table.column([names[row]], spots[row : row + 1], there)[0]
            faults.append(Fault(str(one), f"no {lacks} of that name in the shards"))
    names, spots = [name for name, kept in zip(names, whole.tolist(), strict=True) if kept], spots[whole]
    label, image = (table.column(names, spots, kind) for kind in (LABEL, IMAGE))
    all_have = instances and len(names) > 0 and bool((spots[:, INSTANCE, 0] >= 0).all())
    instance = table.column(names, spots, INSTANCE) if all_have else None
    return Matched(Strings(names), label, image, instance), tuple(faults)


class _Table:
    """Where the files of each sample lie: twelve numbers a sample, so that a million take no gigabyte."""

    def __init__(self, tars: Sequence[Path]) -> None:
        self.tars = tuple(tars)
        self.rows: dict[str, int] = {}
        self.numbers = array("q")

    def add(self, name: str, field: str, tar: int, entry: Entry) -> str | None:
        """Note one file of a sample; a sentence where there is one of its kind already."""
        row = self.rows.setdefault(name, len(self.rows))
        if 12 * row == len(self.numbers):
            self.numbers.extend([-1] * 12)
        spot = 12 * row + 4 * FIELDS[field]
        if self.numbers[spot] >= 0:
            return f"a file of its kind and name lies in {self.tars[self.numbers[spot]].name} already; keep one of them"
        self.numbers[spot : spot + 4] = array("q", (tar, *entry[1:], ENDINGS.index(field)))
        return None

    def sorted(self) -> tuple[list[str], np.ndarray]:
        """Names in natural order, and (n, 3, 4) their tar (-1 for no such file), offset, size and ending by kind."""
        names = sorted(self.rows, key=natural_key)
        table = np.frombuffer(self.numbers, dtype=np.int64).reshape(-1, 3, 4)
        return names, table[[self.rows[name] for name in names]]

    def column(self, names: Sequence[str], spots: np.ndarray, kind: int) -> Members:
        """The files of one kind of some samples."""
        texts = (f"{name}.{ENDINGS[ending]}" for name, ending in zip(names, spots[:, kind, 3].tolist(), strict=True))
        return Members(self.tars, Strings(texts), spots[:, kind, :3])


def _parts(member: str) -> tuple[str, str]:
    """Name of the sample and kind of file: what stands before and behind the first dot, as WebDataset cuts them."""
    name, _, field = PurePosixPath(member).name.partition(".")
    return name, field.lower()


def _problem(name: str, entry: Entry) -> str | None:
    """Reason that a member cannot be a sample's, or None."""
    if not name or len(name.encode("utf-8", "surrogateescape")) > LONGEST or "\\" in name:
        return f"a name that no file can have; give samples names of 1 to {LONGEST} bytes without backslashes"
    if entry[2] > LARGEST:
        return f"{entry[2]} bytes, where {LARGEST} are read at most; save the picture smaller"
    return None


def _entries(tar: Path, kept: Kept, faults: list[Fault]) -> list[Entry]:
    """Members of a shard, as kept from an earlier start or by its headers."""
    ((state, value),) = kept.get([tar], MEMBERS)
    if value is not None and (known := _unpacked(value)) is not None:
        return known
    try:
        entries = list(_read_headers(tar))
    except Refusal as refusal:
        faults.append(Fault(str(tar), str(refusal)))
        return []
    if state is not None:
        kept.put([(tar, state, json.dumps(entries).encode())], MEMBERS)
    return entries


def _unpacked(value: bytes) -> list[Entry] | None:
    try:
        return [(str(name), int(offset), int(size)) for name, offset, size in json.loads(value)]
    except (ValueError, TypeError):
        return None


def _read_headers(tar: Path) -> Iterator[Entry]:
    """Name, offset and size of every file in a tar, from its headers; no content is read.

    Raises:
        Refusal: no plain tar, one that is cut short, or links and the like among its files.
    """
    if not tar.is_file():
        raise Refusal("is no regular file; put the shard there")
    try:
        with tar.open("rb") as file, tarfile.open(fileobj=_Heads(file), mode="r:") as opened:
            end = 0
            while (member := opened.next()) is not None:
                opened.members = []  # pyright: ignore[reportAttributeAccessIssue] (tarfile would keep all of them)
                if opened.offset <= end:
                    raise Refusal(f"damaged (the size of {member.name} in it is no size); copy the shard again")
                end = opened.offset
                hidden = PurePosixPath(member.name).name.startswith(".") or _META.match(member.name)
                if member.isdir() or hidden:
                    continue
                if not member.isreg() or member.sparse is not None:
                    raise Refusal(f"{member.name} in it is a link, a device or a sparse file; write the file itself")
                yield member.name, member.offset_data, member.size
            file.seek(end)
            if file.read(BLOCK) != bytes(BLOCK):
                raise Refusal("truncated or damaged (no end mark behind its last whole file); copy the shard again")
    except tarfile.TarError as error:
        raise Refusal(f"no plain tar, or a truncated one ({error}); copy the shard again, uncompressed") from error
    except (OSError, ValueError, OverflowError) as error:
        raise Refusal(f"unreadable ({error}); copy the shard again or remove it") from error


class _Heads(io.RawIOBase):
    """A file of which a few header blocks are read at a time, so that a header cannot ask for all memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEAD:
            raise tarfile.ReadError(f"a header of {size} bytes, where {HEAD} are read at most")
        return self.file.read(size)
