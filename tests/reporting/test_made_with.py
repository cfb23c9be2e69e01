"""A result belongs to the config that it was made with, not to what its run was told later."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.reporting.made_with import made_with
from scenegen.runs.folder import RECORD, create_run, stored_config
from scenegen.runs.record import Changed, note_resume, overrides_of, read_record

STEPS = Changed("steps", 2, 40, "length")
RATE = Changed("optim.lr", 0.1, 0.2, "course")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 2 steps that went on to 40, and then with another rate."""
    folder = tmp_path / "a"
    cfg = OmegaConf.create({"seed": 1, "steps": 2, "optim": {"lr": 0.1}})
    create_run(folder, cfg, digest="first", overrides=["steps=2", "optim.lr=0.1", "name=a"])
    cfg.steps = 40
    note_resume(folder, cfg, step=2, digest="second", overrides=["resume=a", "++steps=40"], changes=[STEPS])
    cfg.optim.lr = 0.2
    note_resume(folder, cfg, step=9, digest="third", overrides=["resume=a", "++optim.lr=0.2"], changes=[RATE])
    return folder


def test_the_folder_says_what_the_run_was_told_last(run: Path) -> None:
    assert stored_config(run) == {"seed": 1, "steps": 40, "optim": {"lr": 0.2}}
    record = read_record(run)
    assert (record.config, record.born) == ("third", "first")
    assert [resume.step for resume in record.resumes] == [2, 9]
    assert overrides_of(run) == ["name=a", "steps=40", "optim.lr=0.2"]


def test_a_length_without_end_is_noted_so_that_the_record_is_read_again(run: Path) -> None:
    """JSON has no infinity, and a config that somebody changed may hold .inf."""
    cfg = OmegaConf.create({"seed": 1, "steps": 3, "optim": {"lr": 0.1}})
    endless = Changed("steps", math.inf, 3, "length")
    note_resume(run, cfg, step=2, digest="fourth", overrides=["resume=a", "++steps=3"], changes=[endless])
    assert read_record(run).resumes[-1].changes[0].was == "inf"


@pytest.mark.parametrize(
    ("digest", "steps", "rate", "apart", "way"),
    [
        ("third", 40, 0.2, 1, ["steps 2 -> 40 at step 2", "optim.lr 0.1 -> 0.2 at step 9"]),
        ("second", 40, 0.1, 0, ["steps 2 -> 40 at step 2", "before the run went on (optim.lr 0.1 -> 0.2)"]),
        ("first", 2, 0.1, 0, ["before the run went on (steps 2 -> 40, optim.lr 0.1 -> 0.2)"]),
        ("other", 40, 0.2, 1, ["does not record"]),
    ],
)
def test_a_result_is_read_with_its_own_config(run: Path, digest, steps, rate, apart, way) -> None:
    made = made_with(run, stored_config(run), digest=digest)
    assert (made.config["steps"], made.config["optim"]["lr"]) == (steps, rate)
    assert len(made.apart) == apart, "a rate that changed on the way is a recipe of its own"
    assert len(made.way) == len(way)
    assert all(part in sentence for part, sentence in zip(way, made.way, strict=True))


def test_a_run_that_never_stopped_is_as_it_began(tmp_path: Path) -> None:
    cfg = OmegaConf.create({"seed": 1, "steps": 2})
    create_run(tmp_path / "a", cfg, digest="first", overrides=["steps=2"])
    made = made_with(tmp_path / "a", stored_config(tmp_path / "a"), digest="first")
    assert (made.config, made.choices, made.apart, made.way) == ({"seed": 1, "steps": 2}, ["steps=2"], (), ())


@pytest.mark.parametrize("damage", [{"resumes": [1]}, {"overrides": "x"}, {"config": 3}, {"data": 5}])
def test_a_damaged_record_is_refused_with_its_place(run: Path, damage: dict) -> None:
    path = run / RECORD
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    with pytest.raises(Refusal, match=r"run\.json.*start_from=.*/a$"):
        read_record(run)
