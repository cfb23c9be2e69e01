"""Verdicts on runs whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenegen.base.records import Refusal
from scenegen.config.stored import read_config
from scenegen.reporting import comparison
from scenegen.reporting.comparison import compare, holm
from scenegen.reporting.quantities import Total, quantities
from scenegen.reporting.results import by_recipe, find
from scenegen.scoring.contest import Jittor2022
from tests.cli.command_line import run, sentence
from tests.reporting.fakes import write_run, write_slices


def test_holm_equals_r() -> None:
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") of R's stats package."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def sweep(folder: Path, accuracy: dict[str, float], seeds: int = 3, **more) -> Path:
    for loss, value in accuracy.items():
        for seed in range(seeds):
            drift = np.random.default_rng([seed, 7]).normal(0, 0.002)
            write_run(folder / f"{loss}_{seed}", seed=seed, loss=loss, accuracy=value + drift, **more)
    return folder


def verdicts(folder: Path) -> dict[tuple[str, str], comparison.Pair]:
    (found,) = compare(by_recipe(find([folder], read_config=read_config)), by=[Total(Jittor2022())])
    return {(pair.first, pair.second): pair for pair in found.pairs}


def test_a_real_difference_is_found_and_none_where_there_is_none(tmp_path: Path) -> None:
    found = verdicts(sweep(tmp_path / "s", {"a": 0.80, "b": 0.83, "c": 0.80}))
    assert found["loss=b", "loss=a"].verdict == "better"
    assert found["loss=b", "loss=c"].verdict == "better"
    (even,) = (pair for names, pair in found.items() if "loss=b" not in names)
    assert even.verdict == "cannot be told apart"
    # 0.03 of mask_acc at quality (5/10 + 0.6) / 2 is 0.0165 of the total
    assert found["loss=b", "loss=a"].difference == pytest.approx(0.0165, abs=0.002)
    assert all(pair.paired for pair in found.values())


def test_label_maps_pair(tmp_path: Path) -> None:
    """The difficulty of each map cancels: far smaller than the spread over maps alone would allow."""
    found = verdicts(sweep(tmp_path / "s", {"a": 0.80, "b": 0.83}, spread=0.1))
    pair = found["loss=b", "loss=a"]
    alone = 0.55 * 0.1 / 60**0.5 * 2**0.5
    assert (pair.high - pair.low) / 2 < 4.3 * alone  # t of two degrees of freedom
    assert pair.verdict == "better"


def test_one_seed_is_said_to_be_one_seed(tmp_path: Path) -> None:
    (pair,) = verdicts(sweep(tmp_path / "s", {"a": 0.80, "b": 0.83}, seeds=1)).values()
    assert "other seeds unknown" in pair.verdict


def test_equal_recipes_are_seldom_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the null hypothesis 5 % of the questions are answered wrongly; 40 of them stay below 7 with p = 0.995."""
    monkeypatch.setattr(comparison, "RESAMPLES", 100)
    wrong = 0
    for trial in range(40):
        folder = tmp_path / str(trial)
        for loss in ("a", "b"):
            for seed in range(3):
                drift = np.random.default_rng([trial, seed, ord(loss)]).normal(0, 0.01)
                write_run(folder / f"{loss}{seed}", seed=seed, loss=loss, accuracy=0.8 + drift, maps=trial)
        wrong += next(iter(verdicts(folder).values())).p < 0.05
    assert wrong < 7


