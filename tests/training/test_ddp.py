"""Two gloo processes equal one at the same global batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenegen.training.journal import read_rows
from tests.cli.command_line import TINY, run

# Half the step's arithmetic is summed in another order, and Adam with beta1 = 0 turns a rounding error of a gradient
# near zero into a whole step of some weights; the losses of the first steps agree to this, relative to their size.
TOLERANCE = 2e-3


def test_two_processes_equal_one_at_equal_global_batch(tmp_path: Path) -> None:
    common = (*TINY, "batch_size=4", "steps=4", "evaluate=false", "grid_every=100")
    one = run("train", *common, "name=one", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    two = run("train", *common, "name=two", "trainer=ddp", "trainer.accelerator=cpu", cwd=tmp_path)
    assert two.returncode == 0, two.stderr
    first, second = (read_rows(tmp_path / "runs" / name / "metrics.csv") for name in ("one", "two"))
    assert [row["step"] for row in first] == [row["step"] for row in second] == ["1", "2", "3", "4"]
    for a, b in zip(first, second, strict=True):
        for key in a:
            assert float(a[key]) == pytest.approx(float(b[key]), rel=TOLERANCE, abs=TOLERANCE), f"{key} at {a['step']}"
