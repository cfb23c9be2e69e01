"""Posts of a checked config: a run that one names is opened, style pictures are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from scenegen.base.pictures import FORMATS, SUFFIXES
from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.opened import open_run
from scenegen.data.datasets import read_style


def posts(config: Mapping[str, Any]) -> list[Any]:
    """The posts in their order.

    Raises:
        Refusal: a run that is not there, or whose model reads more than a picture; a style picture that is not there.
    """
    return [_post(name, node) for name, node in (config.get("post") or {}).items()]


def _post(name: str, node: Mapping[str, Any]) -> Any:
    if "style" in node:
        offered: dict[str, Any] = {"pictures": read_styles(node["style"], option=f"post.{name}.style")}
        if node.get("first") is not None:
            offered["first_picture"] = read_style(node["first"])
        try:
            return build.make(node, offered=offered)
        except Refusal as refusal:
            other = "extractor=scenenet uses this project's own network"
            own = "post=gatys and gatys_scenenet need no download"
            raise Refusal(str(refusal).replace(other, own)) from refusal
    if "run" not in node:
        return build.make(node)
    try:
        run = open_run(node["run"])
        return build.make(node, offered={"model": run.model, "step": run.step})
    except Refusal as refusal:
        raise Refusal(f"post.{name}.run={node['run']}: {refusal}") from refusal


def read_styles(style: str | list[str], *, option: str) -> dict[str, Tensor]:
    """Style pictures by the names of their files, each (1, 3, h, w) in [-1, 1].

    Args:
        style: a file, a folder of them, or a list of files.
        option: place in the config, for the sentence.

    Raises:
        Refusal: none there, one that cannot be read, or two of one name.
    """
    named = [Path(path).expanduser() for path in ([style] if isinstance(style, str) else style)]
    paths = [path for place in named for path in ([place] if not place.is_dir() else _in_folder(place, option=option))]
    if not paths:
        raise Refusal(f"{option}={style} names no picture; give a file, a list of files or a folder of them")
    names = [path.name for path in paths]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Refusal(f"{option} names {twice} twice; give each style picture once, under a name of its own")
    try:
        return {path.name: read_style(path) for path in paths}
    except Refusal as refusal:
        raise Refusal(f"{option}: {refusal}") from refusal


def _in_folder(folder: Path, *, option: str) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        kinds = ", ".join(FORMATS)
        raise Refusal(f"{option}={folder} holds no pictures ({kinds}); give the folder that does, or a file")
    return found
