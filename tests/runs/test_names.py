"""A run's name is a plain name below runs/; a folder is taken by one process alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.config.compose import register_resolvers, run_folder
from scenegen.config.stored import read_config
from scenegen.runs.folder import CONFIG, create_run, find_run, name_of, require_own_files
from scenegen.runs.names import place_of, require_plain

CHOICES = {"experiment": "null", "model": "gaugan", "loss": "cx", "time": "now"}

REFUSED = {
    "above": ("../../x", r"leads elsewhere by '\.\.'"),
    "above alone": ("..", "leads elsewhere"),
    "above in the middle": ("a/../../x", "leads elsewhere"),
    "here": (".", "leads elsewhere"),
    "absolute": ("/tmp/x", "absolute path"),
    "two slashes": ("a//b", "empty"),
    "slash at the end": ("a/", "empty"),
    "blank": ("a/ /b", "empty"),
    "blank at the end": ("a ", "blank"),
    "hidden": (".a", "begins with"),
    "an option": ("-rf", "begins with"),
    "an option below": ("a/-m", "begins with"),
    "a line break": ("a\nerror: all is well", "no terminal shows"),
    "an escape": ("a\x1b[2J", "no terminal shows"),
    "a zero byte": ("a\0", "no terminal shows"),
    "a turned direction": ("a\u202eb", "no terminal shows"),
    "half a letter": ("a\udcffb", "no terminal shows"),
    "long": ("x" * 300, "300 bytes"),
    "long in bytes": ("\u98ce" * 80, "240 bytes"),
}


@pytest.mark.parametrize(("name", "words"), REFUSED.values(), ids=REFUSED)
def test_names_that_lead_elsewhere(name: str, words: str) -> None:
    with pytest.raises(Refusal, match=words) as refusal:
        run_folder(None, name, **CHOICES)
    assert str(refusal.value).isprintable()
    assert "name=spade-1" in str(refusal.value)
    with pytest.raises(Refusal, match=r"^folder="):
        require_plain(name, option="folder")


@pytest.mark.parametrize(
    "name", ["a", "c/a1", "\u98ce\u666f", "a b", "a[1]", "a=b", "1.5", "loss=cx+dists", "a#b", 7, 0]
)
def test_names_that_are_folders_below_runs(name: object) -> None:
    assert run_folder(None, name, **CHOICES) == f"runs/{name}"


def test_a_run_without_name_is_named_after_its_choices() -> None:
    assert run_folder(None, None, **CHOICES) == "runs/gaugan_cx_now"
    assert len(run_folder(None, None, **{**CHOICES, "loss": "cx+" * 200})) < 200


def test_no_new_run_goes_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "runs").symlink_to("disk")  # the user's own choice of a disk
    assert place_of("a/b") == Path("runs/a/b")
    (tmp_path / "disk" / "a").symlink_to(tmp_path / "other")
    with pytest.raises(Refusal, match="runs/a is a link"):
        place_of("a/b")


def test_a_resumed_run_holds_no_link_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "a"
    (run / "checkpoints").mkdir(parents=True)
    (run / CONFIG).write_text("seed: 0\n")
    (run / "newest").symlink_to("checkpoints")
    assert run_folder("a", None, **CHOICES) == "runs/a"
    (run / "samples").symlink_to(tmp_path)
    with pytest.raises(Refusal, match="samples is a link out of"):
        run_folder("a", None, **CHOICES)
    (run / "samples").unlink()
    (run / "checkpoints" / "x").symlink_to("/etc/passwd")
    with pytest.raises(Refusal, match="x is a link out of"):
        require_own_files(run)


@pytest.mark.parametrize("resume", ["../../x", "x\0", "x" * 5000, "b"])
def test_what_is_no_run_is_not_made_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refusal, match="there is no run"):
        run_folder(resume, None, **CHOICES)
    assert not os.listdir(tmp_path)


def test_of_two_starts_at_once_one_takes_the_folder(tmp_path: Path) -> None:
    """The folder and a file of no consequence may be there; the config is what a run begins with."""
    told: list[str] = []
    gate = threading.Barrier(8)

    def start(number: int) -> None:
        gate.wait()
        try:
            create_run(tmp_path, OmegaConf.create({"seed": number}), digest=str(number), overrides=[])
            told.append("mine")
        except Refusal as refusal:
            told.append(str(refusal))

    threads = [threading.Thread(target=start, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("mine") == 1
    assert all("holds a run that has saved nothing yet already" in words for words in told if words != "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "run.json"]


def test_a_taken_name_is_told_with_the_name_that_resume_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = place_of("c/a1")
    create_run(folder, OmegaConf.create({"seed": 0}), digest="0", overrides=[])
    with pytest.raises(Refusal, match="go on with resume=c/a1"):
        create_run(folder, OmegaConf.create({"seed": 0}), digest="0", overrides=[])
    assert find_run(name_of(folder)) == folder


def test_what_the_environment_said_is_stored_as_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours stay, so that a resumed run's values still follow each other; the run can be read again."""
    monkeypatch.setenv("DATA", "pictures")
    register_resolvers()
    tree = {"seed": 0, "a": {"b": 2, "c": "${.b}"}, "d": ["${oc.env:DATA}", "x/${oc.env:DATA}", "${when:${a.b},3}"]}
    create_run(tmp_path, OmegaConf.create(tree), digest="0", overrides=[])
    assert "oc.env" not in (tmp_path / CONFIG).read_text()
    found = read_config(tmp_path)
    assert (found["a"]["c"], found["d"]) == ("${.b}", ["pictures", "x/pictures", "${when:${a.b},3}"])


def test_runs_of_sweeps_are_named_as_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("plain", "sweep/3", "study/sweep/0_seed=1"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / CONFIG).touch()
        assert find_run(name) == Path("runs") / name
    with pytest.raises(Refusal) as refused:
        find_run("nobody")
    for name in ("plain", "sweep/3", "study/sweep/0_seed=1"):
        assert name in str(refused.value)
