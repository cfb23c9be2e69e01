"""Words of a command line: paths of any letters, keys and options that people bring, flags that do not exist."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.cli.command_line import run
from tests.table import Row, check, each
from tests.worlds import SMALL, pairs, trained

FOLDER = "数据集 (1) #a=b, [c] it's"
OWN = " ".join(word for word in SMALL if not word.startswith("data."))


def q(word: str) -> str:
    return shlex.quote(word)


PATHS = [
    Row("sample", f"sample {q('run=[a] (1)')} {q('out=出')} count=1 sheet=0 {q('labels=a#b')}",
        lambda h: (trained(h, "[a] (1)"), pairs(h / "x", count=1), (h / "x/val/labels").rename(h / "a#b")),
        status=0, spared=("出*",)),
    Row("run-that-is-not-there", f"sample {q('run=风景')}", trained, ("风景", " a")),
    Row("number-as-name", "sample run=2024", trained, ("'2024'",)),
]  # fmt: skip


@each(PATHS)
def test_a_path_is_a_path(row: Row) -> None:
    check(row)


def test_a_run_and_a_sweep_bear_any_name(tmp_path: Path) -> None:
    """The folder bears the name, and the overrides in its record are run again as they stand."""
    pairs(tmp_path / FOLDER)
    words = [*OWN.split(), "data=folder", f"data.root={FOLDER}", "name=风景, 1"]
    done = run("train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "runs" / "风景, 1" / "run.json").read_text())
    again = [word for word in record["overrides"] if not word.startswith("name=")]
    assert f"data.root={FOLDER}" not in again
    sweep = ["-m", *again, f"start_from={tmp_path}/runs/风景, 1".replace(",", "\\,"), "hydra.sweep.dir=景 (2)"]
    done = run("train", *sweep, "seed=1", "steps=1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (job,) = (tmp_path / "景 (2)").glob("0_*")
    assert (job / "run.json").is_file()
