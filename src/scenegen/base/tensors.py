"""Tensors of files that others may have made, looked at before they are used."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal

MOST_ENTRIES = 1_000_000
"""Files within a checkpoint, one per tensor."""

LARGEST_PICKLE = 256 << 20
"""Bytes of a checkpoint's table of contents."""


def require_stored(path: Path, *, cure: str, legacy: bool = False) -> None:
    """Look at a file of torch.save before it is read.

    Args:
        path: the file.
        cure: end of the sentence.
        legacy: the form of torch before 1.6, which is no zip, is taken too.

    Raises:
        Refusal: none there, no regular file, no checkpoint, or one that would unpack to more than it holds.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refusal(f"{path} is no regular file; {cure}")
        if not zipfile.is_zipfile(path):
            if legacy:
                return
            raise Refusal(f"{path} is not a checkpoint that can be read safely (no file of torch.save); {cure}")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except FileNotFoundError as error:
        raise Refusal(f"there is no checkpoint {path}; give an existing file") from error
    except (
        OSError,
        ValueError,
        zipfile.BadZipFile,
        NotImplementedError,
        RecursionError,
    ) as error:  # zipfile on a damaged head
        raise Refusal(f"{path} is not a checkpoint that can be read safely ({error}); {cure}") from error
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    claimed = sum(entry.file_size for entry in entries)
    tables = [entry.file_size for entry in entries if entry.filename.endswith("data.pkl")]
    if (
        packed
        or claimed > path.stat().st_size
        or len(entries) > MOST_ENTRIES
        or max(tables, default=0) > LARGEST_PICKLE
    ):
        raise Refusal(
            f"{path} claims {claimed} bytes in {len(entries)} parts and has {path.stat().st_size}, so it is no file of "
            f"torch.save; {cure}"
        )


def fault_of(value: Any) -> str:
    """Fault of a value that should be a plain tensor of finite numbers; "" for none."""
    if not isinstance(value, Tensor):
        return f"is {type(value).__name__} and no tensor"
    if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
        return f"is a tensor of another kind ({value.dtype}, {value.layout}, {value.device})"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"claims the shape {tuple(value.shape)[:8]} and holds {value.untyped_storage().nbytes()} bytes"
    if value.is_floating_point() and not bool(value.isfinite().all()):
        return "holds values that are no finite numbers"
    return ""


def require_tensors(state: Any, *, what: str, cure: str) -> dict[str, Tensor]:
    """A state dict: names and plain tensors of finite numbers.

    Args:
        state: content of a file.
        what: the file, for the sentence.
        cure: end of the sentence.

    Raises:
        Refusal: another content, with the name of the first wrong part.
    """
    if not isinstance(state, Mapping) or not state:
        raise Refusal(f"{what} holds {_kind(state)} where names and tensors should be; {cure}")
    for name, value in state.items():
        if not isinstance(name, str):
            raise Refusal(f"{what} names a tensor {name!r:.60}, which is no text; {cure}")
        if fault := fault_of(value):
            raise Refusal(f"{what}: {name[:200]} {fault}; {cure}")
    return dict(state)


def _kind(value: Any) -> str:
    if value is None or (isinstance(value, Mapping) and not value):
        return "nothing"
    return f"a {type(value).__name__}"
