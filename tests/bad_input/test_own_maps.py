"""Label maps of the user's own: shapes, instances, styles, and the folder that the pictures go to."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.table import Finished, Row, check, each
from tests.worlds import label, pairs, picture, trained, write

MADE = ("runs/a/made*",)
NO_VAE = ("model.vae=false",)
HALVES = np.repeat([[1, 2, 3]], 64, 0).repeat([40, 60, 60], 1).astype(np.uint8)
"""A map of 160x64: thirds of three classes."""


def wide(here: Path, *, also: tuple[str, ...] = ()) -> None:
    """A run of 64x64, and label maps of 160x64."""
    trained(here, also=also)
    for name in ("m0", "m1"):
        label(here / "maps" / f"{name}.png", HALVES)


def same(here: Path) -> None:
    """A run, and label maps of its shape."""
    trained(here)
    label(here / "maps" / "m0.png", HALVES[:, 30:94])


def sizes(at: str, **wanted: tuple[int, int]):
    """Look for pictures of these sizes (width, height) in the one folder that a pattern finds."""

    def after(done: Finished) -> None:
        (folder,) = done.here.glob(at)
        assert {path.stem: Image.open(path).size for path in folder.glob("*.png")} == wanted

    return after


def mixed(here: Path) -> None:
    """A run without VAE, and maps of three sizes, one of which is no multiple of 32."""
    trained(here, also=NO_VAE)
    label(here / "maps" / "m0.png", HALVES)
    label(here / "maps" / "m1.png", HALVES[:, :64])
    label(here / "maps" / "m2.png", HALVES[:, :70])


def linked(here: Path) -> None:
    same(here)
    os.symlink("maps", here / "other")


def with_edges(here: Path) -> None:
    """A run whose network sees instance edges, and label maps without instance maps."""
    instances = {split: here / "data" / split / "instances" for split in ("train", "val")}
    pairs(here / "data")
    for split, folder in instances.items():
        for path in (here / "data" / split / "labels").glob("*.png"):
            label(folder / path.name, np.asarray(Image.open(path)))
    label(here / "maps" / "m0.png", HALVES[:, 30:94] - 1)
    trained_on(here)


def trained_on(here: Path) -> None:
    from tests.cli.command_line import run
    from tests.worlds import SMALL

    words = [word for word in SMALL if not word.startswith("data.")]
    done = run("train", *words, "data=folder", "data.root=data", "name=a", cwd=here)
    assert done.returncode == 0, done.stderr


ROWS = [
    Row("another-shape", "sample run=a labels=maps", wide,
        ("2 of 2", "m0.png 160x64", "64x64", "fit=crop", "fit=squash")),
    Row("another-shape-own", "sample run=a labels=maps", lambda here: wide(here, also=NO_VAE), ("size=own",)),
    Row("own-size-of-a-vae", "sample run=a labels=maps size=own", wide, ("64x64", "alone", "fit=crop")),
    Row("own-size-without-maps", "sample run=a size=own", trained, ("size=own", "labels=FOLDER")),
    Row("size-of-a-vae", "sample run=a size=s256", trained, ("size.height=256", "64x64", "alone")),
    Row("size-not-divisible", "sample run=a size.height=70 size.width=64", lambda here: trained(here, also=NO_VAE),
        ("divisible by 32", "64 or 96")),
    Row("size-word-and-number", "sample run=a size.height=64", trained, ("size.height=64", "size.width=training")),
    Row("fit-without-maps", "sample run=a fit=crop", trained, ("fit=crop", "labels=FOLDER", "data.fit")),
    Row("unknown-fit", "sample run=a labels=maps fit=stretch", wide, ("fit=", "refuse, crop, squash")),
    Row("train-size-own", "train size=own name=x evaluate=false", None, ("own",
        "model.height='own' should be a whole number")),
    Row("score-size-own", "score generated=maps size=own", wide, ("size=own", "size.height")),
    Row("no-maps", "sample run=a labels=nothing", trained, ("labels=nothing is no folder",)),
    Row("maps-in-folders", "sample run=a labels=.", wide, ("labels=. holds no label map", "maps/")),
    Row("maps-of-jpeg", "sample run=a labels=maps", lambda here: (trained(here), picture(here / "maps/m.jpg")),
        ("maps/m.jpg", "PNG")),
    Row("style-of-another-shape", "sample run=a style=s.jpg", lambda here: (trained(here), picture(here / "s.jpg",
        size=(90, 30))), ("style=s.jpg", "90x30", "fit=crop")),
    Row("instances-not-wanted", "sample run=a labels=maps instances=maps", same, ("instances=maps", "leave it out")),
    Row("out-is-read", "sample run=a labels=maps out=maps", same, ("out=maps", "labels=maps", "would be lost")),
    Row("out-is-read-respelt", "sample run=a labels=maps out=runs/../maps/", same, ("would be lost",)),
    Row("out-is-a-link-to-it", "sample run=a labels=maps out=other", linked, ("would be lost",)),
    Row("read-through-a-link", "sample run=a labels=other out=maps", linked, ("would be lost",)),
    Row("out-among-the-maps", "sample run=a labels=maps out=maps/x", same, ("x_sheet.png", "another out=")),
    Row("out-holds-others", "sample run=a labels=maps out=mine",
        lambda here: (same(here), write(here / "mine/a.txt", "")),
        ("out=mine holds a.txt",)),
    Row("out-holds-like-named", "sample run=a labels=maps out=mine",
        lambda here: (same(here), picture(here / "mine/m0.png")), ("out=mine holds m0.png",)),
    Row("out-beside-a-sheet", "sample run=a labels=maps out=mine",
        lambda here: (same(here), picture(here / "mine_sheet.png")), ("mine_sheet.png", "is there already")),
    Row("out-is-a-file", "sample run=a labels=maps out=mine", lambda here: (same(here), write(here / "mine", "")),
        ("out=mine is a file",)),
    Row("out-record-torn", "sample run=a labels=maps out=mine",
        lambda here: (same(here), write(here / "mine/samples.json", "{")), ("samples.json", "no JSON")),
]  # fmt: skip

PAINTED = [
    Row("cropped", "sample run=a labels=maps fit=crop", wide, ("fit=crop", "m0.png 160x64", "pictures in runs/a/made/"),
        0, MADE, sizes("runs/a/made/maps_step2_????????", m0=(64, 64), m1=(64, 64))),
    Row("own-size", "sample run=a labels=maps size=own", mixed, ("own size", "m2.png 70x64 to 64x64"), 0, MADE,
        sizes("runs/a/made/maps_step2_????????", m0=(160, 64), m1=(64, 64), m2=(64, 64))),
    Row("size-in-pixels", "sample run=a size.height=64 size.width=96 count=1", lambda here: trained(here, also=NO_VAE),
        (), 0, MADE, sizes("runs/a/made/test_step2_????????", world_1000000=(96, 64))),
]  # fmt: skip


test_refused = each(ROWS)
test_painted = each(PAINTED)


@pytest.mark.slow
def test_edges_without_instance_maps() -> None:
    check(Row("edges", "sample run=a labels=maps", with_edges, ("borders between the classes", "1 pictures"), 0, MADE))
