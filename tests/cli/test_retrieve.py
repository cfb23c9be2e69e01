"""python -m scenegen.retrieve and what is done with its files, as a user runs them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import TrainedRun, Vocabulary
from scenegen.config.plan import plan
from scenegen.data.classes import LANDSCAPE
from scenegen.data.exemplars.index import make_index
from scenegen.retrieve import Settings
from scenegen.runs.journal import read_rows
from tests.cli.command_line import DATA, TINY, run, sentence


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("retrieve")
    done = run("retrieve", *DATA, "top_k=4", "out=made/ex", cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "made/ex.json, made/ex_ref.txt, made/ex_ref_test.txt" in done.stdout
    return cwd


def test_the_files_hold_every_picture_and_never_itself(indexed: Path) -> None:
    index = json.loads((indexed / "made/ex.json").read_text())
    assert (index["by"], index["top_k"], index["num_classes"]) == ("mask_iou", 4, 29)
    assert (len(index["train"]), len(index["test"])) == (16, 4)
    for split in ("train", "test"):
        for name, listed in index[split].items():
            chosen = [other for other, _ in listed]
            assert len(set(chosen)) == 4
            assert name not in chosen
            assert set(chosen) <= set(index["train"]), "the gallery is the train split alone"
    lines = (indexed / "made/ex_ref_test.txt").read_text().splitlines()
    first = [name for name, _ in index["test"]["world_1000000"]]
    assert lines[0] == ",".join(f"{name}.png" for name in ["world_1000000", *first])


def test_it_is_deterministic_whatever_the_workers(indexed: Path) -> None:
    again = run("retrieve", *DATA, "top_k=4", "out=again", "workers=1", "batch_size=3", cwd=indexed)
    assert again.returncode == 0, again.stderr
    for end in (".json", "_ref.txt", "_ref_test.txt"):
        assert (indexed / f"again{end}").read_bytes() == (indexed / f"made/ex{end}").read_bytes()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["by=mask_iuo"], ["'mask_iuo'", "Did you mean mask_iou?", "label_hist"]),
        (["top_k=16"], ["top_k=16", "gallery of 16 pictures", "1 to 15"]),
    ],
)
def test_bad_input(overrides: list[str], words: list[str], tmp_path: Path) -> None:
    said = sentence(run("retrieve", *DATA, *overrides, cwd=tmp_path))
    for word in words:
        assert word in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("diversity=1", "diversity=1 must lie in 0..1"),
        ("list_style=csv", "one of photographs, contest"),
        ("top_k=0", "top_k=0 must be 1 or more"),
        ("+by.bin=3", "by.bin is unknown"),
    ],
)
def test_bad_values(override: str, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        plan(compose("retrieve", [override]), settings=Settings)
    assert words in str(caught.value)


@pytest.mark.parametrize("by", ["mask_iou", "label_hist", "pixel_acc", "vgg", "color"])
def test_every_measure_ranks_the_embedded_world_offline(by: str) -> None:
    config = plan(compose("retrieve", [f"by={by}", "size=tiny", "data.count=5", "data.test_count=2"])).config
    splits = {split: build.dataset(config, split=split) for split in ("train", "test")}
    measure = build.make(config["by"], offered={"classes": splits["train"].classes})
    index = make_index(splits, by=by, measure=measure, top_k=3, diversity=0.2, about={})
    assert 0 < index.first_score("test") <= 1
    assert all(len(listed) == 3 for lists in index.lists.values() for listed in lists.values())


def test_training_with_exemplars_watches_for_collapse_and_samples_with_them(indexed: Path) -> None:
    chosen = ("exemplar=retrieved", "exemplar.index=made/ex.json", "loss=l1", "loss.l1.target=exemplar")
    done = run("train", *TINY, *chosen, "steps=2", "grid_every=1", "name=a", cwd=indexed)
    assert done.returncode == 0, done.stderr
    rows = read_rows(indexed / "runs/a/metrics.csv")
    assert {"exemplar/distance", "photo/distance", "exemplar/influence"} <= set(rows[-1])
    tile = 2 * 64 + 6
    assert Image.open(indexed / "runs/a/contact_sheet.png").width == 3 * (4 * tile + 12), "four columns with exemplars"
    done = run("sample", "run=a", "out=s", "count=3", cwd=indexed)
    assert done.returncode == 0, done.stderr
    named = json.loads((indexed / "s_exemplars.json").read_text())
    index = json.loads((indexed / "made/ex.json").read_text())
    assert named == {name: index["test"][name][0][0] for name in sorted(index["test"])[:3]}


@pytest.fixture
def opened(tmp_path: Path) -> TrainedRun:
    """A run whose model says that it paints with exemplars, opened where its training data is at hand."""
    config = plan(compose("train", [*DATA, "exemplar=random", "size.height=32"])).config
    for kind in ("images", "labels", "maps"):
        (tmp_path / kind).mkdir()
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(tmp_path / "images/x.png")
    for where in ("labels/x.png", "maps/a.png", "maps/b.png"):
        Image.fromarray(np.ones((32, 64), np.uint8)).save(tmp_path / where)
    model: Any = SimpleNamespace(reads=frozenset({"label", "exemplar"}), offers=frozenset(), size_step=None)
    return TrainedRun(tmp_path, config, Vocabulary(LANDSCAPE, False), model, step=1)


def test_new_maps_get_training_pictures_or_those_that_are_given(opened: TrainedRun) -> None:
    maps, folder = str(opened.folder / "maps"), str(opened.folder)
    ranked = opened.inputs(labels=maps)
    assert ranked.has_exemplars
    assert all(name.startswith("world_0") for name in ranked.exemplar_names().values())
    assert opened.inputs(labels=maps, exemplars=folder).exemplar_names() == {"a": "x", "b": "x"}
    assert set(opened.inputs(exemplars=folder).exemplar_names().values()) == {"x"}
    assert all(name.startswith("world_0") for name in opened.inputs().exemplar_names().values())


def test_new_maps_without_exemplars_are_refused_in_one_sentence(opened: TrainedRun) -> None:
    gone = replace(opened, config={**opened.config, "data": {**opened.config["data"], "count": 1}})
    with pytest.raises(Refusal, match=r"cannot give them.*only 1 of them.*exemplars=DIR"):
        gone.inputs(labels=str(opened.folder / "maps"))
    blind: Any = SimpleNamespace(reads=frozenset({"label"}), offers=frozenset(), size_step=None)
    with pytest.raises(Refusal, match="paints without exemplars"):
        replace(opened, model=blind).inputs(exemplars=str(opened.folder))
