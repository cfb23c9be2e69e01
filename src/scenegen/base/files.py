"""Files that are whole or not there: written beside their place, and moved into it when complete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path, *, several_writers: bool = False) -> Iterator[Path]:
    """File beside `path` to write into; it becomes `path` where the block ends well, and is deleted where it fails.

    A full disk or a kill leaves what was at `path` untouched, and no half file under its name.

    Args:
        path: the file; its folder is made.
        several_writers: other processes may write the same file at this moment, so each writes beside it under a
            name of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{os.getpid()}" if several_writers else ""
    part = path.with_name(f".{path.name}{own}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Folder beside `path` to fill; it becomes `path` where the block ends well, and is deleted where it fails.

    Args:
        path: the new folder; one that is there must be empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.mkdir()
    try:
        yield part
        os.replace(part, path)  # takes the place of an empty folder, and of nothing else
    finally:
        shutil.rmtree(part, ignore_errors=True)


def copy_file(source: Path, target: Path) -> Path:
    """Copy a file's content, whole or not at all."""
    with whole(target) as part:
        shutil.copyfile(source, part)
    return target


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all."""
    with whole(path) as part:
        part.write_text(text)
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write JSON, whole or not at all; what JSON does not know is written as its text."""
    return write_text(path, json.dumps(content, indent=2, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Content of a JSON file; None where there is none or a kill cut it short."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
