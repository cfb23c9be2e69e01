"""Jobs forked from a warm process against jobs in an interpreter of their own: outcomes, logs, process groups."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scenegen.sweeps.pool import Pool

from .jobs import PROGRAM, job, processes, until


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A job's program as a module of the folder in which the sweep runs."""
    (tmp_path / "fake_job.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    return ["-m", "fake_job"]


def test_forked_jobs_end_as_interpreters_do(module: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Outcomes and logs of both ways are compared, job by job."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    words = ("value=3", "do=report", "do=silent", "do=SIGKILL")
    ways = {}
    for way, warm in (("warm", ("json", "scenegen.runs")), ("cold", ())):
        work = [job(tmp_path / way, number, word) for number, word in enumerate(words)]
        with Pool(program=module, warm=warm, width=2, say=lambda text: None) as pool:
            outcomes = pool.work(work)
            assert (pool.server is not None) is bool(warm)
        logs = [(job.folder / "log.txt").read_text() for job in work]
        ways[way] = [(o.status, o.value, o.sentence, log) for o, log in zip(outcomes, logs, strict=True)]
    assert ways["warm"] == ways["cold"]
    assert [status for status, *_ in ways["warm"]] == ["done", "failed", "failed", "failed"]


BROKEN = {
    "at its start": "import os\nos._exit(3)\n",
    "slowly": "import os, time\nos.closerange(3, 99)\ntime.sleep(1)\nos._exit(3)\n",  # its pipes close before it ends
    "killed": "",
}


@pytest.mark.parametrize("ends", BROKEN)
def test_a_server_that_ends_is_told_and_the_other_jobs_are_interpreters(module: list[str], tmp_path: Path, ends: str):
    (tmp_path / "broken.py").write_text(BROKEN[ends])
    said = []
    with Pool(program=module, warm=("broken",), width=1, say=said.append) as pool:
        first = pool.work([job(tmp_path / "sweep", 0, "value=3")])
        if ends == "killed":
            assert pool.server is not None
            os.kill(pool.server.process.pid, signal.SIGKILL)
            pool.server.process.wait()
        rest = pool.work([job(tmp_path / "sweep", number, f"value={number}") for number in (1, 2)])
    assert [outcome.value for outcome in (*first, *rest)] == [3, 1, 2]
    assert len([line for line in said if "has ended" in line]) == 1


SWEEP = """
import sys
from pathlib import Path
from scenegen.sweeps import job, pool
job.GRACE = 0.5
work = [job.Job(i, [f"do={how}"], "", Path(sys.argv[1]) / str(i), "digest") for i, how in enumerate(("hang", "deaf"))]
with pool.Pool(program=["-m", "fake_job"], width=2, warm=("json",)) as shop:
    shop.work(work)
"""


def test_forked_jobs_end_with_a_sweep_that_is_killed(module: list[str], tmp_path: Path):
    """Two jobs, one of which ignores SIGTERM, their children and the server, all found by the sweep's folder."""
    sweep = subprocess.Popen([sys.executable, "-c", SWEEP, str(tmp_path / "sweep")], stdout=subprocess.DEVNULL)
    try:
        until(lambda: all((tmp_path / "sweep" / str(i) / "child").exists() for i in range(2)))
        assert len(processes(str(tmp_path))) >= 6
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
        until(lambda: not processes(str(tmp_path)))
    finally:
        for left in processes(str(tmp_path)):
            os.kill(left, signal.SIGKILL)
