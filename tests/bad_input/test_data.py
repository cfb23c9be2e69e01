"""Data sets that cannot be trained on: class lists, label maps, photographs, lists, exemplar indexes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.table import Finished, Row, each
from tests.worlds import label, pairs, picture, scene, write

SMALL = "size=tiny width=tiny weights=random batch_size=2 steps=2 evaluate=false"
CHECK = "check data=folder data.root=data size=tiny"
TRAIN = f"train data=folder data.root=data {SMALL} name=a"

DEEP = '{"classes": ' + "[" * 3000 + "]" * 3000 + "}"


def listed(name: str, content: str | bytes | dict | list, *words: str, command: str = CHECK, **more) -> Row:
    """A class list of some content; the sentence names the file."""
    return Row(f"classes {name}", command, lambda here: pairs(here / "data", classes="") and write(
        here / "data" / "classes.json", content), ("classes.json", *words), **more)  # fmt: skip


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
    listed("colours beyond 255", {"classes": ["sky", "land", "water"], "colours": [[1, 2, 300]] * 3}, "colour"),
    listed("colours below 0", {"classes": ["sky", "land", "water"], "colours": [[1, 2, -3]] * 3}, "colour"),
    listed("colours of texts", {"classes": ["sky", "land", "water"], "colours": [["1", "2", "3"]] * 3}, "colours"),
    listed("a colour null", {"classes": ["sky", "land", "water"], "colours": [None] * 3}, "colours"),
    listed("names as keys", {"classes": {"sky": 0, "land": 1, "water": 2}}, "the key sky should be a whole number"),
    listed("an id of 5000 digits", '{"classes": ["sky"], "unlabelled": ' + "9" * 5000 + "}", "a number of 5000 digits"),
    listed("half a character", '{"classes": ["\\ud83d", "land", "water"]}', "half a character"),
    listed("a name of 10,000 letters", {"classes": ["s" * 10000, "land", "water"]}, "has 10000 letters"),
    listed("NaN", '{"classes": ["sky", "land", "water"], "unlabelled": NaN}'),
    listed("UTF-16", '{"classes": ["sky", "land", "water"]}'.encode("utf-16"), "UTF-8"),
    listed("Latin-1", '{"classes": ["sky", "laänd", "water"]}'.encode("latin-1"), "UTF-8"),
    listed("brackets", DEEP),
    listed("train: a null name", {"classes": ["sky", None, "water"]}, "classes", command=TRAIN),
    Row("classes absent", CHECK, lambda here: pairs(here / "data") and (here / "data/classes.json").unlink(),
        ("classes.json",)),
    Row("classes a folder", CHECK, lambda here: (pairs(here / "data"), (here / "data/classes.json").unlink(),
                                                 (here / "data/classes.json").mkdir()), ("classes.json",)),
    Row("classes a pipe", CHECK, lambda here: (pairs(here / "data"), (here / "data/classes.json").unlink(),
                                               os.mkfifo(here / "data/classes.json")), ("classes.json",)),
    Row("classes by option: a text", f"{CHECK} data.classes=sky", lambda here: pairs(here / "data"), ("classes",
        "what do the ids mean? No such file")),
    Row("classes by option: doubled", f"{CHECK} data.classes=[sky,sky]", lambda here: pairs(here / "data"), ("sky",
        "class names repeat: sky")),
    Row("classes by option: too few", f"{TRAIN} data.classes=[sky,land]", lambda here: pairs(here / "data"),
        ("2 classes",)),
    Row("classes by option: null", f"{CHECK} data.classes=[sky,null]", lambda here: pairs(here / "data"), ("classes",
        "should be text or Sequence")),
    Row("unlabelled by option", f"{CHECK} data.classes=[sky,land,water] data.unlabelled=text",
        lambda here: pairs(here / "data"), ("unlabelled", "should be a whole number or null")),
    Row("remap a text", f"{CHECK} data.remap=5", lambda here: pairs(here / "data"), ("remap", "should be Mapping")),
    Row("remap to nowhere", f"{TRAIN} 'data.remap={{0:9}}'", lambda here: pairs(here / "data"),
        ("4 files cannot be used", "sends label id 0", "to 9, which lies outside the 3 classes", "take it out")),
    Row("ids from 1", TRAIN, lambda here: pairs(here / "data", classes={"classes": ["sky", "land"], "unlabelled": 0}),
        ("label id 2", '"unlabelled": [0, 2]', '{"classes": {"2": "...", ...}} where ids do not count from 0')),
    Row("remap of text", f"{CHECK} 'data.remap={{a:b}}'", lambda here: pairs(here / "data"), ("remap",
        "should be Mapping")),
]  # fmt: skip


def spoilt(name: str, spoil: Callable[[Path], object], *words: str, command: str = TRAIN, **more) -> Row:
    """A data set of three classes in which something is spoilt, given its folder."""
    return Row(name, command, lambda here: spoil(pairs(here / "data")), words, **more)


def truncated(path: Path, share: float = 0.5) -> Path:
    return write(path, path.read_bytes()[: int(path.stat().st_size * share)])


def rgb(path: Path) -> None:
    ids = np.asarray(Image.open(path))
    Image.fromarray(np.stack([ids * 90, 255 - ids, ids], -1)).save(path)


FILES = [
    spoilt("label of another id", lambda d: label(d / "train/labels/p1.png", 7), "p1.png", "7", "3 classes"),
    spoilt("label of 255", lambda d: label(d / "train/labels/p1.png", 255), "p1.png", "255"),
    spoilt("label of 65535", lambda d: label(d / "train/labels/p1.png", np.full((64, 64), 65535, np.uint16)),
           "p1.png", "65535"),
    spoilt("label of another size", lambda d: label(d / "train/labels/p1.png", size=(64, 32)), "p1", "64x32", "64x64"),
    spoilt("label turned", lambda d: label(d / "train/labels/p1.png", size=(32, 64)), "p1", "32x64"),
    spoilt("label in colour", lambda d: rgb(d / "train/labels/p1.png"), "p1.png"),
    spoilt("label empty", lambda d: write(d / "train/labels/p1.png", b""), "p1.png"),
    spoilt("label a text", lambda d: write(d / "train/labels/p1.png", "sky sky sky"), "p1.png"),
    spoilt("label cut short", lambda d: truncated(d / "train/labels/p1.png"), "p1.png"),
    spoilt("label a folder", lambda d: ((d / "train/labels/p1.png").unlink(), (d / "train/labels/p1.png").mkdir()),
           "p1.png"),
    spoilt("label a pipe", lambda d: ((d / "train/labels/p1.png").unlink(), os.mkfifo(d / "train/labels/p1.png")),
           "p1.png"),
    spoilt("label a dangling link", lambda d: ((d / "train/labels/p1.png").unlink(),
                                               (d / "train/labels/p1.png").symlink_to("nowhere.png")), "p1.png"),
    spoilt("label a JPEG", lambda d: picture(d / "train/labels/p1.png", mode="L", format="JPEG"), "p1.png"),
    spoilt("label with alpha", lambda d: picture(d / "train/labels/p1.png", mode="LA"), "p1.png"),
    spoilt("label of fractions", lambda d: ((d / "train/labels/p1.png").unlink(), Image.fromarray(
        np.full((64, 64), 0.5, np.float32)).save(d / "train/labels/p1.tif")), "p1.tif"),
    spoilt("label twice", lambda d: label(d / "train/labels/p1.bmp"), "p1"),
    spoilt("label without photograph", lambda d: (d / "train/images/p1.jpg").unlink(), "p1"),
    spoilt("photograph without label", lambda d: (d / "train/labels/p1.png").unlink(), "p1"),
    spoilt("photograph twice", lambda d: picture(d / "train/images/p1.png"), "p1"),
    spoilt("photograph cut short", lambda d: truncated(d / "train/images/p1.jpg"), "p1.jpg"),
    spoilt("photograph empty", lambda d: write(d / "train/images/p1.jpg", b""), "p1.jpg"),
    spoilt("photograph a text", lambda d: write(d / "train/images/p1.jpg", "no picture"), "p1.jpg"),
    spoilt("photograph a pipe", lambda d: ((d / "train/images/p1.jpg").unlink(), os.mkfifo(d / "train/images/p1.jpg")),
           "p1.jpg"),
    spoilt("photograph of 16 bits", lambda d: ((d / "train/images/p1.jpg").unlink(), Image.fromarray(
        np.full((64, 64), 40000, np.uint16)).save(d / "train/images/p1.png")), "p1.png"),
    spoilt("photograph of fractions", lambda d: ((d / "train/images/p1.jpg").unlink(), Image.fromarray(
        np.full((64, 64), 0.5, np.float32)).save(d / "train/images/p1.tif")), "p1.tif"),
    spoilt("no photograph", lambda d: [p.unlink() for p in (d / "train/images").iterdir()], "train",
        "not one of 2 files has its partner"),
    spoilt("no picture at all", lambda d: [p.unlink() for p in (d / "train").rglob("p*")], "train",
        "holds no pictures"),
    spoilt("no test picture", lambda d: [p.unlink() for p in (d / "val").rglob("p*")], "val", "holds no pictures"),
    spoilt("no labels folder", lambda d: (d / "train/labels").rename(d / "train/targets"), "train/labels"),
    spoilt("nothing shared", lambda d: [p.rename(p.with_stem(f"x{p.stem}")) for p in (d / "train/labels").iterdir()],
           "train", "not one of 4 files has its partner"),
    spoilt("an instance map absent", lambda d: label(d / "train/instances/p1.png"), "p0", "instance"),
    spoilt("an instance map of another size", lambda d: [label(d / s / f"instances/p{i}.png", size=(32, 32)) for i in
                                                         range(2) for s in ("train", "val")], "instance", "p0"),
    spoilt("more per step than there are", lambda d: d, "batch_size=3", "2", "but the training set has 2 pictures",
        command=f"{TRAIN} batch_size=3"),
    spoilt("check: label of another id", lambda d: label(d / "train/labels/p1.png", 7), "p1.png", command=CHECK,
           report=True),
    spoilt("check: everything", lambda d: (label(d / "train/labels/p1.png", 7), write(d / "val/images/p0.jpg", b"")),
           "p1.png", "p0.jpg", command=CHECK, report=True),
    spoilt("test list absent", lambda d: d, "test_list", "none.txt", "there is no such file",
        command=f"{TRAIN} data.test_list=none.txt"),
    spoilt("test list a folder", lambda d: (d.parent / "list").mkdir(), "list", "there is no such file",
        command=f"{TRAIN} data.test_list=list"),
    spoilt("test list a pipe", lambda d: os.mkfifo(d.parent / "list"), "list", "there is no such file",
        command=f"{TRAIN} data.test_list=list"),
    spoilt("test list no text", lambda d: write(d.parent / "list", b"\xff\xfe\x00p1"), "list",
        "data.test_list list is not UTF-8",
           command=f"{TRAIN} data.test_list=list"),
    spoilt("test list of strangers", lambda d: (write(d.parent / "list", "zz\n"), (d / "train").rename(d / "x"),
                                                (d / "x/images").rename(d / "images"),
                                                (d / "x/labels").rename(d / "labels")), "zz",
           command=f"{TRAIN} data.test_list=list"),
    spoilt("fit unknown", lambda d: d, "fit", "crop", command=f"{TRAIN} data.fit=bend"),
    spoilt("scale below 1", lambda d: d, "scale", "must lie in 1..4", command=f"{TRAIN} data.scale=0.5"),
    spoilt("scale 0", lambda d: d, "scale", "must lie in 1..4", command=f"{TRAIN} data.scale=0"),
    spoilt("scale nan", lambda d: d, "scale", "is not finite", command=f"{TRAIN} data.scale=nan"),
    spoilt("flip beyond 1", lambda d: d, "flip", "a probability, 0..1", command=f"{TRAIN} data.flip=1.5"),
    spoilt("val_fraction 1", lambda d: [(d / "train" / n).rename(d / n) for n in ("images", "labels")] and
           (d / "val").rename(d.parent / "val"), "val_fraction=1", "the share of held-out pictures lies in 0..1",
        command=f"{TRAIN} data.val_fraction=1"),
    Row("another layout", f"{TRAIN}", lambda here: scene(here / "data"), ("data/classes.json", "train/images")),
    Row("scene: another layout", f"train data=scene data.root=data {SMALL}", lambda here: pairs(here / "data"),
        ("data.root=data", "train_img")),
    Row("root a file", TRAIN, lambda here: write(here / "data", "no folder"), ("data.root=data",
        "there is no such folder")),
    Row("root a picture", TRAIN, lambda here: picture(here / "data", format="PNG"), ("data.root=data",
        "there is no such folder")),
    Row("root empty", TRAIN, lambda here: (here / "data").mkdir(), ("data/classes.json", "train/images")),
    Row("labels alone cannot be trained on", f"train data=labels data.root=data {SMALL}",
        lambda here: label(here / "data/a.png"), ("no photographs",)),
    Row("scene: id 29", f"train data=scene data.root=data {SMALL}",
        lambda here: (scene(here / "data"), label(here / "data/train_label/p1.png", 29)), ("p1.png", "29")),
]  # fmt: skip


def ranked(name: str, content: str | bytes | dict | list, *words: str, file: str = "index.json", **more) -> Row:
    """An exemplar index of some content, for a training with exemplars."""
    return Row(f"index {name}", f"{TRAIN} model=unite exemplar=retrieved exemplar.index={file}",
               lambda here: (pairs(here / "data"), write(here / file, content)), (file, *words), **more)  # fmt: skip


def index(**changes) -> dict:
    """An index as retrieve writes it, with changes."""
    lists = {split: {f"p{i}": [[f"p{1 - i}", 0.5]] for i in range(2)} for split in ("train", "test")}
    head = {"format": "scenegen exemplars 1", "by": "mask_iou", "num_classes": 3, "classes": ["sky", "land", "water"]}
    return {**head, **lists, **changes}


INDEXES = [
    ranked("empty", "", "exemplar.index index.json is no JSON"),
    ranked("no JSON", "p0,p1", "exemplar.index index.json is no JSON"),
    ranked("cut short", json.dumps(index())[:60], "exemplar.index index.json is no JSON"),
    ranked("a list", [index()], "exemplar.index index.json: the whole should be an"),
    ranked("null", "null", "exemplar.index index.json: the whole should be an"),
    ranked("without classes", {"train": {}}, "classes"),
    ranked("of other classes", index(classes=["a", "b", "c"]), "class"),
    ranked("classes a text", index(classes="sky"), "classes"),
    ranked("train a list", index(train=[["p0", "p1"]]), "train",
        "exemplar.index index.json, train: the whole should be"),
    ranked("train null", index(train=None), "train", "exemplar.index index.json, train: the whole should be"),
    ranked("lists of texts", index(train={"p0": ["p1"], "p1": ["p0"]}), "train",
        "exemplar.index index.json, train: p0.0 should be a"),
    ranked("lists of numbers", index(train={"p0": 1, "p1": 0}), "train",
        "exemplar.index index.json, train: p0 should be a list, and is 1"),
    ranked("similarity a text", index(train={"p0": [["p1", "much"]], "p1": [["p0", 0.5]]}), "train",
        "exemplar.index index.json, train: p0.0.1 should be a"),
    ranked("names are numbers", index(train={"p0": [[1, 0.5]], "p1": [["p0", 0.5]]}), "train", "p0.0.0 should be a"),
    ranked("a stranger", index(train={"p0": [["zz", 0.5]], "p1": [["p0", 0.5]]}), "zz"),
    ranked("a picture without list", index(train={"p0": [["p1", 0.5]]}), "p1"),
    ranked("an empty list", index(train={"p0": [], "p1": [["p0", 0.5]]}), "p0"),
    ranked("of a later format", index(format="scenegen exemplars 2"), "where", "scenegen exemplars 1"),
    ranked("of another number", index(num_classes=4), "num_classes 4, with 3 names"),
    ranked("a third number", index(train={"p0": [["p1", 0.5, 1]], "p1": [["p0", 0.5]]}), "at most 2 items, not 3"),
    ranked("NaN", json.dumps(index()).replace("0.5", "NaN"), "index.json is no JSON"),
    ranked("brackets", '{"classes": ' + "[" * 3000 + "]" * 3000 + "}",
        "exemplar.index index.json is nested too deeply"),
    ranked("UTF-16", json.dumps(index()).encode("utf-16"), "UTF-8"),
    ranked("a list of one name", "p0.jpg\np1.jpg,p0.jpg\n", "p0.jpg", file="list.txt"),
    ranked("a list of strangers", "p0.jpg,zz.jpg\np1.jpg,p0.jpg\n", "zz", file="list.txt"),
    ranked("a list, empty", "", "has no exemplars for 2 of the 2 train pictures", file="list.txt"),
    ranked("a list, no text", b"\xff\xfe\x00", "exemplar.index list.txt is not UTF-8", file="list.txt"),
    Row("index absent", f"{TRAIN} model=unite exemplar=retrieved exemplar.index=none.json",
        lambda here: pairs(here / "data"), ("exemplar.index=none.json", "scenegen.retrieve")),
    Row("index a folder", f"{TRAIN} model=unite exemplar=retrieved exemplar.index=i.json",
        lambda here: (pairs(here / "data"), (here / "i.json").mkdir()), ("i.json", "there is no such file")),
    Row("index a pipe", f"{TRAIN} model=unite exemplar=retrieved exemplar.index=i.json",
        lambda here: (pairs(here / "data"), os.mkfifo(here / "i.json")), ("i.json", "there is no such file")),
]  # fmt: skip


def only_test_pictures(root: Path) -> None:
    """ADE20K's scene parsing, of which only the test pictures are there."""
    for i in range(2):
        label(root / f"annotations/validation/v{i}.png", i + 1)
        picture(root / f"images/validation/v{i}.jpg")


def no_next_command(done: Finished) -> None:
    assert "next:" not in done.out, "it would be refused"
    assert len(list(done.here.glob("new/val/labels/*.png"))) == 2


IMPORTED = [
    Row("import of a test set alone", "import annotations=src format=ade20k out=new",
        lambda here: only_test_pictures(here / "src"),
        ("1 fault that would stop training", "train/images"), spared=("new*",), report=True, after=no_next_command),
]  # fmt: skip


test_imported = each(IMPORTED)
test_class_lists = each(CLASSES, quick=7)
test_files = each(FILES, quick=8)
test_indexes = each(INDEXES, quick=3)
