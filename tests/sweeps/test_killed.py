"""A sweep that is killed: nothing that it started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("moment", ["0/log.txt", "1/child"], ids=["while a job starts", "while all run"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
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
        until(lambda: not processes(str(tmp_path)), seconds=10)
    finally:
        for left in processes(str(tmp_path)):
            os.kill(left, signal.SIGKILL)
