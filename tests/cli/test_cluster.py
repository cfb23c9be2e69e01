"""A sweep whose cluster loses a worker or a machine: other jobs end well, and the same command finishes the rest.

The clusters are simulated: submitit's local executor, and Ray in two nodes of one processor each on this machine.
"""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .command_line import TINY

pytestmark = pytest.mark.slow

LATE = 400.0
"""Seconds after which a test gives up waiting."""

STEPS = ("steps=30", "checkpoint_every=2", "evaluate=false", "seed=1,2", "hydra.sweep.dir=sweep")


def words_of(pid: int) -> str:
    """A process's command line, "" where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


def processes(*words: str) -> list[int]:
    """Processes whose command lines hold all words."""
    there = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in there if all(word in words_of(pid) for word in words)]


def wait_for(met: Callable[[], object]) -> None:
    end = time.monotonic() + LATE
    while not met():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


def started(cwd: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scenegen.train", "-m", *TINY, *STEPS, *words]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows(cwd: Path) -> dict[str, dict[str, str]]:
    with (cwd / "sweep/overview.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["job"] for row in found] == ["0", "1"], "each job has one row"
    return {row["job"]: row for row in found}


def saved(cwd: Path, number: int) -> bool:
    return any((cwd / f"sweep/{number}/checkpoints").glob("step_*.ckpt"))


def finished(cwd: Path, number: int) -> bool:
    return (cwd / f"sweep/{number}/checkpoints/step_0000030.ckpt").is_file()


def job_of(cwd: Path, ancestors: set[int]) -> int | None:
    """Number of the job that one of some processes has started and that is running."""
    for number in (0, 1):
        for pid in processes(f"{cwd}/sweep/{number}", "scenegen.train"):
            with contextlib.suppress(OSError):  # it has just ended
                while pid > 1 and pid not in ancestors:
                    pid = parent_of(pid)
                if pid > 1:
                    return number
    return None


def test_a_killed_worker_of_submitit_costs_its_own_job_alone(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed (the extra slurm)")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra slurm is not installed")
    sweep = started(tmp_path, "launcher=submitit_local")
    wait_for(lambda: saved(tmp_path, 0) or sweep.poll() is not None)
    (job,) = [
        pid for pid in processes(f"{tmp_path}/sweep/0", "scenegen.train") if "-m scenegen.train -m" not in words_of(pid)
    ]
    worker = parent_of(job)
    assert "submitit" in words_of(worker)
    os.kill(worker, signal.SIGKILL)
    said, _ = sweep.communicate(timeout=LATE)
    assert sweep.returncode == 1, said
    assert said.count("job 0: lost with its worker (Job") == 1, said
    assert "the same command with the same hydra.sweep.dir goes on" in said
    assert "Traceback" not in said
    assert rows(tmp_path)["1"]["state"] == "done"
    assert rows(tmp_path)["0"]["state"] in ("failed", "not done")
    assert finished(tmp_path, 1)
    assert not finished(tmp_path, 0)
    again = started(tmp_path, "launcher=submitit_local")
    said, _ = again.communicate(timeout=LATE)
    assert again.returncode == 0, said
    assert {row["state"] for row in rows(tmp_path).values()} == {"done"}
    assert "resumes" in (tmp_path / "sweep/0/log.txt").read_text() or finished(tmp_path, 0)
    assert processes(str(tmp_path)) == []


def test_jobs_of_a_killed_ray_node_go_on_at_the_other_one(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed (the extra ray)")
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    # The nodes keep the address that Ray gives them: in an address to join it reads 127.0.0.1 as this machine's own.
    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        other = cluster.add_node(**node)
        cluster.wait_for_nodes()
        sweep = started(tmp_path, "launcher=ray", f"hydra.launcher.ray.init.address={cluster.address}")
        started_by = {info.process.pid for infos in other.all_processes.values() for info in infos}
        wait_for(lambda: (lost := job_of(tmp_path, started_by)) is not None and saved(tmp_path, lost))
        lost = job_of(tmp_path, started_by)
        cluster.remove_node(other, allow_graceful=False)
        said, _ = sweep.communicate(timeout=LATE)
        assert sweep.returncode == 0, said
        assert {row["state"] for row in rows(tmp_path).values()} == {"done"}
        assert finished(tmp_path, 0)
        assert finished(tmp_path, 1)
        assert "goes on from step" in (tmp_path / f"sweep/{lost}/log.txt").read_text()
    finally:
        cluster.shutdown()
    wait_for(lambda: processes(str(tmp_path)) == [])
