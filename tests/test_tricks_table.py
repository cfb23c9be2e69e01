"""The table of tricks: differences at equal seeds, verdicts where all judges agree, the log's effect beside."""

from __future__ import annotations

import csv
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

LOGGED = {name: 40.0 for rows in table.LOG.values() for name in rows} | {"offline-gaugan-05": 44.91}


def score(folder: Path, choice: str, seed: int, numbers: tuple[float, float, float, float], against: str) -> None:
    folder.mkdir(exist_ok=True)
    parts = dict(zip(table.ROLES.values(), numbers, strict=True))
    record = {"choice": choice, "seed": seed, "against": against, "state": "0", "parts": parts}
    (folder / f"{choice}-{seed}.json").write_text(json.dumps(record))


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    for seed in (1, 2, 3):
        score(tmp_path, "base", seed, (0.1 * seed, 90.0, 9.0, 50.0), "base")
        score(tmp_path, "trick=ema", seed, (0.1 * seed, 80.0 + seed, 8.0, 40.0), "base")
        score(tmp_path, "trick=diffaugment", seed, (0.1 * seed - 0.05, 80.0, 8.0, 40.0), "base")
        score(tmp_path, "attention=self", seed, (0.1 * seed, 95.0, 10.0, 60.0), "base")
        score(tmp_path, "attention=dual", seed, (0.1 * seed, 85.0, 8.0 if seed == 1 else 10.0, 40.0), "base")
        score(tmp_path, "post=bicubic_x2", seed, (0.3, 60.0, 5.0, 50.0), "post=bicubic_x2")
        if seed != 2:
            score(tmp_path, "post=esrgan_x2", seed, (0.3, 50.0, 4.0, 40.0), "post=bicubic_x2")
    score(tmp_path, "attention=simam", 1, (0.9, 1.0, 1.0, 1.0), "base")
    return tmp_path


def test_differences_at_equal_seeds_and_verdicts(scores: Path) -> None:
    rows = {row["choice"]: row for row in table.summarise(table.read(scores), LOGGED)}
    assert next(iter(rows)) == "base"
    assert "attention=simam" not in rows, "one seed is no choice"
    ema = rows["trick=ema"]
    assert (ema["fid"], ema["fid_change"], ema["scenenet_change"]) == (82, -8, -1)
    # Student's t of 2 degrees of freedom (any table of it): 4.303; the changes -9, -8, -7 deviate by 1.
    assert ema["fid_reach"] == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert {choice: row["verdict"] for choice, row in rows.items()} == {
        "base": "",
        "trick=ema": "better",
        "trick=diffaugment": "not told apart",  # the mask accuracy falls
        "attention=self": "worse",
        "attention=dual": "not told apart",  # one network disagrees at two seeds
        "post=bicubic_x2": "",
        "post=esrgan_x2": "better",
    }
    assert (rows["post=esrgan_x2"]["fid_change"], rows["post=esrgan_x2"]["lost"]) == (-10, "2")


def test_the_logs_effect_and_whether_its_sign_comes_back(scores: Path) -> None:
    logged = LOGGED | {"gaugan-32": 42.05, "gaugan-04": 42.69, "gaugan-28": 55.21, "offline-gaugan-02": 41.65}
    rows = {row["choice"]: row for row in table.summarise(table.read(scores), logged)}
    assert rows["trick=ema"]["log_fid_change"] == pytest.approx(4.91)
    assert {choice: rows[choice]["comes_back"] for choice in ("trick=ema", "trick=diffaugment", "attention=self")} == {
        "trick=ema": "no", "trick=diffaugment": "yes", "attention=self": "yes",
    }  # fmt: skip
    assert rows["attention=dual"]["comes_back"] == "not told apart"
    assert "| post=esrgan_x2 | 2 (lost: 2) | 50 | -10 ± 0 | -1.0 ± 0.0 | -10 ± 0 | +0.000 ± 0.000 | better |" in (
        table.markdown(list(rows.values()))
    )


def test_every_row_of_the_log_that_is_compared_is_recorded() -> None:
    assert {row for pair in table.LOG.values() for row in pair} <= table.recorded(experiments_folder()).keys()


def test_rows_without_scores_stay_while_their_base_is_the_same(scores: Path, tmp_path: Path) -> None:
    """Rows that are read back from results.csv make the same table; a base of other numbers takes its rows along."""
    file, rows = tmp_path / "results.csv", table.summarise(table.read(scores), LOGGED)
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, table.FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    few = [row for row in rows if row["choice"] in ("base", "trick=ema", "post=bicubic_x2")]
    whole = table.in_order([*few, *table.kept(file, few)])
    assert (whole, table.markdown(whole)) == (rows, table.markdown(rows))
    other = [{**row, "fid": row["fid"] + 1e-9} if row["choice"] == "base" else row for row in few]
    assert [row["choice"] for row in table.kept(file, other)] == ["post=esrgan_x2"]
    assert table.kept(tmp_path / "none.csv", few) == []
