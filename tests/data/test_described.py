"""Descriptions and lists are kept for the next start, under the state of every file; memory holds a part of them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.base import kept, scratch
from scenegen.base.records import Refusal
from scenegen.data.exemplars import described, rank
from scenegen.data.exemplars.described import Notice
from scenegen.data.exemplars.index import make_index
from scenegen.data.exemplars.measures import Color, MaskIou
from tests.data import files
from tests.options import replaced

NAMES = [f"p{i:02}" for i in range(20)]
KINDS = ("mask_iou", "color")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty pictures in batches of two and blocks of six; a cache of their own keeps files of any age and number."""
    monkeypatch.setenv("SCENEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "YOUNG_NS", -(10**12))
    for name, value in {"FROM": 1, "AT_ONCE": 4, "TURN": 3}.items():
        monkeypatch.setattr(described, name, value)
    monkeypatch.setattr(rank, "BLOCK", 6)
    described.log_once.cache_clear()
    folder = files.dataset(tmp_path / "data", NAMES)
    for i, name in enumerate(NAMES):
        write(folder, name, seed=i)
    return folder


def write(folder: Path, name: str, *, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 4, (3, 4)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    files.label(folder / "labels" / f"{name}.png", ids)


class Watched:
    """A measure that counts described pictures and compared blocks, and calls something at a number of them."""

    def __init__(self, kind: str, classes, *, at: tuple[str, int] = ("", 0), do: Callable[[], None] = lambda: None):
        self.measure = MaskIou(classes=classes) if kind == "mask_iou" else Color(bins=4)
        self.photographs, self.scalar, self.stamp = self.measure.photographs, self.measure.scalar, self.measure.stamp
        self.classes, self.within = classes, self.measure.within
        self.described = self.compared = 0
        self.at, self.do = at, do

    def describe(self, batch):
        self._watch("described", self.described)
        self.described += len(batch)
        return self.measure.describe(batch)

    def similarity(self, x, y):
        self._watch("compared", self.compared)
        self.compared += 1
        return self.measure.similarity(x, y)

    def _watch(self, what: str, number: int) -> None:
        if self.at[0] == what and number >= self.at[1]:
            self.do()


class WatchedMaps(Watched, MaskIou):
    """One whose maps are compared by bounds and by pixels."""

    def of_pixels(self, both, either, *, kinds, size):
        self._watch("compared", self.compared)
        self.compared += 1
        return super().of_pixels(both, either, kinds=kinds, size=size)


def build(root: Path, kind: str = "mask_iou", notice: Notice = described.log_once, **watch) -> tuple[str, Any]:
    """Text of the index, and what was done for it."""
    splits = {split: replaced("data/folder", split=split, root=str(root), val_fraction=0.3, height=12, width=16)
              for split in ("train", "test")}  # fmt: skip
    watched = WatchedMaps if kind == "mask_iou" else Watched
    measure: Any = watched(kind, splits["train"].classes, **watch)
    index = make_index(splits, by=kind, measure=measure, top_k=3, diversity=0.2, about={}, batch_size=2,
                       notice=notice)  # fmt: skip
    return "".join(index.as_json()), measure


def killed(work: Callable[[], object]) -> None:
    """Do something in a process that must be ended by SIGKILL in it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def straight(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Indices of starts that kept nothing."""
    with monkeypatch.context() as without:
        without.setenv("SCENEGEN_CACHE", "off")
        return {kind: build(root, kind)[0] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_start_describes_and_compares_nothing(root, straight, kind):
    first, measure = build(root, kind)
    assert first == straight[kind]
    assert measure.described == 20
    second, measure = build(root, kind)
    assert second == first
    assert (measure.described, measure.compared) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_that_was_killed_goes_on_and_ends_the_same(root, straight, kind):
    killed(lambda: build(root, kind, at=("described", 10), do=end))
    first, measure = build(root, kind, at=("compared", 99))
    assert first == straight[kind]
    assert measure.described == 12, "two batches of four were kept"
    everything = measure.compared
    (store := store_of(root)).unlink()
    killed(lambda: build(root, kind, at=("compared", everything // 2), do=end))
    second, measure = build(root, kind)
    assert second == straight[kind]
    assert measure.described == 0, "all of them were kept before"
    assert 0 < measure.compared < everything, "the first block's lists were kept"
    assert store.is_file()


def store_of(root: Path) -> Path:
    (found,) = (root.parent / "cache/files").glob("*.sqlite")
    return found


def test_a_file_that_changed_is_described_again_and_every_list_made_anew(root, monkeypatch):
    first, _ = build(root)
    write(root, "p07", seed=99)
    second, measure = build(root)
    assert 1 <= measure.described <= 2, "its batch"
    assert measure.compared > 0
    assert first != second
    monkeypatch.setenv("SCENEGEN_CACHE", "off")
    assert build(root)[0] == second


def test_another_size_or_measure_is_another_description(root):
    build(root)
    assert build(root, "color")[1].described == 20
    assert build(root)[1].described == 0


def test_other_colours_of_the_same_classes_are_another_description(root, monkeypatch):
    """Label maps in colours mean what classes.json says of them."""
    colours = [[0, 0, 0], [90, 0, 0], [0, 90, 0], [0, 0, 90]]
    classes = {"classes": ["sky", "tree", "sea", "rock"]}
    for i, name in enumerate(NAMES):
        ids = np.random.default_rng(i).integers(0, 4, (12, 16))
        files.label(root / "labels" / f"{name}.png", np.array(colours, np.uint8)[ids])
    (root / "classes.json").write_text(json.dumps({**classes, "colours": colours}))
    build(root)
    (root / "classes.json").write_text(json.dumps({**classes, "colours": [colours[i] for i in (0, 2, 3, 1)]}))
    second, measure = build(root)
    assert measure.described == 20
    monkeypatch.setenv("SCENEGEN_CACHE", "off")
    assert build(root)[0] == second


def test_a_damaged_store_is_said_once_and_made_anew(root, straight, caplog):
    build(root)
    with sqlite3.connect(store_of(root)) as base:
        base.execute("UPDATE kept SET value = substr(value, 1, length(value) - 3)")
    second, measure = build(root)
    assert second == straight["mask_iou"]
    assert (measure.described, measure.compared > 0) == (20, True)
    said = [record.message for record in caplog.records]
    assert any("kept descriptions of" in line and "are damaged and were made anew" in line for line in said)
    store_of(root).write_bytes(b"no store" * 1000)
    caplog.clear()
    assert build(root)[0] == straight["mask_iou"]
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "keeps nothing of this start" in said[0]
    assert "it may be deleted" in said[0]


def test_who_builds_an_index_is_told_of_a_store_that_keeps_nothing(root, straight, monkeypatch):
    """Commands silence the log, so they give a place for such sentences."""
    (root / "no_folder").touch()
    monkeypatch.setenv("SCENEGEN_CACHE", str(root / "no_folder"))
    told: list[str] = []
    assert build(root, notice=told.append)[0] == straight["mask_iou"]
    assert told
    assert all("keeps nothing of this start" in sentence for sentence in told)


def test_damaged_lists_are_said_and_made_anew(root, straight, caplog):
    build(root)
    with sqlite3.connect(store_of(root)) as base:
        base.execute("UPDATE kept SET value = substr(value, 1, length(value) - 3) WHERE what LIKE 'ranked%'")
    second, measure = build(root)
    assert second == straight["mask_iou"]
    assert measure.described == 0
    assert any("kept lists are damaged and were made anew" in record.message for record in caplog.records)


def test_young_files_leave_no_lists_behind(root, monkeypatch):
    monkeypatch.setattr(kept, "YOUNG_NS", 3600 * 10**9)
    build(root)
    _, measure = build(root)
    assert measure.described == 20
    assert measure.compared > 0


def test_large_descriptions_lie_in_a_file_that_nobody_sees(root, straight, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(scratch, "IN_MEMORY", 0)
    made: list[tuple[int, int, int]] = []
    honest = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", lambda *call: (made.append(call), honest(*call)))
    assert build(root)[0] == straight["mask_iou"]
    assert [size for _, _, size in made[:2]] == [14 * 12 * 16, 6 * 12 * 16], "of both splits"
    assert list((tmp_path / "temporary").iterdir()) == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Refusal, match=r"0.0 GiB are needed in .*temporary.*No space left.*set TMPDIR"):
        build(root)

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(Refusal, match=r"in a folder for temporary files.*No usable temporary directory.*set TMPDIR"):
        build(root)
