"""Folders and files that verbs write: never what they read, never over what somebody else put there.

A folder of made pictures carries a record (samples.json) of the command, its choices and its files. The same command
writes over its own files; anything else that lies there is refused, so that no folder ever holds a mixture.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenegen.base.documents import read_json
from scenegen.base.files import near, write_json
from scenegen.base.listing import few
from scenegen.base.refusal import Refusal

RECORD = "samples.json"
"""The record in a folder of made pictures."""

NAMED = 3
"""Files that a sentence names."""


@dataclass(frozen=True)
class Record:
    """Content of a folder's record.

    Attributes:
        made: the command and everything that decides its pictures.
        files: names in the folder.
        beside: names beside the folder (contact sheet, list of exemplars).
        notes: sentences about what was made to fit or taken in the place of something else.
    """

    made: dict[str, Any]
    files: list[str]
    beside: list[str]
    notes: list[str]


def take_folder(
    out: Path,
    *,
    made: Mapping[str, Any],
    files: Sequence[str],
    reads: Mapping[str, Path],
    beside: Sequence[Path] = (),
    notes: Sequence[str] = (),
) -> None:
    """Claim a folder for the files of a command, and write its record there; called before the first of them is made.

    Args:
        out: the folder; made if need be.
        made: the command and everything that decides its pictures; plain values.
        files: names that will be written.
        reads: option -> file or folder that the command reads.
        beside: files beside the folder that will be written.
        notes: for the record.

    Raises:
        Refusal: `out` or the place of `beside` is read, or holds what this very command has not written.
    """
    record = Record(dict(made), sorted(files), sorted(path.name for path in beside), list(notes))
    if out.exists() and not out.is_dir():
        raise Refusal(f"out={out} is a file; give a folder")
    require_place(out, option="out")
    for option, path in reads.items():
        folder = path if path.is_dir() else path.parent
        if same_place(out, folder):
            raise Refusal(f"out={out} is where {option}={path} is read, and its files would be lost; give another out=")
        if beside and path.is_dir() and same_place(out.parent, folder):
            raise Refusal(f"out={out} lies in {option}={path}, which is read, and {beside[0].name} would be written "
                          "among its files; give another out=")  # fmt: skip
    own = read_record(out)
    there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    foreign = [name for name in there if not name.startswith(".") and name not in {RECORD, *(own.files if own else ())}]
    if foreign:
        raise Refusal(f"out={out} holds {few(foreign)}, which no command of this kind has written; give another out=, "
                      "or empty it")  # fmt: skip
    if own is not None and own.made != _plain(record.made):
        raise Refusal(f"out={out} holds the files of another call ({differences(own.made, _plain(record.made))}); give "
                      "another out=, or empty it")  # fmt: skip
    if own is not None and (left := sorted(set(own.files) & set(there) - set(files))):
        raise Refusal(f"out={out} holds {few(left)} of an earlier call, which this one would not make again; give "
                      "another out=, or empty it")  # fmt: skip
    for path in beside:
        if path.exists() and (own is None or path.name not in own.beside):
            raise Refusal(f"{path} is there already and no command has written it beside {out}; give another out=, or "
                          "move it")  # fmt: skip
    write_json(
        out / RECORD, {"made": record.made, "files": record.files, "beside": record.beside, "notes": record.notes}
    )


def read_record(folder: Path) -> Record | None:
    """The record of a folder of made pictures; None where there is none.

    Raises:
        Refusal: a record that cannot be read.
    """
    if not (folder / RECORD).exists():
        return None
    return read_json(
        folder / RECORD, what="the record of made pictures", cure="give another out=, or empty the folder", shape=Record
    )


def told_of(folder: Path) -> Mapping[str, list[str]]:
    """Posts that the pictures of a folder went through, maps by which their model was chosen, and the networks that its
    training read or that chose its noise, as the folder's record says.

    A folder of another project has no record, or a file of that name that is none, and says nothing.
    """
    try:
        record = read_record(folder)
    except Refusal:
        record = None
    made = {} if record is None else record.made
    lists = {key: made.get(key) for key in ("posts", "chosen_on", "read")}
    return {key: [str(one) for one in value] for key, value in lists.items() if isinstance(value, list)}


def require_own(path: Path, *, option: str, reads: Mapping[str, Path], recognise: Callable[[bytes], bool]) -> None:
    """Refuse to write a file over one that is read, or over one that such a command has not written.

    Args:
        path: the file.
        option: option that names it.
        reads: option -> file or folder that the command reads.
        recognise: content of an existing file -> true where it is of the kind that will be written.
    """
    if path.is_dir():
        raise Refusal(f"{option}={path} is a folder; give a file")
    require_place(path, option=option)
    for name, read in reads.items():
        folder = read if read.is_dir() else None
        if (path.exists() and read.exists() and path.samefile(read)) or (folder and same_place(path.parent, folder)):
            raise Refusal(f"{option}={path} would be written into {name}={read}, which is read; give another {option}=")
    if path.exists() and not (path.is_file() and recognise(path.read_bytes())):
        raise Refusal(f"{option}={path} is there already and no command of this kind has written it; give another "
                      f"{option}=, or move it")  # fmt: skip


def require_new_folder(path: Path, *, option: str) -> None:
    """Refuse a folder that holds something, or that cannot be made.

    Args:
        path: the folder that will be written as a whole.
        option: option that names it.
    """
    require_place(path, option=option)
    if path.exists() and not path.is_dir():
        raise Refusal(f"{option}={path} is a file; give a folder")
    if path.is_dir() and (there := sorted(found.name for found in path.iterdir())):
        raise Refusal(f"{option}={path} holds {few(there)}; give another {option}=, or empty it")


def require_place(path: Path, *, option: str) -> None:
    """Look, before the work begins, whether a file or folder can be made.

    Args:
        path: what will be written.
        option: key that names it.

    Raises:
        Refusal: something above it is a file, or a folder in which this user may not write.
    """
    above = next((folder for folder in path.absolute().parents if os.path.lexists(folder)), path.absolute().parent)
    if not above.is_dir():
        raise Refusal(f"{option}={path}: {near(above)} is a file, and must be a folder; give another {option}=")
    if not os.access(above, os.W_OK | os.X_OK):
        raise Refusal(f"{option}={path}: this user may not write in the folder {near(above)}; give another {option}=")


def same_place(one: Path, other: Path) -> bool:
    """True where both are one folder or file, whatever their spelling, links or mounts."""
    if one.exists() and other.exists():
        return os.path.samefile(one, other)
    return one.resolve() == other.resolve()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The choices that differ, as "seed=0 there, 7 here"."""
    keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    return ", ".join(f"{key}={there.get(key)} there, {here.get(key)} here" for key in keys[:NAMED])


def _plain(made: Mapping[str, Any]) -> dict[str, Any]:
    """Choices as JSON gives them back."""
    return json.loads(json.dumps(made))
