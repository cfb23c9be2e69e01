"""What the machine has not: a place to write, streams, letters, strategies; and what a key cannot be, such as empty."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from scenegen.base.outputs import require_place
from scenegen.base.refusal import Refusal
from scenegen.training import memory
from tests.bad_input.test_outputs import made
from tests.cli.command_line import run
from tests.table import Row, each
from tests.worlds import SMALL, finished, trained, write

OWN = " ".join(SMALL)


def and_a_file(build=None):
    """The input, and a file where the command is asked to make a folder."""

    def build_them(here: Path) -> None:
        if build is not None:
            build(here)
        write(here / "file", "mine")

    return build_them


def two(here: Path) -> None:
    finished(here, "a")
    finished(here, "b", loss="dists")


PLACES = [
    Row("train", f"train {OWN} name=a", lambda here: write(here / "runs", "mine"), ("runs", "is a file", "move it")),
    Row("sample", "sample run=a out=file/x count=1 sheet=0", and_a_file(trained), ("file", "folder")),
    Row("score", "score generated=made json=file/s.json size=tiny", and_a_file(made), ("json=file", "a folder")),
    Row("report", "report runs=a out=file/page", and_a_file(finished), ("file", "folder")),
    Row("leaderboard", "report runs=a leaderboard=file/board.md out=page", and_a_file(finished),
        ("leaderboard=file", "must be a folder")),
    Row("compare", "compare runs=a,b json=file/c.json", and_a_file(two), ("json=file", "must be a folder")),
    Row("post", "post generated=made out=file/x post=jpeg", and_a_file(made), ("out=file", "must be a folder")),
    Row("submit", "submit generated=made labels=maps out=file/s.zip size.height=64 size.width=64", and_a_file(made),
        ("out=file", "must be a folder")),
    Row("retrieve", "retrieve out=file/x size=tiny top_k=2 data.count=4", and_a_file(),
        ("out=file", "must be a folder")),
    Row("check", "check size=tiny data.count=4 json=file/c.json", and_a_file(), ("json=file", "must be a folder")),
]  # fmt: skip


test_a_place_that_cannot_be_written = each(PLACES)


def test_a_place_without_rights_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_place(tmp_path / "new" / "x.json", option="json")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Refusal, match=r"json=.*may not write in the folder .*give another json="):
        require_place(tmp_path / "new" / "x.json", option="json")


MEMORY = [
    Row("wide", f"train {OWN} width.ngf=4096 model=gaugan", words=("parameters take", "GiB", "width.ngf=")),
    Row("large", f"train {OWN} size.height=16384 size.width=16384 batch_size=512 data.count=512",
        words=("512 pictures of 16384x16384", "GiB", "size.height=", "batch_size=")),
]  # fmt: skip


test_memory_that_cannot_be_had_is_not_asked_for = each(MEMORY)


def test_the_bound_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both numbers in the sentence; exactly what the machine has is allowed."""
    asked = partial(memory.require_memory, parameters=1000, samples=2, height=10, width=10, classes=4)
    bound = 1000 * 16 + 4 * 2 * 10 * 10 * (4 + 6)
    monkeypatch.setattr(memory, "memory_of_machine", lambda: bound)
    asked(processes=1, on_gpu=False)
    monkeypatch.setattr(memory, "memory_of_machine", lambda: bound - 1)
    with pytest.raises(Refusal, match=r"1,000 parameters take .* pictures of 10x10 .* this machine has"):
        asked(processes=1, on_gpu=False)
    asked(processes=1, on_gpu=True)
    with pytest.raises(Refusal):
        asked(processes=6, on_gpu=True)


def test_a_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory.memory_of_machine()
    assert whole > 1 << 28
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "some").write_text("1048576\n")
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "max", tmp_path / "none"))
    assert memory.memory_of_machine() >= whole
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "max", tmp_path / "some"))
    assert memory.memory_of_machine() == 1 << 20


KEYS = [
    Row("resume", "train resume=", words=("resume= is empty", "leave it out")),
    Row("name", "train name=''", words=("name= is empty",)),
    Row("no-user", "check data=folder size=tiny data.root=~no-such-user/d", words=("no user of this machine",
        "/~NAME")),
    Row("no-config-dir", "train --config-dir nope", words=("nope' not found", "leave --config-dir out")),
    Row("verbose-number", "train hydra.verbose=5", words=("is no logger; write hydra.verbose=true",)),
    Row("multirun-between", "train sweep=nope -m size=tiny", words=("there is no 'nope'",)),
    Row("no-list", "soup runs=nope name=c", words=("should be a list, such as [a,b]",)),
    Row("blank-name", "train 'name= '", words=("name= is empty",)),
    Row("run", "sample run=", words=("run= is empty",)),
    Row("generated", "score generated=", words=("generated= is empty",)),
    Row("optim", "train optim={}", words=("optim={}", "ttur")),
    Row("measure", "score measure=[]", words=("measure=[]", "psnr")),
    Row("seed-below", "train seed=-1", words=("seed=-1", "0 to")),
    Row("seed-beyond", "train seed=1180591620717411303424", words=("seed=1180591620717411303424", "0 to")),
    Row("strategy", f"train {OWN} trainer.strategy=foo", words=("trainer.strategy=foo", "trainer.strategy=auto")),
    Row("spawn", f"train {OWN} trainer.strategy=ddp_spawn", words=("trainer.strategy=ddp_spawn", "trainer=ddp")),
]  # fmt: skip


test_values_that_mean_nothing = each(KEYS)


def test_letters_that_the_terminal_lacks_are_escaped(tmp_path: Path) -> None:
    done = run("train", "name=风景", "--cfg", "job", cwd=tmp_path, PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 0, done.stderr
    assert "name: \\u98ce\\u666f" in done.stdout


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_no_error(closed: int, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "scenegen.train", "--cfg", "job"] + (["lr=1"] if closed == 2 else [])
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, preexec_fn=lambda: os.close(closed))
    assert done.returncode == (1 if closed == 2 else 0), done.stderr
    assert done.stdout + done.stderr == ""
    assert list(tmp_path.iterdir()) == []
