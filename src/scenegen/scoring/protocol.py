"""The protocol of a number: everything that must be equal before two numbers stand in one table."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from scenegen.base.provenance import commit, versions
from scenegen.base.refusal import Refusal

LIBRARIES = ("scenegen", "torch", "torchvision", "torchmetrics", "pytorch-fid", "numpy", "pillow")


class SetHash:
    """Hash of a set of pictures or label maps: names and contents, whatever their order.

    Attributes:
        digests: name -> sha256 of its content.
    """

    def __init__(self, digests: Mapping[str, str] | None = None) -> None:
        self.digests = dict(digests or {})

    def add(self, name: str, *arrays: np.ndarray) -> None:
        """Take in one named picture (and its label map)."""
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        self.digests[name] = digest.hexdigest()

    def hexdigest(self) -> str:
        """16 hex digits."""
        return hashlib.sha256(json.dumps(sorted(self.digests.items())).encode()).hexdigest()[:16]


def protocol(*, measure: dict[str, Any], seed: int, config_hash: str | None = None) -> dict[str, Any]:
    """The record that travels with a score.

    Args:
        measure: everything that the number depends on: judges, resize, quantisation, file format, sets.
        seed: of the intervals and of the floor's split.
        config_hash: name of the config's content.

    Returns:
        `id` (12 hex digits of `measure` alone: two scores compare when it is equal), `measure`, and the
        `circumstances` under which it was computed.
    """
    installed = versions(LIBRARIES) | {"python": platform.python_version()}
    return {
        "id": protocol_id(measure),
        "measure": measure,
        "circumstances": {"seed": seed, "config": config_hash, "commit": commit(), "versions": installed},
    }


def protocol_id(measure: dict[str, Any]) -> str:
    """12 hex digits of a protocol's content, the same on every machine."""
    return hashlib.sha256(json.dumps(measure, sort_keys=True).encode()).hexdigest()[:12]


def differences(one: dict[str, Any], other: dict[str, Any], path: str = "") -> list[str]:
    """Differences between two protocols' `measure`, as "fid.resize: none | bicubic"."""
    found = []
    for key in sorted(one.keys() | other.keys()):
        a, b, place = one.get(key), other.get(key), f"{path}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{place}.")
        elif a != b:
            found.append(f"{place}: {a} | {b}")
    return found


def require_one(protocols: Mapping[str, dict[str, Any]]) -> None:
    """Refuse to put numbers of unlike protocols beside each other.

    Args:
        protocols: name of a score -> its record, as `protocol` gives it.

    Raises:
        Refusal: two differ; with both names and the differences.
    """
    (first, reference), *others = protocols.items()
    for name, record in others:
        if record["id"] != reference["id"]:
            what = "; ".join(differences(reference["measure"], record["measure"])) or "the ids alone"
            raise Refusal(
                f"{first} (protocol {reference['id']}) and {name} (protocol {record['id']}) do not compare, they "
                f"differ in {what}; score both the same way"
            )
