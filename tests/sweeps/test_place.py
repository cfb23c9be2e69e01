"""Folders of a sweep and of its jobs: odd names, two sweeps at once, a folder that is in use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.config.quoting import quoted
from scenegen.sweeps import foreign_launcher
from scenegen.sweeps import pool as pools
from scenegen.sweeps.place import holding, job_name, sweep_folder
from scenegen.sweeps.pool import Pool

from .jobs import job, program_in

HOLDER = "import sys; from pathlib import Path; from scenegen.runs.lock import held\n" \
         "with held(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"  # fmt: skip


def config(folder: object, subfolder: str = "${hydra.job.num}"):
    return OmegaConf.create({"hydra": {"sweep": {"dir": folder, "subdir": subfolder}, "job": {"num": "???"}}})


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("", "names no folder"),
        (None, "names no folder"),
        ("  ", "names no folder"),
        ("a\nb", r"names no folder"),
        ("a\x1b[2Jb", r"'a\x1b[2Jb' names no folder"),
        ("file", "file is a file"),
        ("file/s", "file is a file"),
        ("run", "holds a run"),
    ],
)
def test_an_odd_folder_is_refused_before_it_is_made(folder, words, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    with pytest.raises(Refusal, match=r"hydra\.sweep\.dir=.*") as caught:
        sweep_folder(config(folder))
    assert words in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "run"]


def test_a_wish_for_the_jobs_folders_is_not_passed_over(tmp_path: Path):
    with pytest.raises(Refusal, match=r"hydra\.sweep\.subdir=\$\{seed\}: a sweep names"):
        sweep_folder(config(tmp_path, "${seed}"))


@pytest.mark.parametrize(
    "name", ["风景 sweep", "a#b", "a=b", "it's", 'say "x"', "[1,2]", "a\\", "a\\'b", "${x}", "$HOME"]
)
def test_any_other_name_is_read_back_as_it_is(name, tmp_path: Path):
    folder = sweep_folder(config(str(tmp_path / name.replace("${", "\\${"))))
    assert folder == tmp_path / name
    (read,) = OverridesParser.create().parse_overrides([f"hydra.run.dir={quoted(folder)}"])
    assert OmegaConf.create({"dir": read.value()}).dir == str(folder)


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ([], "7_job"),
        (["loss=cx+dists", "loss.cx.weight=2.5"], "7_loss=cx+dists_loss.cx.weight=2.5"),
        (["data.root=/my data/风景#1"], "7_data.root=-my-data-1"),
        (["a='x\n\x1b[2J\"'", "b={c:1}"], "7_a=-x-2J_b=-c-1"),
        (["data.root=" + "景" * 300, "seed=" + "1" * 300], f"7_data.root=_seed={'1' * 182}"),
        (["../../x"], "7_..-..-x"),
    ],
)
def test_a_jobs_folder_has_a_plain_name(own, name):
    assert job_name(7, own) == name


def test_three_hundred_jobs_that_begin_alike_have_folders_of_their_own():
    names = {job_name(number, ["data.root=" + "x" * 400 + str(number)]) for number in range(300)}
    assert len(names) == 300
    assert max(len(name.encode()) for name in names) == 200


def test_a_second_sweep_in_a_folder_is_refused(tmp_path: Path):
    with (
        holding(tmp_path / "sweep"),
        pytest.raises(Refusal, match=r"is in use by another sweep \(process \d+ on .*give another hydra\.sweep\.dir"),
        holding(tmp_path / "sweep"),
    ):
        pass
    with holding(tmp_path / "sweep"):
        """The folder is free again."""


@pytest.mark.parametrize(("patience", "status"), [(300, "done"), (0.2, "failed")])
def test_a_job_waits_for_the_process_in_its_folder(patience, status, tmp_path: Path, monkeypatch, capsys):
    """It leaves the folder once it is waited for, or stays."""
    monkeypatch.setattr(pools, "GRACE", 0.0)
    monkeypatch.setattr(pools, "PATIENCE", patience)
    made = job(tmp_path / "sweep", 0)
    made.folder.mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(made.folder)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def heard(text: str) -> None:
        print(text)
        if status == "done" and "waits for" in text:
            assert other.stdin is not None
            other.stdin.close()

    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with Pool(program=program_in(tmp_path), say=heard) as pool:
            (outcome,) = pool.work([made])
    finally:
        other.kill()
        other.wait()
    assert outcome.status == status
    said = capsys.readouterr()
    assert f"job 0: waits for process {other.pid}" in said.out
    if status == "failed":
        assert f"process {other.pid} on " in said.err
        assert "still runs in its folder; end it" in outcome.sentence
        assert not (made.folder / "run.json").exists(), "the folder of a living job stays as it is"


def test_a_worker_that_is_elsewhere_enters_the_folder_in_which_the_sweep_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "started").mkdir()
    foreign_launcher._enter(tmp_path / "started")
    assert Path.cwd() == tmp_path / "started"
    with pytest.raises(Refusal, match=r"none, where the sweep was started, cannot be entered here.*all machines share"):
        foreign_launcher._enter(tmp_path / "none")
