"""The file of a SceneNet: its role, classes and widths stand in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from scenegen.base import halves
from scenegen.base.records import Refusal

KIND = halves.Kind("scenegen.scenenet/1", "a SceneNet", "scenegen.train model=scenenet")
ROLES = ("trunk", "scorer")


@dataclass(frozen=True)
class NetFile(halves.Halves):
    """Contents of a file that was read and checked.

    Attributes:
        role: "trunk" or "scorer".
        classes: class names in id order.
        widths: channels of the five stages.
    """

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
    header = {"role": role, "classes": json.dumps(list(classes)), "widths": json.dumps(list(widths))}
    return halves.write(tensors, path, kind=KIND, header={**facts, **header})


def read(path: str | Path) -> NetFile:
    """Read a net's file and check it.

    Raises:
        Refusal: when it is missing, too large, not a safetensors file, damaged, or not of a SceneNet.
    """
    file = halves.read(path, kind=KIND)
    role = file.header.get("role")
    if role not in ROLES:
        raise Refusal(f"{file.path} has the role {role}, not {' or '.join(ROLES)}; it is damaged, make it anew")
    return NetFile(**vars(file), role=role, classes=file.names("classes"), widths=_widths(file))


def _widths(file: halves.Halves) -> tuple[int, ...]:
    widths = file.list("widths")
    # Bounds before anything of that size is allocated.
    if not (len(widths) == 5 and all(isinstance(w, int) and 0 < w <= 1024 for w in widths)):
        raise Refusal(
            f"the header of {file.path} gives the widths {widths}, not five numbers of 1 to 1024; make it anew"
        )
    return tuple(widths)