def test_what_does_not_compare(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", seed=1, loss="a")
    with pytest.raises(Refusal, match="one recipe only"):
        compare(by_recipe(find([one], read_config=read_config)), by=[Total(Jittor2022())])
    other = write_run(tmp_path / "other", seed=1, loss="b", protocol="two")
    with pytest.raises(Refusal, match=r"one .* and other .* do not compare.*fid: one \| two"):
        compare(by_recipe(find([one, other], read_config=read_config)), by=[Total(Jittor2022())])
    fewer = write_run(tmp_path / "fewer", seed=1, loss="b", pictures=50)
    with pytest.raises(Refusal, match="other label maps"):
        compare(by_recipe(find([one, fewer], read_config=read_config)), by=[Total(Jittor2022())])
    again = write_run(tmp_path / "again", seed=1, loss="a")
    with pytest.raises(Refusal, match="one recipe with one seed"):
        by_recipe(find([one, again], read_config=read_config))
    (again / "result.json").unlink()
    with pytest.raises(Refusal, match="holds no finished run"):
        find([again], read_config=read_config)


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """A sweep of denoisers whose errors are 40 and 44 HU, two seeds each."""
    for loss, rmse in {"good": 40.0, "bad": 44.0}.items():
        for seed in range(2):
            drift = np.random.default_rng(seed).normal(0, 0.1)
            write_slices(tmp_path / "runs" / "s" / f"{loss}{seed}", seed=seed, loss=loss, rmse=rmse + drift)
    return tmp_path


def test_runs_without_a_total_are_compared_by_each_measure_in_its_direction(slices: Path) -> None:
    """10 % more error are 20 log10(1.1) = 0.83 dB less; seeds drift alike, so that the pairs differ by that alone."""
    found = find([slices / "runs" / "s"], read_config=read_config)
    by, left = quantities(found)
    assert left == ["tv is not compared: neither direction is better",
                    "kid is not compared: no values of single pictures"]  # fmt: skip
    level, error = compare(by_recipe(found), by=by)
    assert (level.quantity, level.better, error.quantity, error.better) == ("psnr_hu", "higher", "rmse_hu", "lower")
    assert list(level.means) == list(error.means) == ["loss=good", "loss=bad"]
    (louder,), (nearer,) = level.pairs, error.pairs
    assert louder.difference == pytest.approx(20 * np.log10(1.1), abs=0.02)
    assert nearer.difference == pytest.approx(-4, abs=0.1)
    assert louder.verdict == nearer.verdict == "better"
    alone = [compare(by_recipe(found), by=[one])[0].pairs[0].p for one in by]
    assert [louder.p, nearer.p] == pytest.approx(holm(alone)), "corrected for both questions together"


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (["total"], "no scorer was chosen; by= may name psnr_hu, rmse_hu, tv, kid"),
        (["fid"], "no run has fid; by= may name"),
        (["tv"], "whether a higher or a lower tv is better"),
        (["kid"], "kid of .* is not compared: no values of single pictures"),
    ],
)
def test_what_runs_without_a_total_do_not_compare_by(slices: Path, by: list[str], words: str) -> None:
    found = find([slices / "runs" / "s"], read_config=read_config)
    with pytest.raises(Refusal, match=words):
        compare(by_recipe(found), by=quantities(found, by=by)[0])


def test_a_set_s_number_that_is_no_mean_over_pictures_is_not_resampled(slices: Path) -> None:
    (run,) = find([slices / "runs" / "s" / "good0"], read_config=read_config)
    moved = {**run.record["parts"], "rmse_hu": {"value": 39.0, "better": "lower"}}
    told = replace(run, record={**run.record, "parts": moved})
    assert quantities([told])[1][-2:] == [
        "tv is not compared: neither direction is better",
        "kid is not compared: no values of single pictures",
    ]
    assert "rmse_hu is not compared: it is no mean over the pictures" in quantities([told])[1]


def test_tasks_are_not_compared(slices: Path) -> None:
    write_run(slices / "runs" / "scene", seed=0, loss="a")
    finished = run("compare", "runs=s,scene", cwd=slices)
    assert "the runs are of the tasks denoising and scene" in sentence(finished)


def test_the_command(tmp_path: Path) -> None:
    sweep(tmp_path / "runs" / "s", {"a": 0.80, "b": 0.83}, seeds=2)
    finished = run("compare", "runs=s", "json=out/c.json", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "pairs differ" in finished.stdout
    assert (tmp_path / "out" / "c.json").is_file()
    assert "there is no run or sweep nothing" in sentence(run("compare", "runs=nothing", cwd=tmp_path))
