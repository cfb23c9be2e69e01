"""scenegen as a library: its surface, its notebook, and what a type checker sees of it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
import pytest

import scenegen
from tests.sources import ROOT

if TYPE_CHECKING:
    from scenegen.config.opened import TrainedRun
    from scenegen.losses.objective import Objective
    from scenegen.scoring.record import Score

NOTEBOOK = ROOT / "docs" / "library.ipynb"


@pytest.fixture(scope="module")
def run() -> TrainedRun:
    return scenegen.open_run("landscapes")


def cells() -> list[str]:
    return [
        "".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"
    ]


def test_the_notebook_runs_and_names_the_whole_surface(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for cell in cells():
        exec(compile(cell, str(NOTEBOOK), "exec"), names)
    used = {node.attr for cell in cells() for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Attribute)}
    assert set(scenegen.__all__) <= used
    assert names["picture"].shape == (128, 128, 3)
    assert names["picture"].dtype == np.uint8
    assert names["score"].parts["psnr"].value < 20, "pictures of one colour are far from any photograph"
    assert "outside the 29 classes" in capsys.readouterr().out


def test_a_map_in_memory_is_painted_as_the_command_paints_its_file(run: TrainedRun, tmp_path) -> None:
    from PIL import Image

    from scenegen.sampling.generate import generate

    ids = np.arange(128)[:, None].repeat(128, axis=1) // 5
    folder = tmp_path / "maps"
    folder.mkdir()
    Image.fromarray(ids.astype(np.uint8)).save(folder / "stripes.png")
    data = run.inputs(labels=str(folder))
    (file,) = generate(run.model, data, out=tmp_path / "made", indices=[0], seed=3, batch_size=1)
    with Image.open(file) as picture:
        assert np.array_equal(scenegen.paint_map(run, ids, seed=3, name="stripes"), np.asarray(picture))
        assert not np.array_equal(scenegen.paint_map(run, ids, seed=4, name="stripes"), np.asarray(picture))


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (np.zeros((128, 128)), "whole numbers"),
        (np.zeros((1, 128, 128), int), "(h, w)"),
        (np.full((128, 128), 29), "outside the 29 classes"),
        (np.full((128, 128), -1), "outside the 29 classes"),
        (np.zeros((100, 128), int), "the nearest are height 96 or 128"),
    ],
)
def test_maps_that_the_run_does_not_paint_are_refused(run: TrainedRun, ids: np.ndarray, words: str) -> None:
    with pytest.raises(scenegen.Refusal) as refusal:
        scenegen.paint_map(run, ids)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["loss=cxx"], "Options of loss"),
        (["lossy=3"], "lossy"),
        (["size.height=0"], "size.height"),
        (["width=3"], "width takes one of"),
    ],
)
def test_words_that_do_not_compose_are_refused_as_on_the_command_line(words: list[str], answer: str) -> None:
    with pytest.raises(scenegen.Refusal) as refusal:
        scenegen.compose("train", *words)
    assert answer in str(refusal.value)


def test_importing_it_is_light() -> None:
    program = "import sys, scenegen; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "hydra", "omegaconf", "numpy", "pytorch_lightning"} & set(loaded)


def _types(run: TrainedRun, ids: np.ndarray) -> None:
    """Read by pyright in `make types`: the public names give what they say, never Any."""
    assert_type(scenegen.open_run("x"), TrainedRun)
    assert_type(scenegen.paint_map(run, ids), np.ndarray)
    assert_type(scenegen.compose("train"), dict[str, Any])
    assert_type(scenegen.build_objective({}), Objective)
    assert_type(scenegen.score_folder("x"), Score)
