"""Pictures and tables that cannot be scored, packed or processed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from tests.table import Row, each
from tests.worlds import label, picture, scene, write

SCORE = "score generated=made data=scene data.root=data size=tiny cache=off infinity=false floor=false"
SUBMIT = "submit generated=made labels=maps size.height=64 size.width=64"
POST = "post generated=made out=done post=bicubic"


def made(here: Path) -> Path:
    """Data of two label maps and pictures of both, which could be scored."""
    scene(here / "data")
    for name in ("p0", "p1"):
        picture(here / "made" / f"{name}.png")
    return here


def spoilt(name: str, spoil: Callable[[Path, str], object], *words: str) -> list[Row]:
    """The pictures of two label maps, in which something is spoilt (given their folder and the first one's file name):
    for score and for submit."""

    def for_score(here: Path) -> None:
        spoil(made(here) / "made", "p0.png")

    def for_submit(here: Path) -> None:
        for file in ("m0.png", "m1.png"):
            label(here / "maps" / file)
            picture(here / "made" / file)
        spoil(here / "made", "m0.png")

    return [Row(f"score: {name}", SCORE, for_score, words), Row(f"submit: {name}", SUBMIT, for_submit, words)]


def gone(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder / name


PICTURES = [
    *spoilt("one missing", gone, "missing"),
    *spoilt("all missing", lambda d, n: [p.unlink() for p in d.iterdir()], "holds no picture of the 2 label maps"),
    *spoilt("one too many", lambda d, n: picture(d / "zz.png"), "zz.png"),
    *spoilt("one empty", lambda d, n: write(d / n, b""), "unreadable"),
    *spoilt("one a text", lambda d, n: write(d / n, "picture"), "unreadable"),
    *spoilt("one cut short", lambda d, n: write(d / n, (d / n).read_bytes()[:600]), "unreadable"),
    *spoilt("one of another size", lambda d, n: picture(d / n, size=(32, 64)), "32x64"),
    *spoilt("one twice", lambda d, n: picture(d / n.replace(".png", ".jpg")), "twice"),
    *spoilt("one of 16 bits", lambda d, n: Image.fromarray(np.full((64, 64), 4000, np.uint16)).save(d / n), "16"),
    *spoilt("one transparent", lambda d, n: Image.new("RGBA", (64, 64), (9, 9, 9, 5)).save(d / n), "transparent"),
    *spoilt("one a pipe", lambda d, n: os.mkfifo(gone(d, n)), "1 missing"),
    *spoilt("one a folder", lambda d, n: gone(d, n).mkdir(), "1 missing"),
    *spoilt("one a dangling link", lambda d, n: gone(d, n).symlink_to("nowhere.png"), "1 missing"),
    *spoilt("names of another kind", lambda d, n: [p.rename(p.with_stem(f"fake_{p.stem}")) for p in d.iterdir()],
            "fake_"),
    *spoilt("folders in folders", lambda d, n: [p.rename((d / "x/y").mkdir(parents=True, exist_ok=True) or (
        d / "x/y" / p.name)) for p in list(d.glob("*.png"))], "its folder x/y/ has 2 of them", "made/x/y"),
    *spoilt("a PostScript file", lambda d, n: write(d / n, "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n"
                                                           "%%EndComments\nshowpage\n"), "unreadable"),
]  # fmt: skip

TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 6

SUBMITTED = [
    Row("no folder of weights", f"{SCORE} fid=clean weights.dir=none_such", made,
        ("weights.dir=none_such: there is no such folder", "mkdir")),
    Row("no such device", f"{SCORE} device=gpu", made, ("'gpu' is no device; give cpu, cuda",)),
    Row("more than there are", f"{SCORE} count=9", made, ("count=9 is more than the 2 label maps of split=test",)),
    Row("submit: one colour", SUBMIT, lambda here: (label(here / "maps/a.png"), Image.new("RGB", (64, 64), 5).save(
        picture(here / "made/a.png"))), ("a.png", "single colour")),
    Row("submit: a JPEG", SUBMIT, lambda here: (label(here / "maps/a.png"), picture(here / "made/a.jpg")), ("a.jpg",)),
    Row("submit: count differs", f"{SUBMIT} count=5", lambda here: (label(here / "maps/a.png"), picture(
        here / "made/a.png")), ("5", "holds 1 label maps, but count=5 are wanted")),
    Row("submit: no label maps", SUBMIT, lambda here: (picture(here / "made/a.png"), (here / "maps").mkdir()),
        ("maps", "holds no label map")),
    Row("submit: folder goes up", f"{SUBMIT} folder=../../x", lambda here: (label(here / "maps/a.png"), picture(
        here / "made/a.png")), ("folder", "leads elsewhere by '..'")),
    Row("submit: folder is absolute", f"{SUBMIT} folder=/etc", lambda here: (label(here / "maps/a.png"), picture(
        here / "made/a.png")), ("folder", "is an absolute path")),
    Row("submit: out is a folder", f"{SUBMIT} out=maps", lambda here: (label(here / "maps/a.png"), picture(
        here / "made/a.png")), ("maps", "is a folder")),
    Row("post: a text", POST, lambda here: write(here / "made/a.png", "text"), ("a.png",)),
    Row("post: a pipe", POST, lambda here: (picture(here / "made/b.png"), os.mkfifo(here / "made/a.png")), ("a.png",)),
    Row("post: nothing there", POST, lambda here: (here / "made").mkdir(), ("made", "holds no pictures")),
    Row("post: a file", POST, lambda here: write(here / "made", "x"), ("made", "is no folder")),
    Row("post: one name twice", POST, lambda here: (picture(here / "made/a.png"), picture(here / "made/a.jpg")),
        ("a", "holds a twice, under two suffixes")),
    *[Row(f"post: {name}", POST, lambda here, spoil=spoil: (
        picture(here / "made/a.png"), spoil(picture(here / "made/b.png"))), ("made/b.png", word))
      for name, spoil, word in (
          ("turned by EXIF", lambda p: Image.open(p).save(p, exif=TURNED), "EXIF"),
          ("transparent", lambda p: Image.new("RGBA", (64, 64), (9, 9, 9, 5)).save(p), "transparent"),
          ("16 bits", lambda p: Image.fromarray(np.full((64, 64), 4000, np.uint16)).save(p), "8-bit"))],
    Row("post: out within a file", POST.replace("done", "kept/done"), lambda here: (
        picture(here / "made/a.png"), write(here / "kept", "x")), ("out=kept/done", "kept",
        "kept is a file, and must be a folder")),
    Row("post: out is a file", POST, lambda here: (picture(here / "made/a.png"), write(here / "done", "mine")),
        ("done", "is a file")),
    Row("score: styles absent", f"{SCORE} scorer=jittor2023 styles=s.json", made, ("s.json", "s.json cannot be read")),
    Row("score: styles a list", f"{SCORE} scorer=jittor2023 styles=s.json", lambda here: (
        made(here), write(here / "s.json", [1])), ("s.json", "s.json: the whole should be an object, and is")),
    Row("score: styles of numbers", f"{SCORE} scorer=jittor2023 styles=s.json", lambda here: (
        made(here), write(here / "s.json", {"a": 1})), ("s.json", "s.json: a should be a text, and is 1")),
    Row("score: a style named as pydantic's mark of a key", f"{SCORE} scorer=jittor2023 styles=s.json", lambda here: (
        made(here), write(here / "s.json", {"[key]": 1})), ("s.json: [key] should be a text, and is 1",)),
    Row("score: styles of strangers", f"{SCORE} scorer=jittor2023 styles=s.json", lambda here: (
        made(here), write(here / "s.json", {"a": "b"})),
        ("style", "a: b")),
    Row("score: cache is a file", f"{SCORE} cache=kept".replace("cache=off ", ""), lambda here: (
        made(here), write(here / "kept", "x")), ("kept", "is a file")),
    Row("score: json in a file", f"{SCORE} json=kept/s.json", lambda here: (
        made(here), write(here / "kept", "x")), ("kept", "kept is a file, and must be a folder")),
    Row("score: count beyond", f"{SCORE} count=1", made, ("count=1", "is too few to score")),
]  # fmt: skip


def table(name: str, content: str | bytes, *words: str) -> Row:
    return Row(f"rows: {name}", "score rows=t.csv", lambda here: write(here / "t.csv", content), ("t.csv", *words))


HEAD = "row,mask_acc,aesthetic,fid,total\n"
TABLES = [
    table("empty", "", "has no column mask_acc, aesthetic, fid, total"),
    table("a head alone", HEAD, "has a header but no rows"),
    table("without total", "row,mask_acc,aesthetic,fid\na,0.5,5,50\n", "total"),
    table("semicolons", HEAD.replace(",", ";") + "a;0.5;5;50;0.25\n", "mask_acc"),
    table("a word", HEAD + "a,high,5,50,0.25\n", "line 2", "mask_acc"),
    table("a decimal comma", HEAD + 'a,"0,5",5,50,0.25\n', "line 2", "mask_acc"),
    table("an empty cell", HEAD + "a,,5,50,0.25\n", "line 2", "mask_acc"),
    table("infinity", HEAD + "a,inf,5,50,0.25\n", "mask_acc"),
    table("an underscore", HEAD + "a,0.5,5,5_0,0.25\n", "fid='5_0' is not a number"),
    table("nan", HEAD + "a,0.5,5,nan,0.25\n", "fid"),
    table("out of range", HEAD + "a,1.5,5,50,0.25\n", "mask_acc"),
    table("below zero", HEAD + "a,0.5,5,-1,0.25\n", "fid"),
    table("too few cells", HEAD + "a,0.5,5\n", "line 2"),
    table("too many cells", HEAD + "a,0.5,5,50,0.25,9,9\n", "line 2"),
    table("a column twice", "row,mask_acc,mask_acc,aesthetic,fid,total\na,0.5,0.6,5,50,0.25\n", "mask_acc"),
    table("UTF-16", (HEAD + "a,0.5,5,50,0.25\n").encode("utf-16"), "UTF-8"),
    table("Latin-1", HEAD.encode() + "ä,0.5,5,50,0.25\n".encode("latin-1"), "UTF-8"),
    table("zero bytes", HEAD + "a,0.5\x00,5,50,0.25\n", "t.csv has 1 unusable rows:"),
    table("an open quote", HEAD + 'a,"0.5,5,50,0.25\n', "is no CSV"),
    table("a picture", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is not UTF-8"),
    table("a huge cell", HEAD + f"a,0.{'5' * 200000},5,50,0.25\n", "is no CSV"),
    Row("rows: an escape as a name", "score rows=t.csv", lambda here: write(
        here / "t.csv", HEAD + "\x1b[31mred,0.5,5,50,0.9\n"), ("1 rows, 1 differ",), report=True),
    Row("rows: a folder", "score rows=t.csv", lambda here: (here / "t.csv").mkdir(), ("t.csv", "is no regular file")),
    Row("rows: a pipe", "score rows=t.csv", lambda here: os.mkfifo(here / "t.csv"), ("t.csv", "is no regular file")),
    Row("rows: absent", "score rows=t.csv", None, ("t.csv", "cannot be read")),
]  # fmt: skip


test_pictures = each(PICTURES, quick=6)
test_submitted = each(SUBMITTED, quick=6)
test_tables = each(TABLES, quick=6)
