"""Fingerprint of a data set's content, by which a resumed run knows its data again wherever they are now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from scenegen.base.members import File, size_of
from scenegen.data.pairs import Files, Matched, Pair
from scenegen.data.photos import Photos
from scenegen.data.samples import Pairs
from scenegen.data.slice_files import SliceFiles

SAMPLED = 16
"""Files of each kind whose content is read."""


def fingerprint(data: Pairs) -> dict[str, Any]:
    """Number, names and classes of a split, and of files their sizes and the content of some of them.

    Modification times and the place of the files are no part of it.
    """
    found: dict[str, Any] = {
        "count": len(data),
        "names": _hash(data.names),
        "classes": _hash([*data.classes.names, data.classes.ignore]),
    }
    photos = [source for source in data.sources if isinstance(source, Photos)]
    if isinstance(data.source, Files):
        files = _columns(data.source.pairs)
    elif isinstance(data.source, SliceFiles):
        files = [list(kind) for kind in zip(*data.source.pairs, strict=True)]
    else:
        files = [source.photos.images for source in photos]
    if files:
        found["sizes"] = _hash(size_of(path) for kind in files for path in kind)
        found["content"] = _hash(_content(path) for kind in files for path in _some(kind))
    return found


def _columns(pairs: Sequence[Pair]) -> list[Sequence[File]]:
    """The files of some pairs, kind by kind."""
    if isinstance(pairs, Matched):
        return [column for column in (pairs.labels, pairs.images, pairs.instances) if column is not None]
    kinds = zip(*((pair.label, pair.image, pair.instance) for pair in pairs), strict=True)
    return [[path for path in kind if path is not None] for kind in kinds]


def _some(paths: Sequence[File]) -> Sequence[File]:
    return paths[:: -(-len(paths) // SAMPLED)] if paths else []


def _content(path: File) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash(items: Iterable[Any]) -> str:
    """12 hex digits of some values in their order."""
    whole = hashlib.sha256()
    for item in items:
        whole.update(f"{item}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()[:12]
