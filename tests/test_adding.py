"""The examples of docs/add_a_*.md, added to a copy of the house as the pages say and used on the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import command_line

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("data_set", "loss", "measure", "model", "post", "trick")
EXAMPLE = re.compile(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```", re.M | re.S)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of src/ and conf/ with every page's files in it; who has followed a page has files of these names."""
    copy = tmp_path_factory.mktemp("house")
    for folder in ("src", "conf", "experiments"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for page in PAGES:
        files = EXAMPLE.findall((ROOT / "docs" / f"add_a_{page}.md").read_text())
        assert [Path(name).suffix for name, _ in files] == [".py", ".yaml"], f"add_a_{page}.md: one file and one YAML"
        for name, text in files:
            (copy / name).write_text(text)
    return copy


def run(house: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(house / "src"),
        "SCENEGEN_CONF": str(house / "conf"),
        "SCENEGEN_EXPERIMENTS": str(house / "experiments"),
    }
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def test_all_six_work_in_one_run(house: Path, tmp_path: Path) -> None:
    chosen = ("model=flat", "data=bands", "loss=charbonnier+hinge", "measure=saturation", "post=warm", "trick=mirror")
    tiny = ("debug=two_steps", "size=tiny", "width=tiny", "data.count=8", "data.test_count=4", "log_every=1", "name=a")
    done = run(house, "-m", "scenegen.train", *tiny, *chosen, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "runs/a/result.json").read_text())
    assert 0 < result["parts"]["saturation"]["value"] < 10
    assert result["protocol"]["measure"]["posts"] == ["warm 0.1"]
    assert [stage["after"] for stage in result["stages"]] == ["the model", "warm"]
    assert result["stages"][-1]["total"] == result["total"]
    assert f"s the total: {result['stages'][0]['total']:.4f} -> {result['total']:.4f} (mask_acc" in done.stdout
    header = (tmp_path / "runs/a/metrics.csv").read_text().splitlines()[0].split(",")
    assert {"charbonnier", "vgg", "l1", "gan", "D"} <= set(header)
    assert len(list((tmp_path / "runs/a/samples").glob("bands_*.png"))) == 4


@pytest.mark.thorough  # the page itself is made by `make docs`, before the tests
def test_the_loss_is_on_the_shelf_and_in_the_check(house: Path, tmp_path: Path) -> None:
    page = run(house, str(ROOT / "docs" / "losses_page.py"), "--effects", str(ROOT / "docs/ledger_effects.csv"),
               cwd=tmp_path)  # fmt: skip
    assert page.returncode == 0, page.stderr
    assert "| `charbonnier` |" in page.stdout


def test_an_unknown_slot_is_refused_with_the_known_ones(house: Path, tmp_path: Path) -> None:
    wrong = house / "conf" / "trick" / "wrong.yaml"
    wrong.write_text((house / "conf/trick/diffaugment.yaml").read_text().replace("augment:", "augmint:"))
    done = command_line.run("train", "trick=wrong", "debug=two_steps", cwd=tmp_path, SCENEGEN_CONF=str(house / "conf"))
    wrong.unlink()
    assert done.returncode == 1
    assert "trick.augmint is unknown; did you mean augment?" in done.stderr
    assert "average, augment, clip" in done.stderr
