"""The wheel alone, in an empty folder: commands, options, recipes and the net that comes along."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.config.documented import commands
from tests.sources import ROOT

pytestmark = pytest.mark.slow
MOST = 40 * 2**20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    if not uv.is_file():
        pytest.skip("uv is not beside python; make setup brings it")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path) -> Path:
    """Python of an environment that has the wheel, and the packages of this one beneath it."""
    place = wheel.parent / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    inside = next((place / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(inside)
    (inside / "beneath.pth").write_text(sysconfig.get_paths()["purelib"])
    return place / "bin" / "python"


def run(python: Path, folder: Path, *words: str) -> str:
    """What a command prints, in a folder that has nothing to do with the checkout."""
    away = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, "-m", *words], cwd=folder, env=away, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_is_small_and_holds_what_commands_read(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"scenegen/conf/{verb}.yaml" for verb in commands()} <= names
    recipes = {
        f"scenegen/experiments/{path.parent.name}/recipe.yaml" for path in ROOT.glob("experiments/*/recipe.yaml")
    }
    assert recipes <= names


def test_every_command_answers(python: Path, tmp_path: Path) -> None:
    where = run(python, tmp_path, "scenegen")
    for verb in commands():
        assert verb in where
        assert f"scenegen.{verb}" in run(python, tmp_path, f"scenegen.{verb}", "--help")


def test_it_paints_and_trains(python: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    Image.fromarray(np.repeat(np.arange(128, dtype=np.uint8)[:, None] // 32, 128, axis=1)).save(maps / "bands.png")
    run(python, tmp_path, "scenegen.sample", "run=landscapes", "labels=maps", "out=made")
    assert Image.open(tmp_path / "made" / "bands.png").size == (128, 128)
    run(python, tmp_path, "scenegen.train", "debug=two_steps", "loss=cx", "name=tiny")
    assert (tmp_path / "runs" / "tiny" / "result.json").is_file()
