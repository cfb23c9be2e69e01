"""Shards out of files: data=folder and its like written as tars of WebDataset's layout, whole or not at all."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scenegen.base.files import whole_folder, write_json
from scenegen.base.listing import few
from scenegen.base.members import File, size_of
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.labels import read_ids
from scenegen.data.pairs import Files
from scenegen.data.samples import Pairs
from scenegen.data.shards import COUNTS, FIELDS, IMAGE, shard_name

Track = Callable[[Any, str], Iterable[Any]]


@dataclass(frozen=True)
class Written:
    """Samples and shards of a split."""

    samples: int
    shards: int


def write_shards(splits: dict[str, Pairs], out: Path, *, per_shard: int, track: Track) -> dict[str, Written]:
    """Write the files of some splits as shards.

    Photographs keep their bytes, and so do PNG label maps whose ids are class ids; other maps become PNGs of class ids.

    Args:
        splits: split -> data of photographs and label maps in files.
        out: the new folder; it is there when all is written.
        per_shard: samples of a shard.
        track: (samples, description) -> samples, for a progress bar.

    Raises:
        Refusal: data without such files, or names that a shard cannot hold.
    """
    for split, data in splits.items():
        _require_files(split, data)
    done = {}
    with whole_folder(out) as folder:
        for split, data in splits.items():
            places = range(0, len(data), per_shard)
            for number, first in enumerate(track(places, f"{split} shards")):
                _write_shard(folder / shard_name(split, number), data, range(len(data))[first:][:per_shard])
            done[split] = Written(len(data), len(places))
        write_json(folder / COUNTS, {split: written.shards for split, written in done.items()})
        write_json(folder / "classes.json", _document(next(iter(splits.values())).classes))
    return done


def _require_files(split: str, data: Pairs) -> None:
    files = data.source
    if not isinstance(files, Files) or not files.has_images:
        raise Refusal("shards are made of photographs with label maps in files; choose data=folder, scene, coco_stuff "
                      "or ade20k")  # fmt: skip
    if dotted := [name for name in data.names if "." in name or "\\" in name]:
        raise Refusal(f"{len(dotted)} names of {split} hold a dot or a backslash ({few(dotted)}), where WebDataset "
                      "ends a name; rename these files")  # fmt: skip


def _document(classes: ClassList) -> dict[str, Any]:
    """Content of classes.json for maps of class ids."""
    unknown = {} if classes.ignore is None else {"unlabelled": classes.ignore}
    return {"classes": list(classes.names), **unknown, "colours": [list(colour) for colour in classes.colours]}


def _write_shard(path: Path, data: Pairs, places: Sequence[int]) -> None:
    files = data.source
    assert isinstance(files, Files)
    with tarfile.open(path, "w:") as tar:
        for place in places:
            pair = files.pairs[place]
            assert pair.image is not None
            _add_file(tar, f"{pair.name}.{_field(pair.image)}", pair.image)
            _add_ids(tar, f"{pair.name}.png", pair.label, data, place)
            if pair.instance is not None:
                _add(tar, f"{pair.name}.instance.png", _png(read_ids(pair.instance)))


def _field(image: File) -> str:
    """What a photograph's file is called behind the first dot."""
    ending = image.suffix.lower().removeprefix(".")
    return ending if FIELDS.get(ending) == IMAGE else f"image.{ending}"


def _add_ids(tar: tarfile.TarFile, name: str, label: File, data: Pairs, place: int) -> None:
    files = data.source
    assert isinstance(files, Files)
    if label.suffix.lower() == ".png" and not files.remap:
        _add_file(tar, name, label)
    else:
        _add(tar, name, _png(files.read_label(place)))


def _png(ids: np.ndarray) -> bytes:
    """Ids as a PNG of 8 or 16 bits."""
    content = io.BytesIO()
    Image.fromarray(ids if ids.dtype == np.uint8 else ids.astype(np.uint16)).save(content, format="PNG")
    return content.getvalue()


def _add_file(tar: tarfile.TarFile, name: str, file: File) -> None:
    with file.open("rb") as content:
        _add_member(tar, name, size_of(file), content)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    _add_member(tar, name, len(content), io.BytesIO(content))


def _add_member(tar: tarfile.TarFile, name: str, size: int, content: Any) -> None:
    head = tarfile.TarInfo(name)  # without time and owner, so that the same files give the same shards
    head.size = size
    tar.addfile(head, content)
