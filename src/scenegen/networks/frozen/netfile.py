"""The file of a SceneNet: half-precision safetensors whose header says what it is and how it came about."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from scenegen.base.files import whole
from scenegen.base.records import Refusal

FORMAT = "scenegen.scenenet/1"
ROLES = ("trunk", "scorer")
LARGEST_BYTES = 64 << 20
"""Size limit of a file; no SceneNet comes near it, and a larger file is not read into memory."""


@dataclass(frozen=True)
class NetFile:
    """Contents of a file that was read and checked.

    Attributes:
        path: where it lies.
        header: all its facts as text.
        tensors: float32 weights by parameter name.
        digest: sha256 of the file.
        role: "trunk" or "scorer".
        classes: class names in id order.
        widths: channels of the five stages.
    """

    path: Path
    header: dict[str, str] = field(repr=False)
    tensors: dict[str, Tensor] = field(repr=False)
    digest: str
    role: str
    classes: tuple[str, ...]
    widths: tuple[int, ...]


def write(
    tensors: Mapping[str, Tensor],
    path: str | Path,
    *,
    role: str,
    classes: Sequence[str],
    widths: Sequence[int],
    facts: Mapping[str, str],
) -> Path:
    """Write a net's file; either the whole file appears under its name or nothing changes there.

    Args:
        tensors: the state dict of a folded net.
        path: the file to write; its folder is made.
        role: "trunk" or "scorer".
        classes: class names in id order.
        widths: channels of the five stages.
        facts: further header entries, e.g. command, seed, held_out_accuracy.

    Raises:
        Refusal: for an unknown role or weights that are not finite in half precision.
    """
    if role not in ROLES:
        raise Refusal(f"role={role} is not one of {', '.join(ROLES)}")
    halves = {name: t.detach().to("cpu", torch.float16).contiguous() for name, t in tensors.items()}
    if broken := [name for name, t in halves.items() if not t.isfinite().all()]:
        raise Refusal(f"{broken[0]} is not finite, so {path} was not written; train with a smaller optim.lr=")
    header = {"format": FORMAT, "role": role, "classes": json.dumps(list(classes)), "widths": json.dumps(list(widths))}
    data = safetensors.save(halves, metadata={**facts, **header})
    path = Path(path).expanduser()
    try:
        _write(path, data)
    except OSError as error:
        raise Refusal(
            f"{path} could not be written ({error.strerror}), and what was there before is untouched; "
            "free space or choose another out="
        ) from error
    return path


def read(path: str | Path) -> NetFile:
    """Read a net's file and check it.

    Raises:
        Refusal: when it is missing, too large, not a safetensors file, damaged, or not of a SceneNet.
    """
    path = Path(path).expanduser()
    data = _bytes(path)
    try:
        tensors = safetensors.load(data)
        length = int.from_bytes(data[:8], "little")
        header: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except (SafetensorError, ValueError, OverflowError, KeyError, RecursionError) as error:
        raise Refusal(
            f"{path} is damaged or not a safetensors file ({error}); make it anew with "
            "python -m scenegen.train model=scenenet, or reinstall the package if it is the shipped one"
        ) from error
    if header.get("format") != FORMAT:
        raise Refusal(
            f"{path} is a safetensors file but not a SceneNet (its format is {header.get('format')}, not {FORMAT}); "
            "make one with python -m scenegen.train model=scenenet"
        )
    role = header.get("role")
    if role not in ROLES:
        raise Refusal(f"{path} has the role {role}, not {' or '.join(ROLES)}; it is damaged, make it anew")
    if broken := [name for name, t in tensors.items() if not (t.is_floating_point() and t.isfinite().all())]:
        raise Refusal(f"{broken[0]} in {path} holds values that are not finite numbers; it is damaged, make it anew")
    return NetFile(
        path=path,
        header=header,
        tensors={name: t.float() for name, t in tensors.items()},
        digest=hashlib.sha256(data).hexdigest(),
        role=role,
        classes=_classes(header, path),
        widths=_widths(header, path),
    )


def numbers(text: str, *, count: int) -> tuple[float, ...]:
    """A header entry that holds a JSON list of `count` numbers."""
    try:
        found = tuple(float(x) for x in json.loads(text))
    except (ValueError, TypeError) as error:
        raise Refusal(f"a net's header holds {text[:60]!r} where {count} numbers should be; make it anew") from error
    if len(found) != count:
        raise Refusal(f"a net's header holds {len(found)} numbers where {count} should be; make it anew")
    return found


def _write(path: Path, data: bytes) -> None:
    with whole(path, several_writers=True) as part, part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise Refusal(f"{path} has {size >> 20} MiB, a SceneNet has less than {LARGEST_BYTES >> 20}; wrong file?")
        return path.read_bytes()
    except OSError as error:
        raise Refusal(
            f"{path} cannot be read ({error.strerror}); give one that python -m scenegen.train model=scenenet wrote"
        ) from error


def _classes(header: dict[str, str], path: Path) -> tuple[str, ...]:
    names = _list(header, "classes", path)
    if not (0 < len(names) <= 4096 and all(isinstance(n, str) for n in names)):
        raise Refusal(f"the header of {path} gives no list of class names; it is damaged, make it anew")
    return tuple(names)


def _widths(header: dict[str, str], path: Path) -> tuple[int, ...]:
    widths = _list(header, "widths", path)
    # Bounds before anything of that size is allocated.
    if not (len(widths) == 5 and all(isinstance(w, int) and 0 < w <= 1024 for w in widths)):
        raise Refusal(f"the header of {path} gives the widths {widths}, not five numbers of 1 to 1024; make it anew")
    return tuple(widths)


def _list(header: dict[str, str], key: str, path: Path) -> list:
    try:
        value = json.loads(header.get(key, "null"))
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise Refusal(f"the header of {path} has no list of {key}; it is damaged, make it anew")
    return value
