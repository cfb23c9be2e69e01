"""The table of tricks: differences at equal seeds, posts against the pictures before them, the log's effect beside."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from scenegen.config.places import experiments_folder

SCRIPT = experiments_folder() / "tricks-table" / "summarise.py"
spec = importlib.util.spec_from_file_location("tricks_table", SCRIPT)
assert spec is not None
assert spec.loader is not None
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)


def result(total: float, fid: float) -> dict:
    return {"total": total, "parts": {"FID(efficientnet)": {"value": fid}}}


def job(folder: Path, words: list[str], content: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(content))
    (folder / "run.json").write_text(json.dumps({"config": "0", "overrides": words}))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for seed in (1, 2, 3):
        job(tmp_path / f"a{seed}", ["experiment=tricks-table", "trick=none", f"seed={seed}"], result(0.1 * seed, 90.0))
        job(tmp_path / f"b{seed}", ["trick=ema", f"seed={seed}"], result(0.1 * seed + 0.02, 85.0))
        after = result(0.3 + 0.01 * seed, 70.0)
        job(tmp_path / f"c{seed}", ["post=bicubic_x2", f"seed={seed}"], {**after, "stages": [result(0.3, 60.0), after]})
    job(tmp_path / "d1", ["attention=dual", "seed=1"], result(0.9, 1.0))
    return tmp_path


def test_differences_at_equal_seeds_and_the_logs_beside_them(sweep: Path) -> None:
    rows = table.summarise(table.read([sweep]), table.recorded(experiments_folder()))
    assert [row["choice"] for row in rows] == ["base", "trick=ema", "post=bicubic_x2"], "one seed is no choice"
    base, ema, post = rows
    assert (base["change"], base["total"]) == (0, pytest.approx(0.2))
    assert ema["change"] == pytest.approx(0.02)
    assert ema["high"] - ema["low"] < 1e-9, "the seeds agree"
    assert ema["fid_change"] == pytest.approx(-5)
    assert ema["log_fid_change"] == pytest.approx(44.91 - 44.78)
    assert (post["change"], post["fid_change"]) == (pytest.approx(0.02), pytest.approx(10))
    assert post["high"] - post["change"] == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    assert "| trick=ema | 3 | 0.2200 | +0.0200 [+0.0200, +0.0200] | 85.0 | -5.0 | +0.13 (offline-gaugan-05) |" in (
        table.markdown(rows)
    )
