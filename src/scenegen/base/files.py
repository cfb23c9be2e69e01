"""Files that are whole or not there: written beside their place, and moved into it when complete."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scenegen.base.refusal import Refusal


def near(path: Path) -> Path:
    """A path as it is seen from the working directory, where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


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
        part.write_text(text, encoding="utf-8")
    return path


def write_lines(path: Path, pieces: Iterable[str]) -> Path:
    """Write a text file piece by piece, whole or not at all."""
    with whole(path) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(pieces)
    return path


def write_new(path: Path, text: str) -> Path:
    """Write a text file that is not there yet, whole or not at all; of two processes at once one succeeds.

    Raises:
        FileExistsError: it is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    finally:
        part.unlink(missing_ok=True)
    return path


def own_file(path: Path, folder: Path) -> Path:
    """A file of a folder that others may have made, and no link that leads out of it.

    Raises:
        Refusal: a link to another place.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Refusal(f"{path} is a link out of {folder}, which is not followed; put the file itself in its place")
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write JSON, whole or not at all; what JSON does not know is written as its text."""
    return write_text(path, json.dumps(content, indent=2, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Content of a JSON file; None where there is none or a kill cut it short."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
