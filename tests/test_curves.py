"""Loss curves: the smoothing against closed forms, the picture from a real journal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.reporting.curves import draw_curves, smoothed
from scenegen.runs.journal import Journal


def test_smoothing_keeps_straight_lines_in_the_middle_and_constants_everywhere() -> None:
    line = np.arange(101.0)
    assert smoothed(line)[10:-10] == pytest.approx(line[10:-10])
    assert smoothed(np.full(50, 3.0)) == pytest.approx(np.full(50, 3.0))
    assert smoothed(np.array([0.0, 3.0, 0.0])) == pytest.approx([1.5, 1.0, 1.5])


def test_curves_are_drawn_from_a_journal_with_gaps(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.csv")
    draw_curves(tmp_path / "metrics.csv", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists(), "there is nothing to draw yet"
    for step in range(1, 30):
        journal.log_metrics({"G": step**-0.5, "D": 1.0, **({"r1": 2.0} if step % 7 == 0 else {})}, step=step)
    draw_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    width, height = Image.open(tmp_path / "curves.png").size
    assert width > height > 100


def test_a_panel_of_one_row_shows_its_value_and_two_rows_are_no_curve(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.csv")
    for step in range(1, 4):
        journal.log_metrics({"G": 1.0} if step == 3 else {"r1": 1.0}, step=step)
        draw_curves(tmp_path / "metrics.csv", tmp_path / f"{step}.png")
    assert [path.name for path in tmp_path.glob("*.png")] == ["3.png"]
    blue = np.array([31, 119, 180])  # C0
    pixels = np.asarray(Image.open(tmp_path / "3.png").convert("RGB"), int)
    assert (np.abs(pixels - blue).sum(-1) < 30).sum() > 9
