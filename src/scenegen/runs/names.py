"""Names of runs: plain names of folders below runs/, which lead nowhere else."""

from __future__ import annotations

from pathlib import Path

from scenegen.base.console import printable
from scenegen.base.refusal import Refusal
from scenegen.runs.folder import HOME

LONGEST = 200
"""Bytes of one part of a name; file systems take 255, and files beside it add to them."""


def place_of(name: object) -> Path:
    """Folder of a new run, runs/<name>; a/b stands for a folder in a folder.

    Args:
        name: text, or what YAML makes of it (a number).

    Raises:
        Refusal: a name that leads out of runs/, also by a link there, or that is no plain name.
    """
    text = require_plain(str(name), option="name")
    folder = HOME / text
    for place in (folder, *folder.parents):
        if place == HOME or HOME not in place.parents:
            break
        if place.is_symlink():
            raise Refusal(
                f"name={text}: {place} is a link to another place, where no run is written; give another name"
            )
    return folder


def require_plain(text: str, *, option: str) -> str:
    """A relative path of plain names, such as spade or study/spade-1; any script, no trick.

    Args:
        text: the path.
        option: its option, for the sentence.

    Raises:
        Refusal: absolute, "..", an empty part, a part that begins with "." or "-", blanks at an end, control
            characters, more than LONGEST bytes.
    """
    shown = " ".join(printable(text[:60]).split("\n"))
    said = f"{option}={shown}{'...' if len(text) > 60 else ''}"
    cure = f"give a plain name, such as {option}=spade-1 or {option}=study/spade-1"
    if text.startswith("/"):
        raise Refusal(f"{said} is an absolute path; {cure}")
    for part in text.split("/"):
        if part in (".", ".."):
            raise Refusal(f"{said} leads elsewhere by {part!r}; {cure}")
        if not part.strip() or part != part.strip():
            raise Refusal(f"{said} has a part that is empty or begins or ends with a blank; {cure}")
        if printable(part) != part or "\n" in part or "\t" in part:
            raise Refusal(f"{said} holds a character that no terminal shows; {cure}")
        if part[0] in "-.":
            raise Refusal(f"{said} has a part that begins with {part[0]!r}, as options and hidden files do; {cure}")
        if len(part.encode("utf-8")) > LONGEST:
            raise Refusal(f"{said} has a part of {len(part.encode('utf-8'))} bytes, and at most {LONGEST} fit; {cure}")
    return text
