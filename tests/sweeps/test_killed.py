"""A sweep that is killed: nothing that it started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scenegen.base.documents import read_table
from scenegen.runs.rows import read_rows
from scenegen.sweeps.table import FILE
from tests.worlds import SMALL

from .jobs import processes, program_in, until

SWEEP = """
import sys
from pathlib import Path
from scenegen.sweeps import job, pool
job.GRACE = 0.5
work = [job.Job(i, [f"do={how}"], "", Path(sys.argv[2]) / str(i), "digest") for i, how in enumerate(sys.argv[3:])]
with pool.Pool(program=[sys.argv[1]], width=len(work)) as shop:
    shop.work(work)
"""


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(signal.SIGKILL, "0/log.txt", id="killed while a job starts"),
        pytest.param(signal.SIGHUP, "1/child", id="hung up while all run"),
        pytest.param(signal.SIGKILL, "1/child", id="killed while all run", marks=pytest.mark.thorough),
        pytest.param(signal.SIGHUP, "0/log.txt", id="hung up while a job starts", marks=pytest.mark.thorough),
    ],
)
def test_jobs_end_with_their_sweep(number, moment, tmp_path: Path):
    """Two jobs, one of which ignores SIGTERM, and a process of each."""
    sweep = subprocess.Popen(
        [sys.executable, "-c", SWEEP, *program_in(tmp_path), str(tmp_path / "sweep"), "hang", "deaf"],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: (tmp_path / "sweep" / moment).exists())
        os.kill(sweep.pid, number)
        sweep.wait()
        until(lambda: not processes(str(tmp_path)))
    finally:
        for left in processes(str(tmp_path)):
            os.kill(left, signal.SIGKILL)


QUICK = """
import os, sys, time
folder = sys.argv[-1].partition("=")[2].strip("'")
held = folder + "/../../held"  # the number from which jobs wait while it is there
while os.path.exists(held) and int(sys.argv[1].partition("=")[2]) >= int(open(held).read()):
    time.sleep(0.01)
with open(folder + "/run.json", "w") as file:
    file.write('{"config": "digest", "overrides": ["%s"]}' % sys.argv[1])
if "do=silent" in sys.argv:
    sys.exit(3)
with open(os.environ["SCENEGEN_RETURN"], "w") as file:
    file.write(sys.argv[1].partition("=")[2])
"""

MANY = """
import sys
from pathlib import Path
from scenegen.sweeps import job, pool, table
job.GRACE = 0.5
sweep = Path(sys.argv[2])
work = [job.Job(i, [f"value={i}", *(["do=silent"] if i % 10 == 7 else [])], "", sweep / f"{i}_job", "digest")
        for i in range(int(sys.argv[3]))]
pool.PAUSE = 0.01
with pool.Pool(program=["-S", sys.argv[1]], width=4) as shop:
    shop.work(work)
table.write_table(sweep)
"""


@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.thorough)])
def test_jobs_of_which_a_tenth_fail_killed_in_the_middle_and_started_again(count: int, tmp_path: Path, monkeypatch):
    """With jobs that take no time, but for the last ones, which wait for the kill."""
    (tmp_path / "job.py").write_text(QUICK)
    (tmp_path / "held").write_text(f"{0.6 * count:.0f}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # or else torch is asked for GPUs
    command = [sys.executable, "-c", MANY, str(tmp_path / "job.py"), str(tmp_path / "sweep"), str(count)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(list((tmp_path / "sweep").glob("*/return.json"))) >= 0.4 * count)
    first.kill()
    first.wait()
    until(lambda: not processes(str(tmp_path)))
    (tmp_path / "held").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").glob("*/return.json")}
    assert len(before) < 0.9 * count, "it was killed in the middle"
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.count("skipped, was done before") == len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was done is not done again"
    until(lambda: not processes(str(tmp_path)))
    failing = set(range(7, count, 10))
    check(tmp_path / "sweep", done.stderr, failing=failing, jobs=count, reason="ended with status 3: no output")


def check(sweep: Path, errors: str, *, failing: set[int], jobs: int, reason: str) -> None:
    """A result for every job but those that fail, whose reason stands in three places; one row for each job."""
    assert len(list(sweep.glob("*/return.json"))) == jobs - len(failing)
    rows = read_table(sweep / FILE, what="overview", cure="look")
    assert [int(row["job"]) for row in rows] == list(range(jobs))
    assert {int(row["job"]) for row in rows if row["state"] == "failed"} == failing
    assert sum(row["state"] == "done" for row in rows) == jobs - len(failing)
    for row in rows:
        if row["state"] == "failed":
            assert reason in row["reason"]
            assert (sweep / row["folder"] / "log.txt").read_text().endswith(f"error: {row['reason']}\n")
            assert f"job {row['job']}: failed, " in errors
    assert errors.count(reason) >= len(failing)


@pytest.mark.slow
def test_a_hundred_trainings_of_which_ten_fail_late_killed_in_the_middle_and_started_again(tmp_path: Path):
    """Real ones, two at a time, two minutes of two cores; the losses of one in ten become nan while its bar runs."""
    rates = [*(f"{rate}e-4" for rate in range(1, 10)), "1e18"]
    command = [sys.executable, "-m", "scenegen.train", "-m", *SMALL, "hydra.sweep.dir=sweep", "hydra.launcher.jobs=2",
               f"seed={','.join(map(str, range(10)))}", f"optim.lr_generator={','.join(rates)}"]  # fmt: skip
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sweep = tmp_path / "sweep"
    until(lambda: len(list(sweep.glob("*/return.json"))) >= 40, seconds=3600)
    first.kill()
    first.wait()
    until(lambda: not processes(str(sweep)), seconds=60)
    before = {path: path.stat().st_mtime_ns for path in sweep.glob("*/return.json")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 1
    assert done.stdout.count("skipped, was done before") == len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was done is not done again"
    until(lambda: not processes(str(sweep)), seconds=60)
    check(sweep, done.stderr, failing=set(range(9, 100, 10)), jobs=100, reason="at step")
    for path in sweep.glob("*/return.json"):
        assert [row["step"] for row in read_rows(path.with_name("metrics.csv"))] == ["1", "2"]
