"""Every reader of files, given changed ones: it reads them or refuses them in a sentence, and nothing else."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from scenegen.base.pictures import open_picture
from scenegen.config.compose import compose
from scenegen.config.opened import _read_vocabulary
from scenegen.config.plan import plan
from scenegen.config.stored import read_config
from scenegen.data.classes import ClassList
from scenegen.data.datasets import read_style
from scenegen.data.exemplars.index import read_lists
from scenegen.data.labels import read_label
from scenegen.data.layouts import read_classes
from scenegen.data.pairs import read_photo
from scenegen.networks.frozen import netfile
from scenegen.networks.interop import read_official
from scenegen.reporting.leaderboard import summarise
from scenegen.reporting.results import read
from scenegen.runs.checkpoints import load, model_state
from scenegen.runs.rows import read_rows
from scenegen.scoring.contest import Jittor2022, recompute
from scenegen.scoring.generated import read_styles, take
from scenegen.scoring.per_picture import PerPicture
from tests.fuzz.changes import changed_bytes, changed_json, fuzz
from tests.reporting.fakes import write_run

SECONDS = float(os.environ.get("SCENEGEN_FUZZ_SECONDS", "200"))
"""Of the long run, over all readers together."""

SMOKE = 20
SMOKE_CONFIGS = 8
"""Every one is checked whole, which takes a fifth of a second."""

THREE = ClassList(names=("sky", "land", "water"))
IDS = (np.arange(64)[:, None] // 22 + np.zeros((1, 64))).astype(np.uint8)


def saved(array: np.ndarray, kind: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format=kind, **how)
    return buffer.getvalue()


def packed(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@dataclass(frozen=True)
class Reader:
    """A reader of one file.

    Attributes:
        name: of the file.
        content: a sound one: bytes, or what JSON holds.
        read: takes the file.
    """

    name: str
    content: Any
    read: Callable[[Path], object]


NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
LISTS = {split: {f"p{i}": [[f"p{1 - i}", 0.5]] for i in range(2)} for split in ("train", "test")}
INDEX = {"format": "scenegen exemplars 1", "num_classes": 3, "classes": list(THREE.names), **LISTS}
STATE = {"state_dict": {"clock": torch.tensor(2), "model.a": torch.rand(3, 2)}, "global_step": 2, "loops": {"a": [1]}}


def net_bytes(folder: Path) -> bytes:
    tensors = {"a.weight": torch.rand(4, 3, 3, 3), "a.bias": torch.zeros(4)}
    path = netfile.write(
        tensors, folder / "n.safetensors", role="trunk", classes=THREE.names, widths=(4,) * 5, facts={}
    )
    return path.read_bytes()


def result(path: Path) -> object:
    """A finished run read as compare and report do."""
    found = read(path.parent, read_config=read_config)
    return found.total, found.parts, summarise([found])


def generated(path: Path) -> object:
    return take(path.parent, [path.stem], size=(64, 64)).read(path.stem)


def picture(path: Path) -> None:
    with open_picture(path):
        pass


READERS = {
    "label": Reader("p.png", saved(IDS, "PNG"), lambda p: read_label(p, classes=THREE, remap={})),
    "label of 16 bits": Reader("p.png", saved(IDS.astype(np.uint16), "PNG"), lambda p: read_label(p, classes=THREE)),
    "label as TIFF": Reader("p.tif", saved(IDS, "TIFF"), lambda p: read_label(p, classes=THREE)),
    "label as npy": Reader("p.npy", npy(IDS), lambda p: read_label(p, classes=THREE)),
    "photograph": Reader("p.jpg", saved(NOISE, "JPEG"), read_photo),
    "photograph as PNG": Reader("p.png", saved(NOISE[:16, :16], "PNG"), read_photo),
    "photograph as WEBP": Reader("p.webp", saved(NOISE, "WEBP"), read_photo),
    "photograph as GIF": Reader("p.gif", saved(NOISE, "GIF"), read_photo),
    "picture": Reader("p.bmp", saved(NOISE[:8, :8], "BMP"), picture),
    "style": Reader("p.png", saved(NOISE[:32, :32], "PNG"), read_style),
    "generated": Reader("p.png", saved(NOISE, "PNG"), generated),
    "classes": Reader("classes.json", {"classes": ["sky", "land", "water"], "unlabelled": 255,
                                       "colours": [[1, 2, 3]] * 3}, read_classes),
    "index": Reader("index.json", INDEX, lambda p: read_lists(p, split="train", classes=THREE)),
    "list": Reader("list.txt", b"p0.jpg,p1.jpg\np1.jpg,p0.jpg\n", lambda p: read_lists(
        p, split="train", classes=THREE)),
    "rows": Reader("t.csv", b"row,mask_acc,aesthetic,fid,total\na,0.5,5,50,0.25\nb,0.6,5,40,0.33\n",
                   lambda p: recompute(p, Jittor2022())),
    "styles": Reader("s.json", {"a.png": "b.jpg", "c.png": "d.jpg"}, read_styles),
    "metrics": Reader("metrics.csv", b"step,G,D,img/s\n1,2.5,0.5,3\n2,2.25,,4\n", read_rows),
    "checkpoint": Reader("step_0000002.ckpt", packed(STATE), lambda p: model_state(load(p), path=p)),
    "published weights": Reader("latest_net_G.pth", packed({"a": torch.rand(2)}), read_official),
    "net": Reader("n.safetensors", None, netfile.read),
}  # fmt: skip

OF_RUN = {
    "config": ("config.yaml", lambda p: plan_of(p.parent)),
    "vocabulary": ("classes.json", lambda p: _read_vocabulary(p.parent)),
    "result": ("result.json", result),
    "record": ("run.json", result),
    "result's config": ("config.yaml", result),
    "scores": ("scores.npz", PerPicture.load),
}


def plan_of(folder: Path) -> object:
    return plan(OmegaConf.create(read_config(folder)))


def prepared(name: str, folder: Path) -> tuple[Path, Any, Callable[[Path], object]]:
    """The file, its sound content and its reader."""
    if name in READERS:
        reader = READERS[name]
        return folder / reader.name, net_bytes(folder) if name == "net" else reader.content, reader.read
    file, read_it = OF_RUN[name]
    run = write_run(folder / "run", seed=0, loss="cx", pictures=4)
    if name == "config":
        (run / file).write_text(OmegaConf.to_yaml(compose("train", ["size=tiny", "name=a"]), resolve=False))
    if name == "vocabulary":
        content = {"names": list(THREE.names), "colours": [[1, 2, 3]] * 3, "ignore": None, "has_instances": False}
        return run / file, content, read_it
    content = (run / file).read_bytes()
    return run / file, json.loads(content) if file.endswith(".json") else content, read_it


def give(name: str, folder: Path, *, count: int, start: int) -> None:
    path, content, read_it = prepared(name, folder)

    def answer(changed: bytes) -> None:
        path.write_bytes(changed)
        read_it(path)

    plain = content if isinstance(content, bytes) else json.dumps(content).encode()
    inputs: st.SearchStrategy = changed_bytes(plain)
    answer(plain)  # the sound file is read
    if not isinstance(content, bytes):
        inputs = inputs | changed_json(content)
    fuzz(answer, inputs, count=count, start=start)


NAMES = [*READERS, *OF_RUN]


@pytest.mark.parametrize("name", NAMES)
def test_smoke(name: str, tmp_path: Path) -> None:
    give(name, tmp_path, count=SMOKE_CONFIGS if name == "config" else SMOKE, start=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_long(name: str, tmp_path: Path) -> None:
    until, start = time.monotonic() + SECONDS / len(NAMES), 1
    while time.monotonic() < until:
        turn = tmp_path / str(start)
        turn.mkdir()
        give(name, turn, count=200, start=start)
        start += 1
