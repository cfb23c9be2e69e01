"""Data sets that cannot be trained on: class lists, label maps, photographs, lists, exemplar indexes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.table import Row, check, each
from tests.worlds import pairs, write

SMALL = "size=tiny width=tiny weights=random batch_size=2 steps=2 evaluate=false"
CHECK = "check data=folder data.root=data size=tiny"
TRAIN = f"train data=folder data.root=data {SMALL} name=a"

DEEP = '{"classes": ' + "[" * 3000 + "]" * 3000 + "}"


def listed(name: str, content: str | bytes | dict | list, *words: str, command: str = CHECK, **more) -> Row:
    """A class list of some content; the sentence names the file."""
    return Row(
        f"classes {name}",
        command,
        lambda here: pairs(here / "data", classes="") and write(here / "data" / "classes.json", content),
        ("classes.json", *words),
        **more,
    )


CLASSES = [
    listed("empty", ""),
    listed("blank", "   \n"),
    listed("no JSON", "sky, land, water"),
    listed("cut short", '{"classes": ["sky", "land"'),
    listed("trailing comma", '{"classes": ["sky", "land", "water",]}'),
    listed("single quotes", "{'classes': ['sky', 'land', 'water']}"),
    listed("a comment", '{"classes": ["sky", "land", "water"]} // mine'),
    listed("a number", "3"),
    listed("null", "null"),
    listed("a text", '"sky"'),
    listed("a list", ["sky", "land", "water"]),
    listed("another key", {"names": ["sky", "land", "water"]}, "classes"),
    listed("classes null", {"classes": None}, "classes"),
    listed("classes a text", {"classes": "sky land water"}, "classes"),
    listed("classes a number", {"classes": 3}, "classes"),
    listed("no classes", {"classes": []}),
    listed("a null name", {"classes": ["sky", None, "water"]}, "classes"),
    listed("a number as name", {"classes": ["sky", 1, "water"]}, "classes"),
    listed("a list as name", {"classes": ["sky", ["land"], "water"]}, "classes"),
    listed("an object as name", {"classes": ["sky", {"name": "land"}, "water"]}, "classes"),
    listed("an empty name", {"classes": ["sky", "", "water"]}),
    listed("a doubled name", {"classes": ["sky", "sky", "water"]}, "sky"),
    listed("a doubled key", '{"classes": ["sky"], "classes": ["sky", "land", "water"]}', "classes"),
    listed("unlabelled a text", {"classes": ["sky", "land", "water"], "unlabelled": "water"}, "unlabelled"),
    listed("unlabelled a fraction", {"classes": ["sky", "land", "water"], "unlabelled": 1.5}, "unlabelled"),
    listed("unlabelled true", {"classes": ["sky", "land", "water"], "unlabelled": True}, "unlabelled"),
    listed("colours a text", {"classes": ["sky", "land", "water"], "colours": "red"}, "colours"),
    listed("too few colours", {"classes": ["sky", "land", "water"], "colours": [[1, 2, 3]]}, "colours"),
    listed("colours of two", {"classes": ["sky", "land", "water"], "colours": [[1, 2]] * 3}, "colours"),
    listed("colours of four", {"classes": ["sky", "land", "water"], "colours": [[1, 2, 3, 4]] * 3}, "colours"),
    listed("colours of fractions", {"classes": ["sky", "land", "water"], "colours": [[0.5, 1, 1]] * 3}, "colours"),
    listed("colours of texts", {"classes": ["sky", "land", "water"], "colours": [["1", "2", "3"]] * 3}, "colours"),
    listed("a colour null", {"classes": ["sky", "land", "water"], "colours": [None] * 3}, "colours"),
    listed("NaN", '{"classes": ["sky", "land", "water"], "unlabelled": NaN}'),
    listed("UTF-16", '{"classes": ["sky", "land", "water"]}'.encode("utf-16"), "UTF-8"),
    listed("Latin-1", '{"classes": ["sky", "laänd", "water"]}'.encode("latin-1"), "UTF-8"),
    listed("brackets", DEEP),
    Row(
        "classes absent",
        CHECK,
        lambda here: pairs(here / "data") and (here / "data/classes.json").unlink(),
        ("classes.json",),
    ),
    Row(
        "classes a folder",
        CHECK,
        lambda here: (
            pairs(here / "data"),
            (here / "data/classes.json").unlink(),
            (here / "data/classes.json").mkdir(),
        ),
        ("classes.json",),
    ),
    Row(
        "classes a pipe",
        CHECK,
        lambda here: (
            pairs(here / "data"),
            (here / "data/classes.json").unlink(),
            os.mkfifo(here / "data/classes.json"),
        ),
        ("classes.json",),
    ),
    Row("classes by option: a text", f"{CHECK} data.classes=sky", lambda here: pairs(here / "data"), ("classes",)),
    Row("classes by option: doubled", f"{CHECK} data.classes=[sky,sky]", lambda here: pairs(here / "data"), ("sky",)),
    Row("classes by option: null", f"{CHECK} data.classes=[sky,null]", lambda here: pairs(here / "data"), ("classes",)),
    Row(
        "unlabelled by option",
        f"{CHECK} data.classes=[sky,land,water] data.unlabelled=text",
        lambda here: pairs(here / "data"),
        ("unlabelled",),
    ),
    Row("remap a text", f"{CHECK} data.remap=5", lambda here: pairs(here / "data"), ("remap",)),
    Row("remap of text", f"{CHECK} 'data.remap={{a:b}}'", lambda here: pairs(here / "data"), ("remap",)),
]


def spoilt(name: str, spoil: Callable[[Path], object], *words: str, command: str = TRAIN, **more) -> Row:
    """A data set of three classes in which something is spoilt, given its folder."""
    return Row(name, command, lambda here: spoil(pairs(here / "data")), words, **more)


def truncated(path: Path, share: float = 0.5) -> Path:
    return write(path, path.read_bytes()[: int(path.stat().st_size * share)])


def rgb(path: Path) -> None:
    ids = np.asarray(Image.open(path))
    Image.fromarray(np.stack([ids * 90, 255 - ids, ids], -1)).save(path)


def ranked(name: str, content: str | bytes | dict | list, *words: str, file: str = "index.json", **more) -> Row:
    """An exemplar index of some content, for a training with exemplars."""
    return Row(
        f"index {name}",
        f"{TRAIN} model=unite exemplar=retrieved exemplar.index={file}",
        lambda here: (pairs(here / "data"), write(here / file, content)),
        (file, *words),
        **more,
    )


def index(**changes) -> dict:
    """An index as retrieve writes it, with changes."""
    lists = {split: {f"p{i}": [[f"p{1 - i}", 0.5]] for i in range(2)} for split in ("train", "test")}
    head = {"format": "scenegen exemplars 1", "by": "mask_iou", "num_classes": 3, "classes": ["sky", "land", "water"]}
    return {**head, **lists, **changes}


@each(CLASSES)
def test_class_lists(row: Row) -> None:
    check(row)
