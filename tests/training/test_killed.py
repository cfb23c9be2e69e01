"""A run that is killed at any moment and resumed ends as one that never stopped: weights, journal, grids and result."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from scenegen.data.sharding import write_shards
from scenegen.runs.folder import checkpoints_of, step_of
from scenegen.runs.record import read_record
from tests.cli.command_line import TINY, WARM, run, sentence
from tests.data import files
from tests.options import replaced
from tests.training.test_resume import assert_same_run

STEPS = 6
OPTIONS = (*TINY, "data.test_count=3", f"steps={STEPS}", "checkpoint_every=2", "keep_checkpoints=9", "grid_every=3",
           "trick=ema+diffaugment", "optim.decay_steps=30")  # fmt: skip
LONG = 3600
"""Seconds that a short training may take on a machine that does much else."""

MOMENTS = ("unsaved", "half", "saved", "row", "step", "sampled")


def killed(cwd: Path, moment: str, step: int, by: str, *words: str) -> tuple[int, str]:
    """Exit status and stderr of a training that sends itself a signal."""
    shutil.copy(Path(__file__).with_name("kill_driver.py"), cwd)
    status, _, errors, *_ = WARM.run(
        ["kill_driver", moment, str(step), by, *words],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=LONG,
    )
    return status, errors


def saved(folder: Path) -> list[int]:
    return [step_of(path) for path in checkpoints_of(folder)]


def assert_same_end(one: Path, other: Path) -> None:
    assert_same_run(one, other, STEPS)
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    grids = [{path.name: path.read_bytes() for path in (run / "grids").iterdir()} for run in (one, other)]
    assert grids[0] == grids[1]
    results = [json.loads((run / "result.json").read_text()) for run in (one, other)]
    for result in results:
        result["protocol"].pop("circumstances")
        assert result.pop("made_by")
    assert results[0] == results[1]
    assert not list(other.rglob("*.part"))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("straight")
    done = run("train", *OPTIONS, "name=a", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "runs" / "a"


def test_a_run_that_is_stopped_at_every_moment_ends_as_one_that_never_was(straight: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    assert killed(tmp_path, "unsaved", 2, "SIGKILL", *OPTIONS, "name=a")[0] == -signal.SIGKILL
    assert saved(folder) == []
    status, said = killed(tmp_path, "step", 2, "SIGTERM", "resume=a")
    assert status == 143, said
    assert "stopped at step 3, which is saved; go on with python -m scenegen.train resume=a" in said
    assert saved(folder) == [2, 3]
    assert killed(tmp_path, "half", 4, "SIGKILL", "resume=a")[0] == -signal.SIGKILL
    assert saved(folder) == [2, 3]
    assert killed(tmp_path, "row", 6, "SIGKILL", "resume=a")[0] == -signal.SIGKILL
    assert saved(folder) == [2, 3, 4]
    done = run("train", "resume=a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_end(straight, folder)
    assert [resume.step for resume in read_record(folder).resumes] == [0, 3, 3, 4]
    assert read_record(folder).way == []


def test_what_resume_says_where_nothing_is_left_and_what_it_records(straight: Path, tmp_path: Path) -> None:
    shutil.copytree(straight, tmp_path / "runs" / "a")
    folder = tmp_path / "runs" / "a"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    done = run("train", "resume=a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "run a has its 6 steps and its result" in done.stdout
    assert "run a is at step 6, and steps=2 is less" in sentence(run("train", "resume=a", "steps=2", cwd=tmp_path))
    assert "seed=5 (it has 0)" in sentence(run("train", "resume=a", "seed=5", cwd=tmp_path))
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    done = run("train", "resume=a", "steps=7", "loss.vgg.weight=5", "evaluate_count=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resumable" not in done.stdout + done.stderr
    assert "/?" not in done.stdout, "the bar has a total"
    record, result = read_record(folder), json.loads((folder / "result.json").read_text())
    assert record.config == result["config"] != record.born
    assert {change.key for change in record.resumes[-1].changes} == {"steps", "loss.vgg.weight", "evaluate_count"}
    assert "steps=7" in result["made_by"]
    assert "loss.vgg.weight 10.0 -> 5 at step 6" in result["made_by"]
    assert result["protocol"]["measure"]["labels"]["count"] == 2


def test_a_damaged_or_renamed_checkpoint_is_named_with_the_one_before_it(straight: Path, tmp_path: Path) -> None:
    shutil.copytree(straight, tmp_path / "runs" / "a")
    folder = tmp_path / "runs" / "a" / "checkpoints"
    os.truncate(folder / "step_0000006.ckpt", 1000)
    said = sentence(run("train", "resume=a", "steps=8", cwd=tmp_path))
    older = "resume=runs/a/checkpoints/step_0000004.ckpt"
    assert "step_0000006.ckpt is not a checkpoint" in said
    assert older in said
    done = run("train", older, "evaluate=false", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_run(straight, tmp_path / "runs" / "a", STEPS)
    assert (folder / "replaced_step_0000006.ckpt").stat().st_size == 1000
    (folder / "step_0000006.ckpt").rename(folder / "step_0000090.ckpt")
    assert "holds step 6, and its name says 90" in sentence(run("train", "resume=a", "steps=99", cwd=tmp_path))


def test_errors_begin_on_a_line_of_their_own_and_name_no_cure_that_is_not_there(tmp_path: Path) -> None:
    done = run("train", *TINY, "steps=3", "evaluate=false", "optim.lr_generator=1e18", "name=n", cwd=tmp_path)
    assert "at step" in (said := sentence(done))
    assert "no checkpoint was saved before" in said
    assert done.stdout.endswith("\n"), "the bar's line has ended"


@pytest.mark.parametrize(
    "workers", [pytest.param(0, marks=pytest.mark.thorough), pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_run_on_shards_that_is_killed_ends_as_one_that_never_was(workers: int, tmp_path: Path) -> None:
    """Killed within the second epoch of four steps, at a step that no checkpoint was saved for."""
    root = files.dataset(tmp_path / "folder", [f"p{i}" for i in range(9)])
    data = replaced("data/folder", split="train", root=str(root), val_fraction=0, height=64, width=64)
    shards = write_shards({"train": data}, tmp_path / "shards", per_shard=4, track=lambda items, _: items)
    assert shards["train"].shards == 3
    words = ("data=shards", f"data.root={tmp_path / 'shards'}", "data.val_fraction=0", "data.scale=1.2", "size=tiny",
             "width=tiny", "weights=random", "batch_size=2", "log_every=1", f"steps={STEPS}", "checkpoint_every=2",
             "keep_checkpoints=9", "grid_every=1000", "evaluate=false", "trick=ema+diffaugment", "name=a")  # fmt: skip
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    for cwd in (straight, stopped):
        cwd.mkdir()
    done = run("train", *words, cwd=straight)
    assert done.returncode == 0, done.stderr
    assert killed(stopped, "step", 5, "SIGKILL", *words, f"trainer.workers={workers}")[0] == -signal.SIGKILL
    assert saved(stopped / "runs" / "a") == [2, 4]
    done = run("train", "resume=a", cwd=stopped)
    assert done.returncode == 0, done.stderr
    assert_same_run(straight / "runs" / "a", stopped / "runs" / "a", STEPS)
    metrics = [(cwd / "runs" / "a" / "metrics.csv").read_text() for cwd in (straight, stopped)]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("moment", MOMENTS)
def test_each_moment_alone(moment: str, workers: int, straight: Path, tmp_path: Path) -> None:
    for step in (2, 4) if moment != "sampled" else (STEPS,):
        cwd = tmp_path / str(step)
        cwd.mkdir()
        words = (*OPTIONS, f"trainer.workers={workers}", "name=a")
        assert killed(cwd, moment, step, "SIGKILL", *words)[0] == -signal.SIGKILL
        done = run("train", "resume=a", "trainer.workers=0", cwd=cwd, timeout=LONG)
        assert done.returncode == 0, done.stderr
        assert_same_run(straight, cwd / "runs" / "a", STEPS)
        assert (straight / "metrics.csv").read_text() == (cwd / "runs" / "a" / "metrics.csv").read_text()


@pytest.mark.slow
def test_ctrl_c_and_a_signal_in_the_evaluation(straight: Path, tmp_path: Path) -> None:
    status, said = killed(tmp_path, "step", 3, "SIGINT", *OPTIONS, "name=a", "trainer.workers=2")
    assert status == 130, said
    assert "stopped at step 4, which is saved" in said
    status, said = killed(tmp_path, "sampled", 0, "SIGTERM", "resume=a")
    assert status == 143, said
    assert "the checkpoint of step 6 is whole: go on with python -m scenegen.train resume=a" in said
    done = run("train", "resume=a", "trainer.workers=0", cwd=tmp_path, timeout=LONG)
    assert done.returncode == 0, done.stderr
    assert_same_run(straight, tmp_path / "runs" / "a", STEPS)
