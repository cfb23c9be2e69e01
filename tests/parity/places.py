"""Places of recorded cases, and the comparison with a case of which only some numbers were kept.

All cases lie in ../shared, which is no part of the release; tests/fixtures holds a selection (see its README).
Where both have a case, ../shared's is read, which is whole.
"""

from __future__ import annotations

import json
import lzma
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load, load_file
from torch import Tensor

from ..shared_folder import HERE, REASON, SHARED

COMMITTED = Path(__file__).resolve().parents[1] / "fixtures"


def folders(family: str) -> list[Path]:
    """The folders that may hold a family's cases, the first wins."""
    return [SHARED / "fixtures" / family, COMMITTED / family]


def cases(family: str, **wanted: str) -> list[Any]:
    """Every case of one kind that lies in either folder, e.g. cases("oasis", runner="oasis_losses").

    Names, as pytest's parametrize takes them; one skip, with the reason, where there is none.
    """
    found = {path.stem: path for folder in reversed(folders(family)) for path in folder.glob("*.json")}
    read = {name: json.loads(path.read_text()) for name, path in sorted(found.items()) if path.stem != "index"}
    names = [name for name, meta in read.items() if all(meta.get(key) == value for key, value in wanted.items())]
    return names or [pytest.param("absent", marks=pytest.mark.skip(reason=REASON))]


def descriptions(family: str, beginning: str) -> list[str]:
    """Every json of a family whose name begins so, in either folder: networks' keys and shapes."""
    return sorted({path.stem for folder in folders(family) for path in folder.glob(f"{beginning}*.json")})


def path_of(family: str, name: str) -> Path:
    """The case's json; skips the test where only ../shared could have it and is not there."""
    for folder in folders(family):
        if (folder / f"{name}.json").exists():
            return folder / f"{name}.json"
    if HERE:
        raise FileNotFoundError(f"no {family}/{name}.json in {SHARED}/fixtures, nor in {COMMITTED}")
    pytest.skip(REASON)


def described(family: str, name: str) -> dict[str, Any]:
    """Content of NAME.json."""
    return json.loads(path_of(family, name).read_text())


def recorded(family: str, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Content of NAME.json, and the tensors of NAME.safetensors or NAME.safetensors.xz."""
    path = path_of(family, name)
    whole = path.with_suffix(".safetensors")
    meta = json.loads(path.read_text())
    if whole.exists():
        return meta, load_file(whole)
    tensors = dict(packed(path))
    for key, holder in meta.get("stored_in", {}).items():
        tensors[key] = packed(path.with_name(f"{holder}.json"))[key]
    return meta, {key: tensor.clone() for key, tensor in tensors.items()}  # where they lie in memory moves the last bit


@lru_cache(maxsize=16)
def packed(path: Path) -> dict[str, Tensor]:
    """The tensors in NAME.safetensors.xz beside NAME.json, unpacked once for the cases that share them."""
    return load(lzma.decompress(path.with_suffix(".safetensors.xz").read_bytes()))


def alike(got: Tensor, want: Tensor, kept: dict[str, Any] | None) -> tuple[Tensor, Tensor, float]:
    """Both as float64 in one shape, and the recorded tensor's largest magnitude.

    Args:
        got: what was computed, whole.
        want: what was recorded; every n-th number of it where `kept` says so.
        kept: the description's entry for this tensor, None where it is whole.
    """
    found, expected = got.detach().double(), want.double()
    shape = list(expected.shape) if kept is None else kept["shape"]
    assert list(found.shape) == shape, f"shape {tuple(found.shape)}, not {tuple(shape)}"
    if kept is None:
        return found, expected, expected.abs().max().item() if expected.numel() else 0.0
    return found.flatten()[:: kept["every"]], expected, kept["largest"]
