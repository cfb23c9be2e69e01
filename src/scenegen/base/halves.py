"""Files of nets that were trained here: half-precision safetensors whose headers say what each is and whence."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from scenegen.base.files import whole
from scenegen.base.refusal import Refusal

LARGEST_BYTES = 64 << 20
"""Size limit of a small net's file; none that this project ships comes near it."""


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        format: entry of the header that tells the kind.
        what: the net in words, e.g. "a SceneNet".
        maker: the command that makes such a file, without `python -m`.
        largest: size limit in bytes; a larger file is not read into memory.
    """

    format: str
    what: str
    maker: str
    largest: int = LARGEST_BYTES


@dataclass(frozen=True)
class Halves:
    """Contents of a file that was read and checked.

    Attributes:
        path: where it lies.
        header: all its facts as text.
        tensors: float32 weights by parameter name.
        digest: sha256 of the file.
    """

    path: Path
    header: dict[str, str] = field(repr=False)
    tensors: dict[str, Tensor] = field(repr=False)
    digest: str

    def names(self, key: str) -> tuple[str, ...]:
        """A header entry that holds a JSON list of names, of which there are 1 to 4096."""
        names = self.list(key)
        if not (0 < len(names) <= 4096 and all(isinstance(n, str) for n in names)):
            raise Refusal(f"the header of {self.path} gives no list of class names; it is damaged, make it anew")
        return tuple(names)

    def list(self, key: str) -> list:
        """A header entry that holds a JSON list."""
        try:
            value = json.loads(self.header.get(key, "null"))
        except ValueError:
            value = None
        if not isinstance(value, list):
            raise Refusal(f"the header of {self.path} has no list of {key}; it is damaged, make it anew")
        return value


def write(
    tensors: Mapping[str, Tensor],
    path: str | Path,
    *,
    kind: Kind,
    header: Mapping[str, str],
    precision: torch.dtype = torch.float16,
) -> Path:
    """Write a net's file; either the whole file appears under its name or nothing changes there.

    Args:
        tensors: the state dict of a net.
        path: the file to write; its folder is made.
        kind: of the file.
        header: further entries as text.
        precision: of the numbers in the file.

    Raises:
        Refusal: weights that are not finite in this precision, or a disk that takes no more.
    """
    halves = {name: t.detach().to("cpu", precision).contiguous() for name, t in tensors.items()}
    if broken := [name for name, t in halves.items() if not t.isfinite().all()]:
        raise Refusal(f"{broken[0]} is not finite, so {path} was not written; train with a smaller optim.lr=")
    data = safetensors.save(halves, metadata={**header, "format": kind.format})
    path = Path(path).expanduser()
    try:
        with whole(path, several_writers=True) as part, part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise Refusal(
            f"{path} could not be written ({error.strerror}), and what was there before is untouched; "
            "free space or choose another out="
        ) from error
    return path


def read(path: str | Path, *, kind: Kind) -> Halves:
    """Read a net's file and check it.

    Raises:
        Refusal: when it is missing, too large, not a safetensors file, damaged, or of another kind.
    """
    path = Path(path).expanduser()
    data = _bytes(path, kind)
    try:
        tensors = safetensors.load(data)
        length = int.from_bytes(data[:8], "little")
        header: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except (SafetensorError, ValueError, OverflowError, KeyError, RecursionError) as error:
        raise Refusal(
            f"{path} is damaged or not a safetensors file ({error}); make it anew with "
            f"python -m {kind.maker}, or reinstall the package if it is the shipped one"
        ) from error
    if header.get("format") != kind.format:
        raise Refusal(
            f"{path} is a safetensors file but not {kind.what} (its format is {header.get('format')}, not "
            f"{kind.format}); make one with python -m {kind.maker}"
        )
    if broken := [name for name, t in tensors.items() if not (t.is_floating_point() and t.isfinite().all())]:
        raise Refusal(f"{broken[0]} in {path} holds values that are not finite numbers; it is damaged, make it anew")
    return Halves(path, header, {name: t.float() for name, t in tensors.items()}, hashlib.sha256(data).hexdigest())


def numbers(text: str, *, count: int) -> tuple[float, ...]:
    """A header entry that holds a JSON list of `count` numbers."""
    try:
        found = tuple(float(x) for x in json.loads(text))
    except (ValueError, TypeError) as error:
        raise Refusal(f"a net's header holds {text[:60]!r} where {count} numbers should be; make it anew") from error
    if len(found) != count:
        raise Refusal(f"a net's header holds {len(found)} numbers where {count} should be; make it anew")
    return found


def _bytes(path: Path, kind: Kind) -> bytes:
    try:
        size = path.stat().st_size
        if size > kind.largest:
            raise Refusal(f"{path} has {size >> 20} MiB, {kind.what} has less than {kind.largest >> 20}; wrong file?")
        return path.read_bytes()
    except OSError as error:
        raise Refusal(
            f"{path} cannot be read ({error.strerror}); give one that python -m {kind.maker} wrote"
        ) from error
