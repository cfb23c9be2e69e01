"""The command line of train_scenenet: a real run on the embedded world, and refusals in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scenegen.networks.frozen import netfile

SMALL = ["size=tiny", "steps=2", "batch_size=2", "pictures=4", "held_out=2"]


def run(*arguments: str, cwd) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    command = [sys.executable, "-m", "scenegen.train_scenenet", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_a_run_writes_one_file_and_tells_its_accuracy(tmp_path):
    done = run(*SMALL, "role=trunk", "out=net.safetensors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pixel accuracy" in done.stdout
    assert "step 2/2" in done.stdout
    assert "img/s" in done.stdout
    file = netfile.read(tmp_path / "net.safetensors")
    assert file.role == "trunk"
    assert len(file.classes) == 29
    assert file.header["command"].startswith("python -m scenegen.train_scenenet size=tiny steps=2")
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    assert file.digest[:12] in done.stdout


REFUSED = {
    "role": (["role=judge"], "role='judge' should be one of trunk, scorer"),
    "steps": (["steps=many"], "steps='many' should be a whole number"),
    "too few": (["held_out=1"], "at least two"),
    "unknown key": (["stepz=2"], "stepz"),
    "unknown data": (["data=moon"], "moon"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_values_end_in_one_sentence(tmp_path, case):
    arguments, words = REFUSED[case]
    done = run(*SMALL, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
