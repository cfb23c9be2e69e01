"""No verb writes over what it reads, or over what somebody else has put there."""

from __future__ import annotations

from pathlib import Path

import torch

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary
from scenegen.config.plan import plan
from scenegen.data.bridges import COCO_STUFF
from tests.table import Finished, Row, each
from tests.worlds import finished, label, picture, write

CONVERT = ("source=spade", "size=tiny", "width=tiny", "width.ngf=2", "width.ndf=2", "width.hidden=2", "weights=random",
           "classes=coco_stuff", "edges=true", "model.vae=false")  # fmt: skip


def made(here: Path) -> None:
    """Pictures that were made, and their label maps."""
    for name in ("a", "b"):
        picture(here / "made" / f"{name}.png")
        label(here / "maps" / f"{name}.png")


def also(*files: str):
    """The same, and files of the user's own."""

    def build_them(here: Path) -> None:
        made(here)
        for file in files:
            write(here / file, "mine")

    return build_them


def official(here: Path) -> None:
    """SPADE's files of COCO-Stuff as its authors would release them, and a label map."""
    torch.manual_seed(0)
    config = plan(compose("convert", [*CONVERT, "files=x", "name=c"])).config
    model = build.model(config, Vocabulary(COCO_STUFF, has_instances=True))
    (here / "files").mkdir()
    torch.save(dict(model.generator.state_dict()), here / "files" / "latest_net_G.pth")
    label(here / "maps" / "m.png", 3)


def painted(done: Finished) -> None:
    """The `next:` that convert prints works as it stands, and says where the edges come from."""
    (line,) = [line for line in done.out.splitlines() if "next: " in line]
    words = line.partition("next: python -m scenegen.sample ")[2].replace("FOLDER", "maps")
    from tests.cli.command_line import run

    sampled = run("sample", *words.split(), cwd=done.here)
    assert sampled.returncode == 0, sampled.stderr
    assert "borders between the classes" in sampled.stdout
    assert len(list(done.here.glob("runs/c/made/maps_step0_*/m.png"))) == 1


JPEG = "post=jpeg"
ROWS = [
    Row("post-into-itself", f"post generated=made out=./made/ {JPEG}", made, ("out=made", "would be lost")),
    Row("post-over-others", f"post generated=made out=maps {JPEG}", made, ("out=maps holds a.png, b.png",)),
    Row("submit-over-a-map", "submit generated=made labels=maps out=maps/a.png size.height=64 size.width=64", made,
        ("out=maps/a.png", "labels=maps", "is read")),
    Row("submit-over-a-file", "submit generated=made labels=maps out=mine.txt size.height=64 size.width=64",
        also("mine.txt"), ("out=mine.txt is there already",)),
    Row("submit-into-a-folder", "submit generated=made labels=maps out=maps size.height=64 size.width=64", made,
        ("out=maps is a folder",)),
    Row("score-over-a-file", "score generated=made json=mine.json", also("mine.json"), ("json=mine.json is there",)),
    Row("score-among-the-pictures", "score generated=made json=made/s.json", made, ("generated=made", "is read")),
    Row("retrieve-over-a-file", "retrieve out=mine size=tiny", also("mine.json"), ("mine.json is there already",)),
    Row("retrieve-over-a-list", "retrieve out=mine size=tiny", also("mine_ref.txt"),
        ("mine_ref.txt is there already",)),
    Row("report-over-others", "report runs=a out=mine",
        lambda here: (finished(here), write(here / "mine/a.txt", "")), ("out=mine holds other files",)),
    Row("report-over-a-page", "report runs=a out=mine",
        lambda here: (finished(here), write(here / "mine/index.html", "")), ("index.html is there already",)),
    Row("report-over-a-readme", "report runs=a leaderboard=README.md",
        lambda here: (finished(here), write(here / "README.md", "mine")), ("leaderboard=README.md is there already",)),
]  # fmt: skip

WRITTEN = [
    Row("post-twice", f"post generated=made out=done {JPEG}", made, ("2 pictures in done",), 0, ("done*",)),
    Row("convert-and-its-next", " ".join(["convert", *CONVERT, "files=files", "name=c"]), official,
        ("next: python -m scenegen.sample run=c labels=FOLDER",), 0, ("runs*",), painted),
]  # fmt: skip


test_refused = each(ROWS)
test_written = each(WRITTEN)
