"""Things that the tables' rows build: pairs of pictures, label maps, trained and finished runs, files of any content.

Every function takes the place where the thing goes, so a row builds with a lambda of its empty folder.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.cli.command_line import run
from tests.reporting.fakes import write_run

THREE = {"classes": ["sky", "land", "water"]}
SMALL = ("size=tiny", "width=tiny", "width.ngf=2", "width.ndf=2", "width.hidden=2", "model.latent=4", "weights=random",
         "data.count=4", "data.test_count=4", "batch_size=2", "steps=2", "log_every=1", "grid_every=2",
         "checkpoint_every=2", "evaluate=false")  # fmt: skip
"""A run of two steps that takes a second and 1.5 MB."""


def write(path: Path, content: str | bytes | dict | list) -> Path:
    """A file of a text, of bytes or of JSON; it takes the place of what was there, also of a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if isinstance(content, dict | list):
        content = json.dumps(content)
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return path


def picture(path: Path, *, size: tuple[int, int] = (64, 64), mode: str = "RGB", **how: Any) -> Path:
    """A picture of noise, of a width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **how)
    return path


def label(path: Path, value: int | np.ndarray = 0, *, size: tuple[int, int] = (64, 64)) -> Path:
    """A label map of one id, or of an array of ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = value if isinstance(value, np.ndarray) else np.full((size[1], size[0]), value, np.uint8)
    Image.fromarray(ids).save(path)
    return path


def pairs(root: Path, *, count: int = 2, size: tuple[int, int] = (64, 64), classes: str | dict | list = THREE) -> Path:
    """A data set for data=folder: train and val of `count` pairs each, p0 and up, with classes.json beside them."""
    ids = np.arange(size[1])[:, None] * 3 // size[1] + np.zeros((1, size[0]), int)
    for split in ("train", "val"):
        for i in range(count):
            label(root / split / "labels" / f"p{i}.png", np.roll(ids, i, 0).astype(np.uint8))
            picture(root / split / "images" / f"p{i}.jpg", size=size)
    write(root / "classes.json", classes)
    return root


def scene(root: Path, *, count: int = 2, size: tuple[int, int] = (64, 64)) -> Path:
    """A data set for data=scene: train_img, train_label, val_img, val_label."""
    for split in ("train", "val"):
        for i in range(count):
            label(root / f"{split}_label" / f"p{i}.png", i, size=size)
            picture(root / f"{split}_img" / f"p{i}.jpg", size=size)
    return root


def trained(here: Path, name: str = "a", *, also: Sequence[str] = (), data: bool = False) -> Path:
    """runs/NAME: a run of two steps. Its files are links to a kept one, so change them with `write` only.

    Args:
        here: folder that takes `runs`.
        name: of the run.
        also: further overrides that it was trained with.
        data: trained on pairs, which lie in here/data then, not on the embedded world.
    """
    kept = _kept(tuple(also), data)
    shutil.copytree(kept / "runs" / "a", here / "runs" / name, copy_function=os.link)
    if data:
        shutil.copytree(kept / "data", here / "data")
    return here / "runs" / name


def finished(here: Path, name: str = "a", *, seed: int = 0, loss: str = "cx") -> Path:
    """runs/NAME: a run with a result that nobody trained, for report and compare."""
    return write_run(here / "runs" / name, seed=seed, loss=loss)


def checkpoint(folder: Path) -> Path:
    """The newest checkpoint of a run."""
    return sorted(folder.glob("checkpoints/*.ckpt"))[-1]


@cache
def _kept(also: tuple[str, ...], data: bool) -> Path:
    place = Path(tempfile.mkdtemp(prefix="kept-run-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    words = [word for word in SMALL if not (data and word.startswith("data."))]
    if data:
        pairs(place / "data")
        words += ["data=folder", "data.root=data"]
    done = run("train", *words, *also, "name=a", cwd=place)
    assert done.returncode == 0, done.stderr
    return place
