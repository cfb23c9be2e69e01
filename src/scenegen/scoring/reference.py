"""The real photographs of a Frechet distance: described once, kept under the hash of their content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenegen.base.files import whole
from scenegen.base.kept import cache_folder
from scenegen.base.refusal import Refusal
from scenegen.data.pairs import Files
from scenegen.data.samples import Pairs
from scenegen.metrics.rows import Rows, blocks
from scenegen.scoring.features import IN_MEMORY, Gathered, Stored, write_rows
from scenegen.scoring.inputs import Options, Pictures, Track, batches, photo_of
from scenegen.scoring.judges.protocols import Describing
from scenegen.scoring.prefetch import prefetched, shared_out
from scenegen.scoring.protocol import SetHash

FORMAT = "scenegen.reference/1"
HEADER = 10**8
"""Bytes of a header at most, as of every safetensors file."""

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Reference:
    """The described photographs.

    Attributes:
        features: (m, d) float32; a tensor, or rows in a file where they are many.
        hash: of names and pixels.
        digests: name -> hash of the pixels.
        source: "computed", "cache miss" (computed and kept) or "cache hit".
    """

    features: Rows
    hash: str
    digests: Mapping[str, str] = field(repr=False)
    source: str = "computed"

    def __len__(self) -> int:
        return len(self.features)


def reference_of(
    photos: Pictures, *, fid: Describing, options: Options, track: Track, notice: Notice = lambda _: None
) -> Reference:
    """Describe the reference, or read the description that an earlier score kept of the same files.

    Args:
        photos: the reference.
        fid: describes pictures.
        options: `cache` is the place of kept descriptions.
        track: (items, description) -> items.
        notice: receives a sentence about a hit, a miss, or a cache that cannot be used (which never stops a score).
    """
    folder = cache_folder(options.cache)
    if folder is None:
        return describe(photos, fid=fid, options=options, track=track)
    content = fingerprint(photos, options=options, track=track)
    file = folder / "reference" / f"{key(content, fid)}.safetensors"
    what = f"{fid.title} statistics of {len(photos)} reference pictures ({content[:12]})"
    kept = _read(file, notice)
    if kept is not None:
        notice(f"cache hit: {what} from {file}")
        return kept
    found = describe(photos, fid=fid, options=options, track=track)
    if _write(file, found, notice):
        notice(f"cache miss: {what} kept in {file}")
    return Reference(found.features, found.hash, found.digests, source="cache miss")


def describe(photos: Pictures, *, fid: Describing, options: Options, track: Track) -> Reference:
    """Features, hash and digests of all photographs, read in a thread while the network looks at others."""

    def read(indices: range) -> tuple[list[Any], Tensor]:
        samples = [photos[i] for i in indices]
        return samples, torch.stack([photo_of(s) for s in samples])

    def look(batch: tuple[list[Any], Tensor]) -> tuple[list[Any], Tensor]:
        samples, image = batch
        return samples, fid(image.to(options.device))

    content, features = SetHash(), Gathered()
    work = prefetched(read, track(batches(len(photos), options.batch_size), "reference"))
    for samples, found in shared_out(look, work, device=options.device):
        features.add(found)
        for sample in samples:
            content.add(sample.name, sample.image.numpy())
    return Reference(features.rows(), content.hexdigest(), content.digests)


def fingerprint(photos: Pictures, *, options: Options, track: Track) -> str:
    """Hash of the content of a set of photographs: of the files' bytes and their framing, else of the pixels."""
    digests = {}
    if isinstance(photos, Pairs) and isinstance(photos.source, Files) and photos.source.has_images:
        for pair in track(photos.source.pairs, "hashing the reference"):
            digests[pair.name] = hashlib.sha256(pair.image.read_bytes()).hexdigest()
        digests["framing"] = repr(photos.framing)
    else:
        content = SetHash()
        for i in track(range(len(photos)), "hashing the reference"):
            sample = photos[i]
            content.add(sample.name, photo_of(sample).numpy())
        digests = content.digests
    return hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()


def key(content: str, fid: Describing) -> str:
    """File name of a description: a hash of the photographs, the network, its resize and the library versions."""
    versions = {library: metadata.version(library) for library in ("torch", "pillow")}
    facts = {"content": content, "format": FORMAT, "name": fid.name, "stamp": fid.stamp, "resize": fid.resize}
    return hashlib.sha256(json.dumps(facts | versions, sort_keys=True).encode()).hexdigest()[:32]


def _read(file: Path, notice: Notice) -> Reference | None:
    if not file.is_file():
        return None
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, HEADER)))
            told, table = header["__metadata__"], header["features"]
            digests, shape = json.loads(told["digests"]), tuple(map(int, table["shape"]))
            whole_size = 8 + length + 4 * shape[0] * shape[1]
            if told["format"] != FORMAT or table["dtype"] != "F32" or file.stat().st_size != whole_size:
                raise ValueError("its parts do not fit")
            stored = Stored(os.dup(stream.fileno()), (shape[0], shape[1]), offset=8 + length)
        if len(digests) != len(stored) or not all(block.isfinite().all() for block in blocks(stored)):
            raise ValueError("its parts do not fit")
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        notice(f"the cached reference {file} cannot be used and is made anew ({error})")
        return None
    features = stored if 4 * shape[0] * shape[1] > IN_MEMORY else stored[:]
    return Reference(features, told["hash"], digests, source="cache hit")


def _write(file: Path, found: Reference, notice: Notice) -> bool:
    try:
        with whole(file, several_writers=True) as part:
            part.write_bytes(_header(found))
            with part.open("ab", buffering=0) as stream:
                for block in blocks(found.features):
                    write_rows(stream.fileno(), block)
    except OSError as error:
        notice(f"the reference's statistics could not be kept in {file.parent} ({error.strerror}); the score goes on")
        return False
    return True


def _header(found: Reference) -> bytes:
    """The beginning of a safetensors file of the features, after which their rows come."""
    shape = [*found.features.shape]
    told = {
        "__metadata__": {"format": FORMAT, "hash": found.hash, "digests": json.dumps(dict(found.digests))},
        "features": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0] * shape[1]]},
    }
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def require_folder(setting: str) -> None:
    """Refuse a cache setting that names a file."""
    folder = cache_folder(setting)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise Refusal(f"cache={setting} is a file; give a folder, auto, or off")
