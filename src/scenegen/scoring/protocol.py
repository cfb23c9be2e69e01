"""The protocol of a number: everything that must be equal before two numbers stand in one table."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("scenegen", "torch", "torchvision", "torchmetrics", "pytorch-fid", "numpy", "pillow")


class SetHash:
    """Hash of a set of pictures or label maps: names and contents, whatever their order."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}

    def add(self, name: str, *arrays: np.ndarray) -> None:
        """Take in one named picture (and its label map)."""
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        self._digests[name] = digest.hexdigest()

    def hexdigest(self) -> str:
        """16 hex digits."""
        return hashlib.sha256(json.dumps(sorted(self._digests.items())).encode()).hexdigest()[:16]


def protocol(*, measure: dict[str, Any], seed: int, config_hash: str | None = None) -> dict[str, Any]:
    """The record that travels with a score.

    Args:
        measure: what the number depends on: judges, resize, quantisation, file format, sets.
        seed: of the intervals and of the floor's split.
        config_hash: name of the config's content.

    Returns:
        `id` (12 hex digits of `measure` alone: two scores compare when it is equal), `measure`, and the
        `circumstances` under which it was computed.
    """
    versions = {name: _version(name) for name in LIBRARIES} | {"python": platform.python_version()}
    return {
        "id": protocol_id(measure),
        "measure": measure,
        "circumstances": {"seed": seed, "config": config_hash, "commit": commit(), "versions": versions},
    }


def protocol_id(measure: dict[str, Any]) -> str:
    """12 hex digits of a protocol's content, the same on every machine."""
    return hashlib.sha256(json.dumps(measure, sort_keys=True).encode()).hexdigest()[:12]


def commit() -> str | None:
    """The commit of the checkout that runs, with `+` when files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parents[3]
    if not (folder / ".git").exists():
        return None
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
