"""Looks at files are kept for the next start under the files' state, batch by batch; a broken store stops nobody."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from scenegen.base import kept
from scenegen.base.kept import Kept
from scenegen.data import inspection, looks
from scenegen.data.doctor import examine
from scenegen.data.inspection import inspect, scan
from tests.data import files
from tests.options import replaced

NAMES = [f"p{i}" for i in range(10)]


def opened(root: Path, data: str = "folder"):
    return replaced(f"data/{data}", split="train", root=str(root), val_fraction=0, height=8, width=16)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten samples, looked at four at a time, with a cache of their own that keeps files of any age and number."""
    monkeypatch.setenv("SCENEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "YOUNG_NS", -(10**12))
    monkeypatch.setattr(looks, "FROM", 1)
    monkeypatch.setattr(inspection, "AT_ONCE", 4)
    return files.dataset(tmp_path / "data", NAMES)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content was looked at, in a process that has looked at none."""
    looks._look.cache_clear()
    found: list[str] = []
    for name in ("_look_at_label", "_look_at_photo"):
        honest = getattr(looks, name)
        monkeypatch.setattr(
            looks, name, lambda path, deep, honest=honest: (found.append(path.name), honest(path, deep))[1]
        )
    return found


def anew(read: list[str]) -> None:
    """As a new process begins."""
    looks._look.cache_clear()
    read.clear()


@pytest.mark.parametrize("deep", [False, True])
def test_a_second_start_reads_no_file_and_says_the_same(root, read, deep):
    first = examine({"train": opened(root)}, deep=deep).to_dict()
    assert len(read) == 20
    anew(read)
    assert examine({"train": opened(root)}, deep=deep).to_dict() == first
    assert read == []
    examine({"train": opened(root)}, deep=not deep)
    assert len(read) == 20


def test_a_file_that_changed_is_read_though_its_size_and_time_are_put_back(root, read):
    assert scan(opened(root)) == []
    anew(read)
    label = root / "labels/p4.png"
    before = label.stat()
    files.label(label, np.full((12, 16), 9, np.uint8))
    content = label.read_bytes()
    label.write_bytes(content + bytes(before.st_size - len(content)))
    os.utime(label, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert label.stat().st_size == before.st_size
    (fault,) = scan(opened(root))
    assert "labels/p4.png: label id 9 (192 pixels)" in str(fault)
    assert read == ["p4.png"]


@pytest.mark.parametrize("deep", [False, True])
def test_a_start_that_was_killed_goes_on(root, read, deep):
    data = opened(root)
    going = inspect(data.source, deep=deep)
    for _ in range(6):
        next(going)  # the second batch of four is looked at, the third is not
    going.close()
    assert len(read) == 16
    anew(read)
    assert scan(data, deep=deep) == []
    assert sorted(read) == ["p8.jpg", "p8.png", "p9.jpg", "p9.png"]


def test_files_that_cannot_be_used_are_looked_at_every_time(root, read):
    files.truncate(root / "images/p1.jpg")
    (first,) = scan(opened(root))
    anew(read)
    assert scan(opened(root)) == [first]
    assert read == ["p1.jpg"]


def test_photographs_alone_are_kept_too(root, read):
    assert scan(opened(root / "images", "pictures")) == []
    anew(read)
    assert scan(opened(root / "images", "pictures")) == []
    assert read == []


def test_few_files_and_young_ones_leave_nothing(root, read, monkeypatch):
    monkeypatch.setattr(kept, "YOUNG_NS", 3600 * 10**9)
    scan(opened(root))
    anew(read)
    scan(opened(root))
    assert len(read) == 20
    monkeypatch.setattr(looks, "FROM", 11)
    monkeypatch.setenv("SCENEGEN_CACHE", str(root / "other"))
    scan(opened(root))
    assert not (root / "other").exists()


def store(root: Path) -> Path:
    (found,) = (root.parent / "cache/files").glob("*.sqlite")
    return found


@pytest.mark.parametrize("what", ["bytes", "format", "table", "values", "a folder"])
def test_a_store_that_cannot_be_read_is_said_and_stops_nobody(root, read, caplog, what):
    scan(opened(root))
    file = store(root)
    if what == "bytes":
        file.write_bytes(b"no store" * 1000)
    elif what == "a folder":
        file.unlink()
        file.mkdir()
    else:
        with sqlite3.connect(file) as base:
            base.execute({"format": "PRAGMA user_version = 99", "table": "DROP TABLE kept",
                          "values": "UPDATE kept SET value = CAST('[1, 2]' AS BLOB)"}[what])  # fmt: skip
            if what == "table":
                base.execute("CREATE TABLE kept (path BLOB)")
    anew(read)
    assert scan(opened(root)) == []
    assert len(read) == 20
    said = [record.message for record in caplog.records if str(file) in record.message]
    assert len(said) == (what != "values")
    assert all("it may be deleted" in line for line in said)


def test_a_cache_that_cannot_be_written_stops_nobody(tmp_path, root, read, monkeypatch, caplog):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("SCENEGEN_CACHE", str(tmp_path / "a file"))
    assert scan(opened(root)) == []
    assert sum("keeps nothing of this start" in record.message for record in caplog.records) == 1


def test_the_doctor_tells_who_asks_of_a_store_that_keeps_nothing(tmp_path, root, read, monkeypatch):
    """`check` silences the log, so it gives a place for such sentences."""
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("SCENEGEN_CACHE", str(tmp_path / "a file"))
    told: list[str] = []
    assert examine({"train": opened(root)}, notice=told.append).sound
    assert ["keeps nothing of this start" in sentence for sentence in told] == [True]


def test_two_processes_may_keep_at_once(root):
    """The second writer waits; neither loses what the other has put."""
    file = root / "images/p0.jpg"
    with Kept(root) as one, Kept(root) as two:
        ((state, _),) = one.get([file], "a")
        assert state is not None
        one.put([(file, state, b"1")], "a")
        two.put([(file, state, b"2")], "b")
        assert one.get([file], "b") == [(state, b"2")]
        assert two.get([file], "a") == [(state, b"1")]
