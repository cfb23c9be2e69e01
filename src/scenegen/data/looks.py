"""A look at each file of a data set, taken once for each state of the file, several at a time."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np
from PIL import Image

from scenegen.base.kept import Kept, Notice, State
from scenegen.base.members import File, size_of, state_of
from scenegen.base.pictures import load_pixels, open_picture
from scenegen.base.records import Refusal
from scenegen.data.labels import count_ids, read_stored
from scenegen.data.look_alikes import SIDE, thumbnail
from scenegen.data.photographs import Nature, nature_of, photo_problem, upright

LOG = logging.getLogger(__name__)
Kind = Literal["label", "photo"]

AT_ONCE = 512
"""Samples that are looked at, and kept, at a time."""
FROM = 2000
"""Samples of a data set from which on looks are kept for the next start; fewer are looked at again in a second."""
MOST_IDS = 1024
"""Ids or colours of a label map that are kept; one with more is no label map."""
FORMAT = 1
"""Of kept facts; another one's are not read."""
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class Facts:
    """Facts about one file.

    Attributes:
        size: (h, w), or None where it cannot be read.
        problem: why it cannot be used, or None.
        ids: pixels per stored id, or per colour (label maps).
        colours: `ids` are colours.
        nature: metadata that change what its pixels mean (photographs).
        digest: sha256 of the file (deep only).
        look: (24, 24, 3) uint8 thumbnail, None for flat pictures (photographs, deep only).
        grey: the photograph has no colour (deep only).
    """

    size: tuple[int, int] | None = None
    problem: str | None = None
    ids: Mapping[int, int] | None = None
    colours: bool = False
    nature: Nature | None = None
    digest: str = ""
    look: np.ndarray | None = field(default=None, repr=False, compare=False)
    grey: bool = False


class Looks:
    """Facts about the files of one data set; those of a large one are kept in the user's cache for the next start.

    Files that cannot be used are looked at anew every time.

    Args:
        root: the data set's folder.
        count: its samples.
        deep: decode photographs too.
        notice: receives a sentence about a store that cannot be used.
    """

    def __init__(self, root: Path, *, count: int, deep: bool, notice: Notice = LOG.warning) -> None:
        self.deep = deep
        self.kept = Kept(root, setting="auto" if count >= FROM else "off", notice=notice)
        self.pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        self.kept.close()

    def facts(self, files: Sequence[File], kind: Kind) -> dict[File, Facts]:
        """Facts about some files, each of the same kind."""
        what = f"{kind} {'whole' if self.deep else 'head'} {FORMAT}"
        states = dict(zip(files, self.kept.get(files, what), strict=True))
        found = {file: facts for file, (_, value) in states.items() if value and (facts := _unpacked(value))}
        unknown = [file for file in files if file not in found]
        looked = self.pool.map(lambda file: _facts(file, kind, self.deep), unknown)
        found |= zip(unknown, looked, strict=True)
        self.kept.put([(file, state, _packed(found[file])) for file in unknown if (state := states[file][0])
                       and found[file].problem is None and len(found[file].ids or ()) <= MOST_IDS], what)  # fmt: skip
        return found


def _packed(facts: Facts) -> bytes:
    """Facts as bytes."""
    nature = None if facts.nature is None else astuple(facts.nature)
    look = None if facts.look is None else base64.b64encode(facts.look.tobytes()).decode()
    ids = None if facts.ids is None else list(facts.ids.items())
    return json.dumps([facts.size, ids, facts.colours, nature, facts.digest, look, facts.grey]).encode()


def _unpacked(value: bytes) -> Facts | None:
    """The facts of such bytes, None where they are damaged."""
    try:
        (h, w), ids, colours, nature, digest, look, grey = json.loads(value)
        if nature is not None:
            (height, width), *rest = nature
            nature = Nature((height, width), *rest)
        if look is not None:
            look = np.frombuffer(base64.b64decode(look), np.uint8).reshape(SIDE, SIDE, 3)
        counts = None if ids is None else {int(i): int(n) for i, n in ids}
        return Facts((h, w), None, counts, colours, nature, digest, look, grey)
    except (ValueError, TypeError):
        return None


def _facts(file: File, kind: Kind, deep: bool) -> Facts:
    try:
        state = state_of(file)
    except OSError as error:
        return Facts(problem=f"unreadable ({error.strerror}); copy the file again or remove it")
    return _look(file, kind, deep, state)


@functools.lru_cache(maxsize=1 << 13)
def _look(path: File, kind: Kind, deep: bool, state: State) -> Facts:
    """Facts of a file in this state; the scans of one process read it once, also where they are not kept."""
    try:
        return _look_at_label(path, deep) if kind == "label" else _look_at_photo(path, deep)
    except Refusal as refusal:
        return Facts(problem=str(refusal).removeprefix(f"{path}: "))


def _look_at_label(path: File, deep: bool) -> Facts:
    stored = read_stored(path)
    size = stored.values.shape[0], stored.values.shape[1]
    digest = _digest(path) if deep else ""
    return Facts(size=size, ids=count_ids(stored.values), colours=stored.colours, digest=digest)


def _look_at_photo(path: File, deep: bool) -> Facts:
    with open_picture(path, pixels=False) as picture:
        shape = picture.height, picture.width
        problem = photo_problem(picture)
        if problem is not None:
            return Facts(size=shape, problem=problem)
        nature = nature_of(picture, path)
        if not deep:
            if not _ends_well(path, picture.format):
                load_pixels(picture, path)
            return Facts(size=shape, nature=nature)
        load_pixels(picture, path)
        look = thumbnail(upright(picture, nature))
        return Facts(size=shape, nature=nature, digest=_digest(path), look=look, grey=_is_grey(picture))


def _ends_well(path: File, kind: str | None) -> bool:
    """True when the file ends as its format must; a doubt (trailing bytes) is settled by decoding it."""
    end = {"PNG": _PNG_END, "JPEG": _JPEG_END}.get(kind or "")
    if end is None:
        return False
    with path.open("rb") as file:
        file.seek(max(0, size_of(path) - len(end)))
        return file.read() == end


def _digest(path: File) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode in ("L", "LA", "1"):
        return True
    small = picture.convert("RGB").resize((128, 96), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int16)
    # JPEG adds a little colour noise to a grey picture; a tinted one is a colour picture.
    return bool((pixels.max(axis=2) - pixels.min(axis=2)).max() <= 4)
