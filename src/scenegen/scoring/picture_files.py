"""Picture files of a folder to score: found by name, of formats that are read, with all else said by its own name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from scenegen.base.listing import few
from scenegen.base.pictures import open_picture
from scenegen.data.labels import LOSSY_TIFF
from scenegen.data.photographs import Nature, turn_sentence

KINDS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Endings of the files that are read, and their formats."""

DEEPEST = 4
"""Levels of folders below one of generated pictures that are looked into."""

SHOWN = 20
"""Names that a sentence spells out; it counts the rest."""

_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"}


@dataclass(frozen=True)
class Found:
    """Files of a folder, for the stems that are wanted.

    Attributes:
        files: stem -> file.
        doubled: pairs of files of one stem.
        unknown: pictures of other stems.
        unread: files of wanted stems that are no regular files or have endings that are not read.
        others: files of other stems with endings that are not read.
        below: folder below it, DEEPEST levels at most -> number of pictures of wanted stems in it.
    """

    files: dict[str, Path]
    doubled: list[str]
    unknown: list[str]
    unread: list[str]
    others: list[str]
    below: dict[str, int]


def find(folder: Path, names: set[str]) -> Found:
    """The picture files of a folder, sorted by name; hidden files are left out."""
    found = Found({}, [], [], [], [], {})
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found.below.update(_wanted_below(path, names, inside=path.name))
        elif path.suffix.lower() not in KINDS or not path.is_file():
            (found.unread if path.stem in names else found.others).append(path.name)
        elif path.stem not in names:
            found.unknown.append(path.name)
        elif path.stem in found.files:
            found.doubled.append(f"{found.files[path.stem].name} and {path.name}")
        else:
            found.files[path.stem] = path
    return found


def nothing_sentence(folder: Path, found: Found, names: Sequence[str]) -> str:
    """Sentence about a folder without one picture of the names: what lies there, and the cure."""
    head = f"generated={folder} holds no picture of the {len(names)} label maps ({names[0]}.png, ...)"
    if found.below:
        name, count = max(found.below.items(), key=lambda item: item[1])
        return f"{head} itself, but its folder {name}/ has {count} of them; give generated={folder / name}"
    if found.unread:
        return f"{head} in a format that is read, but {few(found.unread, SHOWN)}; {FORMATS}"
    cure = "name each picture after its label file"
    if found.unknown:
        return f"{head} but {len(found.unknown)} others: {few(found.unknown, SHOWN)}; {cure}"
    return f"{head}: {f'it holds {few(found.others, SHOWN)}' if found.others else 'it is empty'}; {cure}"


FORMATS = f"write 8-bit PNG (the endings {', '.join(KINDS)} are read)"
"""Cure of files in other formats."""


def fault_of(picture: Image.Image, path: Path, nature: Nature) -> str:
    """Reason that a picture cannot be scored as it is; "" for none."""
    meant = KINDS[path.suffix.lower()]
    kind = "JPEG" if picture.format == "MPO" else picture.format
    if kind != meant:
        return f"it is named {path.suffix} but holds {kind}; name it after what it is"
    if picture.mode not in _MODES or nature.deep:
        return f"more than 8 bits per channel ({picture.mode}); write 8-bit PNG"
    if nature.transparent:
        return "it has transparent pixels"
    return turn_sentence(nature, None, options=False) if nature.turn != 1 else ""


def format_of(path: Path) -> str:
    """The format for the protocol: "png", "jpeg", "bmp", "tiff", "webp", "webp-lossy", "tiff-lossy"."""
    kind = KINDS[path.suffix.lower()].lower()
    return f"{kind}-lossy" if kind in ("webp", "tiff") and _is_lossy(path) else kind


def _wanted_below(folder: Path, names: set[str], *, inside: str) -> dict[str, int]:
    """Folders of pictures of the names, from a folder on, and their number."""
    count, below = 0, {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                file = Path(entry.name)
                count += file.stem in names and file.suffix.lower() in KINDS
            elif inside.count("/") + 1 < DEEPEST:
                below.update(_wanted_below(Path(entry.path), names, inside=f"{inside}/{entry.name}"))
    return {**({inside: count} if count else {}), **below}


def _is_lossy(path: Path) -> bool:
    with open_picture(path, pixels=False) as picture:
        if picture.format == "TIFF":
            return picture.info.get("compression") in LOSSY_TIFF
    with open(path, "rb") as file:  # RIFF: a chunk VP8L holds lossless pixels, "VP8 " lossy ones
        head = file.read(12)
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8 "
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
    return True
