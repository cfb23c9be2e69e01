"""Every family with every optional input (instance maps, exemplars, a style picture) through train, sample, score and
convert: what it reads is used, what it does not read is one sentence that says so, and nothing else happens.

`make test` has rows of these in tests/bad_input (test_own_maps, test_outputs); here is the whole product.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary
from scenegen.config.plan import plan
from scenegen.convert import Settings
from scenegen.data.bridges import COCO_STUFF
from scenegen.data.classes import LANDSCAPE
from tests.cli.command_line import run, sentence
from tests.worlds import label, pairs, picture

EDGES = ("gaugan", "sasame", "sesame")
"""Families that see the edges of instances where the data have them."""
EXEMPLARS = ("cocosnetv1", "cocosnetv2", "unite")
STYLES = ("gaugan",)
FAMILIES = (*EDGES, "oasis", *EXEMPLARS)

SMALL = ("size=tiny", "width=tiny", "width.ngf=4", "width.ndf=2", "width.hidden=2", "weights=random")
ONE_STEP = (*SMALL, "batch_size=2", "steps=1", "log_every=1", "grid_every=1", "checkpoint_every=1", "evaluate=false")
SCORE = ("size=tiny", "cache=off", "infinity=false", "floor=false")

INPUTS = {
    "instances": ("labels=maps", "instances=instances"),
    "exemplars": ("labels=maps", "exemplars=own"),
    "style": ("labels=maps", "style=style.png"),
}
UNREAD = {
    "instances": "sees no instance edges; leave it out",
    "exemplars": "paints without exemplars; leave it out",
    "style": "leave style out",
}
"""The sentence of a model that does not read an input."""


def ids(seed: int, *, most: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.integers(0, most, (4, 4)).repeat(16, 0).repeat(16, 1).astype(np.uint8)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with and without instance maps, label maps with theirs, an exemplar and a style picture."""
    made = tmp_path_factory.mktemp("inputs")
    for name in ("plain", "edged"):
        root = pairs(made / name, count=3, classes={"classes": list(LANDSCAPE.names)})
        for path in [*root.rglob("labels/*.png")] if name == "edged" else []:
            label(path.parents[1] / "instances" / path.name, ids(0, most=5))
    for number in range(2):
        label(made / "maps" / f"m{number}.png", ids(number, most=29))
        label(made / "instances" / f"m{number}.png", ids(number, most=7))
    label(made / "own" / "labels" / "e.png", ids(2, most=29))
    (made / "own" / "images").mkdir()
    picture(made / "own" / "images" / "e.png")
    picture(made / "style.png")
    return made


def sampled(here: Path, name: str, *words: str, out: str | None = None) -> str:
    """What sample says of a run, whose pictures it has painted."""
    out = out or f"out/{name}-{'-'.join(word.partition('=')[0] for word in words)}"
    done = run("sample", f"run={name}", f"out={out}", "sheet=0", *words, cwd=here)
    assert done.returncode == 0, done.stderr
    assert len(list((here / out).glob("*.png"))) == (2 if "labels=maps" in words else 3)
    return done.stdout


def check_inputs(here: Path, name: str, *, reads: set[str], needed: tuple[str, ...] = ()) -> None:
    """Sample a run with every input: it is read, or refused in its sentence."""
    for kind, words in INPUTS.items():
        more = [word for word in needed if word not in words]
        if kind in reads:
            assert "borders between the classes" not in sampled(here, name, *words, *more) or kind != "instances"
        else:
            told = run("sample", f"run={name}", f"out=refused-{name}", *words, *more, cwd=here)
            assert UNREAD[kind] in sentence(told)
            assert not (here / f"refused-{name}").exists()


@pytest.mark.slow
@pytest.mark.parametrize("data", ["plain", "edged"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_run(family: str, data: str, here: Path) -> None:
    name = f"{family}-{data}"
    vae = ("model.vae=true",) if family in STYLES else ()
    words = (*ONE_STEP, *vae, f"model={family}", "data=folder", f"data.root={data}", f"name={name}")
    done = run("train", *words, cwd=here)
    assert done.returncode == 0, done.stderr
    edges = data == "edged" and family in EDGES
    assert ("sees their edges" in done.stdout) == edges
    sampled(here, name, out=f"out/{name}")
    scored = run("score", f"generated=out/{name}", "data=folder", f"data.root={data}", *SCORE, cwd=here)
    assert scored.returncode == 0, scored.stderr
    assert "N 3 | protocol" in scored.stdout
    assert ("borders between the classes" in sampled(here, name, "labels=maps")) == edges
    reads = {"instances"} if edges else set()
    reads |= {"style"} if family in STYLES else {"exemplars"} if family in EXEMPLARS else set()
    check_inputs(here, name, reads=reads)


SOURCES = {"spade": "gaugan", "cocosnet": "cocosnetv1"} | {
    same: same for same in ("sesame", "oasis", "cocosnetv2", "unite")
}
LETTERS = {"spade": {"G": "generator", "E": "encoder"}, "oasis": {"EMA": "generator"}, "sesame": {"G": "generator"}}
MATCHING = {"G": "generator", "Corr": "correspondence"}


@pytest.mark.slow
@pytest.mark.parametrize("edges", ["edges=false", "edges=true"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_converted_run(source: str, edges: str, here: Path) -> None:
    family, name = SOURCES[source], f"{source}-{edges[6:]}"
    files = here / f"files-{name}"
    vae = ("model.vae=true",) if family in STYLES else ()
    words = (f"source={source}", f"files={files}", "epoch=3", "classes=coco_stuff", edges, f"name={name}", *SMALL, *vae)
    config = plan(compose("convert", list(words)), settings=Settings).config
    model = build.model(config, Vocabulary(COCO_STUFF, has_instances=edges == "edges=true"))
    files.mkdir()
    stem = "3" if source == "oasis" else "3_net"
    for letter, part in LETTERS.get(source, MATCHING).items():
        torch.save(dict(model.get_submodule(part).state_dict()), files / f"{stem}_{letter}.pth")
    done = run("convert", *words, cwd=here)
    if edges == "edges=true" and family not in EDGES:
        assert "sees no instance edges; leave it out" in sentence(done)
        assert not (here / "runs" / name).exists()
        return
    assert done.returncode == 0, done.stderr
    following = done.stdout.partition("next: python -m scenegen.sample ")[2].split()
    needed = tuple(word.replace("FOLDER", "own") for word in following if word.startswith("exemplars="))
    told = sampled(here, name, *(word.replace("FOLDER", "maps") for word in following[1:2]), *needed)
    assert ("borders between the classes" in told) == (edges == "edges=true")
    reads = {"instances"} if edges == "edges=true" else set()
    reads |= {"style"} if family in STYLES else {"exemplars"} if family in EXEMPLARS else set()
    check_inputs(here, name, reads=reads, needed=needed)
