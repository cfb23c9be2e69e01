"""The main job as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.runs.journal import read_rows
from tests.cli.command_line import DATA, TINY, run


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """python -m scenegen.train model=gaugan loss=cx+dists, two tiny steps, with every logger."""
    cwd = tmp_path_factory.mktemp("train")
    tiny = [item for item in TINY if item != "weights=random"]
    overrides = ("model=gaugan", "loss=cx+dists", *tiny, "steps=2", "grid_every=1", "name=a", "trick=ema",
                 "logger=tensorboard+wandb")  # fmt: skip
    finished = run("train", *overrides, cwd=cwd, WANDB_MODE="offline")
    assert finished.returncode == 0, finished.stderr
    assert "jittor2022" in finished.stdout
    return cwd


def test_the_folder_of_a_run_holds_what_it_was_and_what_came_out(done: Path) -> None:
    run_folder = done / "runs" / "a"
    for name in ("config.yaml", "run.json", "classes.json", "metrics.csv", "result.json", "contact_sheet.png"):
        assert (run_folder / name).stat().st_size > 0, name
    assert len(list((run_folder / "grids").glob("*.png"))) == 2
    assert len(list((run_folder / "samples").glob("*.png"))) == 4
    assert list((run_folder / "tensorboard").glob("events*"))
    assert list(run_folder.glob("wandb/offline-run-*/*.wandb"))
    assert not list(run_folder.rglob("*.part"))
    result = json.loads((run_folder / "result.json").read_text())
    assert 0 <= result["total"] <= 1
    assert any("stand-in" in mark for mark in result["marks"]), result["marks"]
    assert json.loads((run_folder / "run.json").read_text())["config"] == result["config"]
    header = (run_folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"step", "gan", "feature_matching", "vgg", "kld", "cx", "dists", "G", "D_fake", "D_real", "D"} <= set(header)


def test_sampling_is_named_after_labels_seeded_and_diverse(done: Path) -> None:
    first = run("sample", "run=a", "out=s1", "seed=3", "n_per_label=2", "count=2", cwd=done)
    assert first.returncode == 0, first.stderr
    again = run("sample", "run=a", "out=s2", "seed=3", "n_per_label=2", "count=2", "batch_size=1", cwd=done)
    assert again.returncode == 0, again.stderr
    names = sorted(p.name for p in (done / "s1").glob("*.png"))
    assert names == sorted(p.name for p in (done / "s2").glob("*.png"))
    assert [n.rpartition("_")[2] for n in names] == ["0.png", "1.png"] * 2
    pictures = [np.asarray(Image.open(done / "s1" / n), int) for n in names]
    repeated = [np.asarray(Image.open(done / "s2" / n), int) for n in names]
    for a, b in zip(pictures, repeated, strict=True):
        assert np.abs(a - b).max() <= 1, "a picture depends on the batch it is made in"
    assert np.abs(pictures[0] - pictures[1]).max() > 0, "two draws of one label map are the same picture"
    assert (done / "s1_sheet.png").is_file()


def test_sampling_own_label_maps_with_a_style(done: Path) -> None:
    maps = done / "maps"
    maps.mkdir()
    Image.fromarray(np.full((48, 96), 1, np.uint16)).save(maps / "all_sky.png")
    style = next((done / "runs" / "a" / "samples").glob("*.png"))
    finished = run("sample", "run=a", f"labels={maps}", f"style={style}", "fit=crop", "out=mine", cwd=done)
    assert finished.returncode == 0, finished.stderr
    assert Image.open(done / "mine" / "all_sky.png").size == (64, 64)


def test_scoring_the_samples_gives_the_result_of_the_run(done: Path) -> None:
    finished = run("score", "generated=runs/a/samples", *DATA, "json=score.json", cwd=done)
    assert finished.returncode == 0, finished.stderr
    score = json.loads((done / "score.json").read_text())
    result = json.loads((done / "runs" / "a" / "result.json").read_text())
    assert score["total"] == pytest.approx(result["total"], abs=1e-9)


@pytest.mark.parametrize("verb", ["train", pytest.param("report", marks=pytest.mark.thorough)])
def test_a_closed_pipe_is_no_error(verb: str, tmp_path: Path) -> None:
    line = f"{sys.executable} -m scenegen.{verb} --help | head -n 1"
    shown = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert len(shown.stdout.strip()) > 20
    assert shown.stderr == ""


def test_help_and_cfg_answer_before_torch_is_imported(tmp_path: Path) -> None:
    for flags in (["--help"], ["--cfg", "job", "loss=cx+dists"]):
        program = (
            "import sys, runpy\n"
            f"sys.argv = ['scenegen.train', *{flags!r}]\n"
            "try:\n    runpy.run_module('scenegen.train', run_name='__main__')\n"
            "finally:\n    print('LOADED', sorted({'torch', 'numpy', 'pytorch_lightning', 'wandb'} & set(sys.modules)))"
        )
        shown = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert "LOADED []" in shown.stdout, shown.stdout[-300:] + shown.stderr[-500:]
        assert "cx" in shown.stdout


@pytest.mark.parametrize(
    "machine",
    [
        ["trainer.precision=bf16-mixed", "trainer.channels_last=true"],
        pytest.param(["trainer.compile=true"], marks=pytest.mark.slow),
    ],
)
def test_precision_memory_format_and_compilation_are_choices(machine: list[str], tmp_path: Path) -> None:
    common = (*TINY, "loss=cx+dists", "steps=2", "evaluate=false", "grid_every=100")
    plain = run("train", *common, "name=plain", cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    other = run("train", *common, "name=other", *machine, cwd=tmp_path, timeout=900)
    assert other.returncode == 0, other.stderr
    first, second = (read_rows(tmp_path / "runs" / name / "metrics.csv")[0] for name in ("plain", "other"))
    for key in first:  # the first step's losses, before any rounding could grow; bfloat16 has 8 bits
        assert float(second[key]) == pytest.approx(float(first[key]), rel=0.05, abs=0.02), key
