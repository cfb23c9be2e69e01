"""A folder of generated pictures, of any project: matched to label maps by name, checked whole, read as uint8."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal

SUFFIXES = (".png", ".jpg", ".jpeg")
SHOWN = 20
JPEG_WARNING = (
    "{count} of {total} pictures are JPEG: a JPEG step cost 0.075 of the total in the contest log, as much as its "
    "best loss gave; write PNG end to end"
)


@dataclass(frozen=True)
class Generated:
    """The pictures to score.

    Attributes:
        folder: their folder.
        files: label name -> file.
        size: (height, width) of the label maps.
        resize: "none", or "bicubic" for pictures of another size.
    """

    folder: Path
    files: dict[str, Path]
    size: tuple[int, int]
    resize: str = "none"

    def read(self, name: str) -> np.ndarray:
        """One picture as (h, w, 3) uint8; the only place where scores read or resize generated pictures."""
        with open_picture(self.files[name]) as picture:
            rgb = picture.convert("RGB")
        height, width = self.size
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(rgb).copy()

    @property
    def formats(self) -> str:
        """One of "png", "jpeg", "jpeg+png"."""
        kinds = {"png" if file.suffix.lower() == ".png" else "jpeg" for file in self.files.values()}
        return "+".join(sorted(kinds))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Cautions about the files."""
        jpeg = sum(file.suffix.lower() != ".png" for file in self.files.values())
        return (JPEG_WARNING.format(count=jpeg, total=len(self.files)),) if jpeg else ()


def take(
    folder: Path,
    names: Sequence[str],
    *,
    size: tuple[int, int],
    resize: str = "none",
    extra: str = "refuse",
    track: Callable[[Iterable, str], Iterable] = lambda items, _: items,
) -> Generated:
    """Match the pictures of a folder to label names and check every one.

    Args:
        folder: holds NAME.png or NAME.jpg for every label map.
        names: stems of the label files.
        size: (height, width) of the label maps.
        resize: "none" refuses pictures of another size, "bicubic" takes them.
        extra: "refuse" or "ignore" pictures that belong to no label map.
        track: (items, description) -> items, for a progress bar.

    Raises:
        Refusal: no such folder, or every missing, extra, doubled, unreadable and wrongly sized picture at once.
    """
    for key, value, options in (("resize", resize, ("none", "bicubic")), ("extra", extra, ("refuse", "ignore"))):
        if value not in options:
            raise Refusal(f"{key}={value} is not one of {', '.join(options)}")
    if not folder.is_dir():
        raise Refusal(f"generated={folder} is no folder; give the folder of the generated pictures")
    files, doubled, unknown = _found(folder, set(names))
    if not files:
        raise Refusal(
            f"generated={folder} holds no picture of the {len(names)} label maps ({names[0]}.png, ...) but "
            f"{len(unknown)} others{_few(unknown)}; name each picture after its label file"
        )
    faults = [
        ("missing", [f"{name}.png" for name in names if name not in files]),
        ("given twice", doubled),
        ("of no label map (extra=ignore takes the rest)", unknown if extra == "refuse" else []),
    ]
    unreadable, sized = [], []
    for path in track(list(files.values()), "reading pictures"):
        problem, wrong_size = _problem(path, size=size, resize=resize)
        if problem:
            (sized if wrong_size else unreadable).append(f"{path.name}: {problem}")
    wanted = f"not {size[1]}x{size[0]} like the label maps (choose size=, or resize=bicubic)"
    faults += [("unreadable", unreadable), (wanted, sized)]
    if any(listed for _, listed in faults):
        report = "\n  ".join(f"{len(listed)} {what}{_few(listed)}" for what, listed in faults if listed)
        raise Refusal(f"generated={folder} does not fit the {len(names)} label maps:\n  {report}")
    return Generated(folder, {name: files[name] for name in names}, size, resize)


def read_styles(path: Path) -> dict[str, str]:
    """The style picture of every label map: stem -> stem, from a JSON file like the contest's label_to_img.json.

    Raises:
        Refusal: no such file, or not one object of names.
    """
    shape = '{"label.png": "photograph.jpg", ...}'
    try:
        named = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Refusal(f"styles={path} cannot be read ({error}); give a JSON file {shape}") from error
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise Refusal(f"styles={path} is not one object of file names; write {shape}")
    return {Path(label).stem: Path(photo).stem for label, photo in named.items()}


def _found(folder: Path, names: set[str]) -> tuple[dict[str, Path], list[str], list[str]]:
    files: dict[str, Path] = {}
    doubled, unknown = [], []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem not in names:
            unknown.append(path.name)
        elif path.stem in files:
            doubled.append(f"{files[path.stem].name} and {path.name}")
        else:
            files[path.stem] = path
    return files, doubled, unknown


def _problem(path: Path, *, size: tuple[int, int], resize: str) -> tuple[str, bool]:
    """Fault of a picture ("" for none), and True where the fault is its size."""
    try:
        with open_picture(path) as picture:
            if picture.mode not in ("RGB", "L", "P", "RGBA"):
                return f"mode {picture.mode} is no 8-bit picture", False
            if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):
                return "it has transparent pixels", False
            width, height = picture.size
    except Refusal as refusal:
        return str(refusal).removeprefix(f"{path}: "), False
    if (height, width) != size and resize == "none":
        return f"{width}x{height}", True
    return "", False


def _few(listed: Iterable[str]) -> str:
    names = list(listed)
    if not names:
        return ""
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ": " + ", ".join(names[:SHOWN]) + more
