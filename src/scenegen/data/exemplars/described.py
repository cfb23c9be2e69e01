"""Descriptions of all pictures of a data set in bounded memory; those of files are kept for the next start.

What is kept lies where looks at files do (base/kept.py): by file, by the form of the description, and by the state that
the file was in. So a start that was killed goes on there, and a file that changed is read again.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from scenegen.base.kept import Kept, Notice, State, is_young
from scenegen.base.members import File
from scenegen.base.records import Refusal
from scenegen.base.scratch import scratch
from scenegen.data.exemplars.keys import Ranked
from scenegen.data.exemplars.measures import Measure
from scenegen.data.exemplars.rank import Track, untracked
from scenegen.data.looks import AT_ONCE, FROM
from scenegen.data.pairs import Files, Matched, Raw
from scenegen.data.samples import Pairs, Source
from scenegen.data.stream import make_loader

LOG = logging.getLogger(__name__)
FORMAT = 1
"""Of kept descriptions and lists; another one's are not read."""
TURN = 512
"""Batches that one loader reads; what is kept of them is looked up before."""


@functools.cache
def log_once(sentence: str) -> None:
    """A warning about a store, which several parts of one start open."""
    LOG.warning("%s", sentence)


class LabelsAlone:
    """A source without its photographs, which take most of the time to read."""

    has_labels = True
    has_instances = False
    has_images = False
    styles = label_counts = None

    def __init__(self, source: Source) -> None:
        self.source = source
        self.classes = source.classes
        self.names = source.names

    def __len__(self) -> int:
        return len(self.source)

    def load(self, index: int) -> Raw:
        if isinstance(self.source, Files):
            label = self.source.read_label(index)
            return Raw(label=label)
        return Raw(label=self.source.load(index).label)


@dataclass(frozen=True)
class Described:
    """Descriptions of a data set.

    Attributes:
        rows: (n, d), in order.
        files: the files that they were read from; None where there are none.
        root: folder of these files.
        form: hash of what is described, and how.
        digest: hash of the form and of all these files' states; empty where lists of them may not be kept.
    """

    rows: Tensor
    files: Sequence[File] | None = None
    root: Path = Path()
    form: str = ""
    digest: str = ""


def describe(
    data: Pairs,
    *,
    measure: Measure,
    batch_size: int = 16,
    workers: int = 0,
    track: Track = untracked,
    notice: Notice = log_once,
) -> Described:
    """Descriptions of every picture of a dataset, uncropped as at test time.

    Args:
        data: the dataset.
        measure: describes.
        batch_size: pictures per pass.
        workers: processes that read pictures.
        track: (batches, description) -> batches, for a progress bar.
        notice: receives a sentence about a store that cannot be used, or is damaged.

    Raises:
        Refusal: the measure looks at photographs and the dataset has none, or no room for what memory should not hold.
    """
    with _Shelf(data, measure, batch_size, notice) as shelf:
        rows = None
        for first, found in track(_Batches(data, shelf, measure, batch_size, workers), "reading"):
            if rows is None:
                rows = torch.from_numpy(scratch((len(data), *found.shape[1:]), found.numpy().dtype))
            rows[first : first + len(found)] = found
    assert rows is not None, "no data set is empty"
    return Described(rows, shelf.files, shelf.root, shelf.form, shelf.digest)


