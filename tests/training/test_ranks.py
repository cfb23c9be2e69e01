"""Several processes of one run: where one ends, the others do, and one sentence says which and how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch.distributed import DistBackendError

from scenegen.base.refusal import Refusal
from scenegen.training import ranks
from scenegen.training.ranks import FIRST, Ranks
from tests.cli.command_line import TINY
from tests.sweeps.jobs import processes, until

GLOO = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:33112")


def trainer(*started: subprocess.Popen, local_rank: int = 0) -> pl.Trainer:
    """The little of a trainer that is asked for, with processes that were started."""
    launcher = _SubprocessScriptLauncher(LightningEnvironment(), num_processes=1 + len(started), num_nodes=1)
    launcher.procs = list(started)
    made = SimpleNamespace(world_size=2, local_rank=local_rank, strategy=SimpleNamespace(launcher=launcher))
    return made  # pyright: ignore[reportReturnType]


def other(*code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-S", "-c", *(code or ("import time; time.sleep(60)",))])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "PATIENCE", 0.2)
    monkeypatch.setenv(FIRST, str(os.getppid()))


def saved(folder: Path, step: int) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / f"step_{step:07d}.ckpt").touch()
    return folder


def test_a_killed_process_is_named_with_the_way_to_go_on(tmp_path: Path):
    left, killed = other(), other()
    killed.kill()
    killed.wait()
    words = r"rank 2 was ended by SIGKILL; the checkpoint of step 7 is whole: go on with resume=.*/run$"
    with pytest.raises(Refusal, match=words), Ranks(trainer(left, killed), saved(tmp_path / "run", 7)):
        raise GLOO
    assert left.wait() == -signal.SIGKILL, "no process is left"


def test_the_sentence_of_another_process_reaches_the_first(tmp_path: Path):
    with pytest.raises(Refusal, match="its file is gone"), Ranks(trainer(local_rank=1), tmp_path):
        raise Refusal("its file is gone")
    failed = other("raise SystemExit(1)")
    failed.wait()
    with (
        pytest.raises(Refusal, match="rank 1 failed: its file is gone; no checkpoint was saved before, so start"),
        Ranks(trainer(failed), tmp_path),
    ):
        raise GLOO
    assert not list(tmp_path.iterdir()), "nothing is left for the next start to read"


OTHERS = [
    RuntimeError("NCCL error: invalid usage, Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1000"),
    DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled cuda error, CUDA error: out of memory"),
    RuntimeError("[enforce fail at gloo/allreduce.cc:30] in.size == out.size. 4 vs 8"),
    RuntimeError("DataLoader timed out after 30 seconds"),
]
"""Errors of calls between processes, and of others, of which no process is gone."""


@pytest.mark.parametrize("error", OTHERS)
def test_an_error_of_a_call_of_which_nobody_is_gone_is_told_as_it_is(error, tmp_path: Path):
    started = other()
    with pytest.raises(type(error)) as raised, Ranks(trainer(started), tmp_path):
        raise error
    assert raised.value is error
    started.wait()
    with pytest.raises(type(error)) as raised, Ranks(trainer(local_rank=1), tmp_path):
        raise error
    assert raised.value is error
    assert str(error) in next(tmp_path.iterdir()).read_text(), "the first process can tell it"


def test_a_broken_call_without_a_lost_process_does_not_name_one(tmp_path: Path):
    started = other()
    words = r"a call between the processes of this run broke \(.*Connection closed by peer"
    with pytest.raises(Refusal, match=words), Ranks(trainer(started), tmp_path):
        raise GLOO


@pytest.mark.parametrize(
    "error", [Refusal("a loss is nan"), RuntimeError("a defect of ours"), KeyboardInterrupt("by hand")]
)
def test_an_error_of_its_own_stays_what_it_is(error, tmp_path: Path):
    started = other()
    with pytest.raises(type(error), match=str(error)), Ranks(trainer(started), tmp_path):
        raise error
    assert started.wait() == -signal.SIGKILL


def test_who_waits_for_the_dead_is_ended(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The first process hangs in a call that never returns; so does the second one, or its call breaks at once."""
    for local_rank, breaks, words in (
        (0, False, "rank 1 was ended by SIGKILL"),
        (1, False, "rank 0 ended before its time"),
        (1, True, "rank 0 ended before its time"),
    ):
        if (child := os.fork()) == 0:
            started = other()
            os.environ[FIRST] = "1"
            with Ranks(trainer(started, local_rank=local_rank), tmp_path):
                started.kill()
                if breaks:
                    raise GLOO
                time.sleep(60)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        assert f"error: the process of {words}; no checkpoint was saved before" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "status", "words"), [(1, 1, "rank 1 was ended by SIGKILL"), (0, -9, "rank 0 ended before its time")]
)
def test_a_killed_process_of_a_real_run(rank: int, status: int, words: str, tmp_path: Path) -> None:
    name = f"ranks_{os.getpid()}_{rank}"  # a test of another worker has a folder of the same name
    command = [sys.executable, "-m", "scenegen.train", *TINY, "steps=5000", "checkpoint_every=2", "evaluate=false",
               "trainer=ddp", "trainer.accelerator=cpu", f"name={name}"]  # fmt: skip
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(command, cwd=tmp_path, stdout=said, stderr=said)
    try:
        until(lambda: (tmp_path / f"runs/{name}/checkpoints/step_0000004.ckpt").is_file(), seconds=240)
        (started,) = set(processes(f"name={name}")) - {run.pid}
        os.kill(started if rank else run.pid, signal.SIGKILL)
        assert run.wait(timeout=60) == status
        until(lambda: not processes(f"name={name}"), seconds=60)
    finally:
        for left in processes(f"name={name}"):
            os.kill(left, signal.SIGKILL)
    lines = (tmp_path / "said").read_text()
    assert lines.count("error: ") == 1
    assert words in lines
    assert "Traceback" not in lines
    assert f"is whole: go on with resume={name}" in lines
