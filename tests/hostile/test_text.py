"""Texts that move a terminal's cursor, forge a line or bring a script into a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.table import Finished, Row, each
from tests.worlds import finished, label, pairs, picture, trained, write

EVIL = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;owned\x07x",
    "cursor": "\x1b[2J\x1b[Hx",
    "line": "x\nerror: all is well",
    "return": "x\rerror: all is well",
    "turn": "x\u202egnp.exe",
    "c1": "x\x9b31m",
    "separator": "x\u2028error: all is well",
}
"""Kind -> beginning of a file's name."""

CHECK = "check data=folder data.root=data size=tiny"
WHERE: dict[str, tuple[str, Callable[[Path, str], object], str]] = {
    "a faulty label": (CHECK, lambda here, name: label(pairs(here / "data") / "train/labels" / f"{name}.png", 9),
        "no photograph of that name"),
    "a faulty photograph": (CHECK, lambda here, name: write(
        pairs(here / "data") / "train/images" / f"{name}.jpg", "text"), "no label map of that name"),
    "a label map": ("sample run=a labels=maps out=made", lambda here, name: (trained(here), label(
        here / "maps" / f"{name}.png", 200)), "label id 200 (4096 pixels) lies outside"),
    "a generated picture": ("submit generated=made labels=maps size.height=64 size.width=64", lambda here, name: (
        label(here / "maps/a.png"), picture(here / "made" / f"{name}.png")), "name each picture after its label file"),
    "a picture to process": ("post generated=made out=done post=bicubic", lambda here, name: write(
        here / "made" / f"{name}.png", "text"), "unreadable or truncated"),
    "another layout": (CHECK, lambda here, name: (here / "data" / name).mkdir(parents=True),
        "what do the ids mean? No such file"),
    "a class": (CHECK, lambda here, name: pairs(here / "data", classes={"classes": [name, name, "water"]}),
        "holds characters that cannot be shown"),
    "a key of a class list": (CHECK, lambda here, name: pairs(here / "data", classes={name: 1}),
        'has no "classes"'),
    "a column": ("score rows=t.csv", lambda here, name: write(here / "t.csv", f'"{name}",b\n1,2\n'),
        "has no column mask_acc, aesthetic, fid, total"),
    "a cell": ("score rows=t.csv", lambda here, name: write(
        here / "t.csv", f'row,mask_acc,aesthetic,fid,total\na,"{name}",5,50,0.2\n'), "is not a number"),
    "a run": ("sample run=none", lambda here, name: finished(here, name), "there is no run 'none'"),
    "an index's class": ("train data=folder data.root=data size=tiny width=tiny weights=random batch_size=2 "
                         "evaluate=false model=unite exemplar.index=i.json", lambda here, name: (pairs(here / "data"),
                         write(here / "i.json", {"classes": [name, "b", "c"], "train": {}})),
        "is of another class set"),
}  # fmt: skip

TOLD = [
    Row(f"{place}: {kind}", command, lambda here, put=put, name=name: put(here, name), (said,),
        report=place in ("a faulty label", "a faulty photograph"))
    for place, (command, put, said) in WHERE.items() for kind, name in EVIL.items()
    if kind in ("colour", "line") or (len(place) + len(kind)) % 4 == 0
]  # fmt: skip

OVERRIDES = [
    Row(f"an override: {kind}", f"sample 'run={name}'", None, ("there is no run",)) for kind, name in EVIL.items()
]

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>|`x`|\n# head"


def no_script(done: Finished) -> None:
    """Neither page nor table holds a tag that came from a run."""
    page, board = (done.here / "page/index.html").read_text(), (done.here / "board.md").read_text()
    for text in (page, board):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "\n# head" not in board


def recipe(here: Path) -> None:
    run = finished(here, "a")
    write(run / "run.json", {"overrides": [f"loss={SCRIPT}", "seed=0"]})
    finished(here, "b", seed=1, loss="dists")


def marked(here: Path) -> None:
    run = finished(here, "a")
    record = json.loads((run / "result.json").read_text())
    write(run / "result.json", {**record, "marks": [SCRIPT], "scorer": SCRIPT})
    finished(here, "b", seed=1, loss="dists")


REPORT = "report runs=[a,b] out=page leaderboard=board.md pictures=0"
PAGES = [
    Row("a recipe", REPORT, recipe, status=0, spared=("page*", "board.md"), after=no_script),
    Row("marks", REPORT, marked, status=0, spared=("page*", "board.md"), after=no_script),
]


test_told = each(TOLD, quick=7)
test_overrides = each(OVERRIDES, quick=2)
test_pages = each(PAGES, quick=1)
