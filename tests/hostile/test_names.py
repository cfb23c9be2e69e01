"""Names that lead out of their folder, forge lines or cannot be file names."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.table import Row, each
from tests.worlds import label, picture, trained, write

TRAIN = "train size=tiny width=tiny weights=random data.count=4 data.test_count=4 batch_size=2 steps=2 evaluate=false"
SUBMIT = "submit generated=made labels=maps size.height=64 size.width=64"
CONVERT = "convert files=w"

WRONG = {
    "up": "../x",
    "two up": "../../x",
    "up and down": "a/../../x",
    "deep up": "a/../../../x",
    "only up": "..",
    "itself": ".",
    "absolute": "/tmp/tables-x",
    "a line break": '"a\\nb"',
    "300 letters": "x" * 300,
    "an escape": '"\\x1b[31mred"',
    "no width": '"a\\u200bb"',
}
"""Kind -> name, as it stands behind `name=`."""


SAID = {
    "itself": "leads elsewhere by '.'",
    "absolute": "is an absolute path",
    "a line break": "holds a character that no terminal shows",
    "300 letters": "has a part of 300 bytes",
    "an escape": "holds a character that no terminal shows",
    "no width": "holds a character that no terminal shows",
}
"""Kind -> sentence about it; of the others, which go up, one."""
UP = "leads elsewhere by '..'"


def quoted(value: str) -> str:
    """The name as a shell takes it: its backslashes stand for themselves, in Hydra's quotes."""
    return shlex.quote(value.encode().decode("unicode_escape")) if "\\" in value else value


NAMES = [
    *[Row(f"train: {kind}", f"{TRAIN} name={quoted(name)}", None, ("name", SAID.get(kind, UP)))
      for kind, name in WRONG.items()],
    *[Row(f"convert: {kind}", f"{CONVERT} name={quoted(name)}", lambda here: write(
        here / "w/latest_net_G.pth", "text"), ("name", SAID.get(kind, UP))) for kind, name in WRONG.items()],
    *[Row(f"submit: {kind}", f"{SUBMIT} folder={quoted(name)}", lambda here: (
        label(here / "maps/a.png"), picture(here / "made/a.png")), ("folder", SAID.get(kind, UP)))
      for kind, name in WRONG.items() if kind not in ("itself", "300 letters")],
    *[Row(f"resume: {kind}", f"train resume={quoted(name)} steps=4", None, ("error: there is no run",))
      for kind, name in WRONG.items() if kind not in ("itself",)],
    *[Row(f"sample: {kind}", f"sample run={quoted(name)}", trained,
        ("there is no run",)) for kind, name in WRONG.items()
      if kind not in ("itself",)],
    *[Row(f"compare: {kind}", f"compare runs={quoted(name)}", None,
          ("no finished run" if kind in ("itself", "only up") else "there is no run or sweep",))
      for kind, name in WRONG.items()],
]  # fmt: skip


def outside(here: Path) -> None:
    """A run's name that a link turns into a folder elsewhere."""
    (here.parent / "elsewhere").mkdir()
    (here / "runs").mkdir()
    (here / "runs/a").symlink_to(here.parent / "elsewhere")


LINKS = [
    Row("train into a link", f"{TRAIN} name=a", outside, ("a", "runs/a is a link to another place, where no run is")),
    Row("convert into a link", f"{CONVERT} name=a", lambda here: (outside(here), write(
        here / "w/latest_net_G.pth", "text")), ("name=a", "runs/a is a link")),
    Row("sample a link to nowhere", "sample run=a", lambda here: ((here / "runs").mkdir(), (
        here / "runs/a").symlink_to("nowhere")), ("'a'", "is no run 'a'")),
    Row("sample a link to itself", "sample run=a", lambda here: ((here / "runs").mkdir(), (
        here / "runs/a").symlink_to("a")), ("'a'", "is no run 'a'")),
    Row("labels a link to itself", "sample run=a labels=maps", lambda here: (trained(here), (
        here / "maps").symlink_to("maps")), ("maps", "is no folder")),
    Row("a label map a link to a device", "sample run=a labels=maps out=made", lambda here: (trained(here), label(
        here / "maps/a.png"), (here / "maps/b.png").symlink_to("/dev/zero")), ("b.png",)),
    Row("a class list a link to a device", "check data=folder data.root=d", lambda here: ((here / "d").mkdir(), (
        here / "d/classes.json").symlink_to("/dev/zero")), ("d", "the class list d/classes.json is no regular file")),
    Row("a table a link to a device", "score rows=t.csv", lambda here: (here / "t.csv").symlink_to("/dev/zero"),
        ("t.csv", "is no regular file")),
]  # fmt: skip


test_names = each(NAMES, quick=9)
test_links = each(LINKS, quick=3)