class _Batches:
    """Place of the first picture and descriptions (b, d) of every batch; kept ones come before those that are read."""

    def __init__(self, data: Pairs, shelf: _Shelf, measure: Measure, batch_size: int, workers: int) -> None:
        source = data.source if measure.photographs else LabelsAlone(data.source)
        self.plain = Pairs(source, framing=replace(data.framing, random=False))
        self.shelf, self.measure, self.workers = shelf, measure, workers
        self.batches = [range(len(data))[k : k + batch_size] for k in range(0, len(data), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        for turn in range(0, len(self.batches), TURN):
            missing = []
            for places in self.batches[turn : turn + TURN]:
                known = self.shelf.get(places)
                if known is None:
                    missing.append(places)
                else:
                    yield places.start, known
            if missing:
                yield from self._read(missing)

    def _read(self, missing: Sequence[range]) -> Iterator[tuple[int, Tensor]]:
        loader = make_loader(self.plain, [[(0, i) for i in places] for places in missing], workers=self.workers)
        for places, batch in zip(missing, loader, strict=True):
            if self.measure.photographs and batch.image is None:
                raise Refusal("this measure compares photographs, but the data has none; use by=mask_iou, or a data "
                              "set with photographs (data.label_only=false)")  # fmt: skip
            found = self.measure.describe(batch)
            self.shelf.put(places, found)
            yield places.start, found


class _Shelf:
    """Kept descriptions of a data set's files: a batch is known where each of its files is.

    So the batches that are read hold the same pictures in every start, and a network's values do not depend on it.
    """

    def __init__(self, data: Pairs, measure: Measure, batch_size: int, notice: Notice) -> None:
        source = data.source
        self.files = _files(source, measure)
        self.root = source.root if isinstance(source, Files) else Path()
        setting = "auto" if self.files is not None and len(self.files) >= FROM else "off"
        self.notice = notice
        self.kept = Kept(self.root, setting=setting, notice=notice)
        form = [FORMAT, measure.stamp, *astuple(data.classes), replace(data.framing, random=False)]
        form += [sorted(source.remap.items()), source.reading] if isinstance(source, Files) else []
        form += [batch_size] if measure.photographs else []
        self.form = hashlib.sha256(repr(form).encode()).hexdigest()[:24]
        self.what = f"described {self.form}"
        self.states: dict[int, State] = {}
        self.pending: list[tuple[File, State, bytes]] = []
        self.seen = hashlib.sha256(self.form.encode())
        self.old = True
        self.digest = ""
        self.damaged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        if self.old and self.kept.store is not None:
            self.digest = self.seen.hexdigest()
        self.kept.close()
        if self.damaged:
            self.notice(f"{self.damaged} kept descriptions of {self.root} are damaged and were made anew")

    def get(self, places: range) -> Tensor | None:
        """The descriptions (b, d) of some pictures; None where one is not known."""
        if self.files is None or self.kept.store is None:
            return None
        files = [self.files[place] for place in places]
        found = self.kept.get(files, self.what)
        for place, file, (state, _) in zip(places, files, found, strict=True):
            self.seen.update(f"{file} {state}\n".encode("utf-8", "surrogateescape"))
            if state is None or is_young(state):
                self.old = False
            else:
                self.states[place] = state
        values = [value for _, value in found if value is not None]
        rows = [row for row in map(_unpacked, values) if row is not None]
        self.damaged += len(values) - len(rows)
        if len(rows) < len(places) or len({(row.dtype, row.shape) for row in rows}) > 1:
            return None
        for place in places:
            self.states.pop(place, None)
        return torch.from_numpy(np.stack(rows))

    def put(self, places: range, found: Tensor) -> None:
        """Keep the descriptions of pictures that were asked for before."""
        if self.files is None:
            return
        for place, row in zip(places, found.numpy(), strict=True):
            state = self.states.pop(place, None)
            if state is not None:
                self.pending.append((self.files[place], state, _packed(row)))
        if len(self.pending) >= AT_ONCE:
            self._write()

    def _write(self) -> None:
        self.kept.put(self.pending, self.what)
        self.pending = []


class KeptLists:
    """Ranked lists, kept under the states of all pictures that were compared.

    Args:
        queries, gallery: the pictures.
        top_k, diversity: of the lists.
        notice: see `describe`.
    """

    def __init__(
        self, queries: Described, gallery: Described, *, top_k: int, diversity: float, notice: Notice = log_once
    ) -> None:
        self.top_k = top_k
        self.files = queries.files if queries.digest and gallery.digest else None
        self.notice = notice
        self.kept = Kept(queries.root, setting="auto" if self.files is not None else "off", notice=notice)
        self.what = f"ranked {top_k} {diversity!r} {queries.form}"
        self.damaged = 0
        self.digest = hashlib.sha256(f"{queries.digest} {gallery.digest} {len(gallery.rows)}".encode()).digest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kept.close()
        if self.damaged:
            self.notice(f"{self.damaged} kept lists are damaged and were made anew")

    def get(self, places: Sequence[int]) -> Ranked | None:
        """The lists of some queries; None where one is not known."""
        if self.files is None:
            return None
        values = [value for _, value in self.kept.get([self.files[place] for place in places], self.what)]
        lists = [self._read(value) for value in values if value is not None]
        known = [one for one in lists if one is not None]
        if len(known) < len(places):
            return None
        return Ranked(*(np.stack(part) for part in zip(*known, strict=True)))

    def put(self, places: Sequence[int], ranked: Ranked) -> None:
        """Keep the lists of some queries, all of them or none."""
        if self.files is None:
            return
        files = [self.files[place] for place in places]
        self.kept.put(
            [
                (file, state, self.digest + _packed(np.concatenate([rows.astype(np.float64), scores])))
                for (state, _), file, rows, scores in zip(
                    self.kept.get(files, self.what), files, ranked.rows, ranked.scores, strict=True
                )
                if state is not None
            ],
            self.what,
        )

    def _read(self, value: bytes) -> tuple[np.ndarray, np.ndarray] | None:
        if not value.startswith(self.digest):
            return None
        both = _unpacked(value.removeprefix(self.digest))
        if both is None or both.shape != (2 * self.top_k,):
            self.damaged += 1
            return None
        rows, scores = np.split(both, 2)
        return rows.astype(np.int64), scores


def _files(source: Source, measure: Measure) -> Sequence[File] | None:
    """The file of every picture on which its description depends; None where there are none."""
    if not isinstance(source, Files) or (measure.photographs and not source.has_images):
        return None
    if isinstance(source.pairs, Matched):
        return source.pairs.images if measure.photographs else source.pairs.labels
    both = ((pair.image, pair.label) for pair in source.pairs)
    return [image if measure.photographs and image is not None else label for image, label in both]


def _packed(row: np.ndarray) -> bytes:
    """A row of numbers as bytes with a checksum."""
    return row.dtype.str.encode() + b"\n" + zlib.compress(row.tobytes(), 1)


def _unpacked(value: bytes) -> np.ndarray | None:
    """The numbers of such bytes, None where they are damaged."""
    try:
        kind, _, content = value.partition(b"\n")
        return np.frombuffer(zlib.decompress(content), np.dtype(kind.decode()))
    except (ValueError, TypeError, zlib.error):
        return None
