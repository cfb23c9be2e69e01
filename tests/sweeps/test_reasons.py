"""The sentence of every failure: in the terminal, in the log's last line, in overview.csv."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from scenegen.sweeps.log import conclude
from scenegen.sweeps.pool import Pool
from scenegen.sweeps.table import FILE, write_table

from .jobs import job, program_in

CASES = [
    ("bar", "ended with status 1: it became nan", "it became nan"),
    ("report", "ended with status 1: two faults: a is 1 b is 2", "two faults: a is 1 b is 2"),
    ("silent", "ended with status 3: no output", "ended with status 3: no output"),
    ("SIGTERM", "ended by SIGTERM", "ended by SIGTERM"),
    ("SIGKILL", *["ended by SIGKILL, which the system sends where memory runs out"] * 2),
]


@pytest.mark.parametrize(("how", "said", "line"), CASES, ids=[case[0] for case in CASES])
def test_a_failure_says_why_in_three_places(how, said, line, tmp_path: Path, capsys):
    sweep = tmp_path / "sweep"
    with Pool(program=program_in(tmp_path)) as pool:
        (outcome,) = pool.work([made := job(sweep, 0, f"do={how}")])
    assert (outcome.status, outcome.sentence) == ("failed", said)
    assert f"job 0: failed, {said}\n" in capsys.readouterr().err
    assert (made.folder / "log.txt").read_text().endswith(f"error: {line}\n")
    write_table(sweep)
    (row,) = csv.DictReader((sweep / FILE).open())
    assert (row["state"], row["reason"]) == ("failed", line)


def test_the_reason_is_that_of_the_last_start(tmp_path: Path):
    log = tmp_path / "log.txt"
    log.write_text("error: of the first start\n")
    before = log.stat().st_size
    with log.open("a") as file:
        file.write("of the second")
    assert conclude(log, 1, start=before) == "ended with status 1: of the second"
    assert log.read_text().splitlines()[1:] == ["of the second", "error: ended with status 1: of the second"]


def test_a_log_is_read_at_its_end_only(tmp_path: Path):
    log = tmp_path / "log.txt"
    log.write_text("error: an old one\n" + "x" * (1 << 20) + "\nerror: \x1b[31mred\x1b[0m\n")
    assert conclude(log, 1, start=0) == "ended with status 1: \\x1b[31mred\\x1b[0m"


def test_a_job_that_cannot_be_started_is_a_failure_of_its_own(tmp_path: Path, capsys):
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    (blocked := job(sweep, 0)).folder.write_text("a file in the folder's place")
    with Pool(program=program_in(tmp_path)) as pool:
        bad, good = pool.work([blocked, job(sweep, 1)])
    assert (bad.status, good.status) == ("failed", "done")
    assert "cannot be started" in bad.sentence
    assert "job 0: failed, cannot be started" in capsys.readouterr().err
