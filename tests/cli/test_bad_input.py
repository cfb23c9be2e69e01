"""Wrong input ends with one clear sentence and status 1, and loses nothing: real command lines."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.runs.checkpoints import load
from tests.cli.command_line import TINY, run, sentence


def write_pairs(root: Path, *, count: int = 4, size: tuple[int, int] = (64, 32), classes: int = 3) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (root / split / "images").mkdir(parents=True)
        (root / split / "labels").mkdir(parents=True)
        for i in range(count):
            ids = rng.integers(0, classes, (size[1] // 8, size[0] // 8)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(ids).save(root / split / "labels" / f"p{i}.png")
            Image.fromarray(np.stack([ids * 80] * 3, -1)).save(root / split / "images" / f"p{i}.jpg")
    (root / "classes.json").write_text('{"classes": ["sky", "land", "water"]}')
    return root


def spoil_id(root: Path) -> None:
    Image.fromarray(np.full((32, 64), 7, np.uint8)).save(root / "train/labels/p1.png")


def spoil_size(root: Path) -> None:
    Image.fromarray(np.zeros((16, 64), np.uint8)).save(root / "train/labels/p1.png")


def spoil_pair(root: Path) -> None:
    (root / "train/images/p1.jpg").unlink()


def spoil_bytes(root: Path) -> None:
    file = root / "train/images/p1.jpg"
    file.write_bytes(file.read_bytes()[:200])


def spoil_everything(root: Path) -> None:
    for file in (root / "train").rglob("p*"):
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_id, ["p1.png", "7", "3 classes"]),
        (spoil_size, ["p1", "64x16", "64x32"]),
        (spoil_pair, ["p1"]),
        (spoil_bytes, ["p1.jpg"]),
        (spoil_everything, ["train"]),
    ],
)
def test_data_that_cannot_be_used(spoil, words: list[str], tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "data")
    spoil(root)
    text = run("train", "size=tiny", "data=folder", f"data.root={root}", "evaluate=false", "name=a", cwd=tmp_path)
    assert text.returncode == 1
    assert "Traceback" not in text.stderr
    for word in words:
        assert word in text.stderr
    assert not (tmp_path / "runs" / "a").exists(), "a refused run leaves nothing behind"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("trained")
    done = run("train", *TINY, "steps=2", "checkpoint_every=1", "evaluate=false", "name=a", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd


def test_a_run_is_never_overwritten(trained: Path) -> None:
    said = sentence(run("train", *TINY, "steps=2", "evaluate=false", "name=a", cwd=trained))
    assert "holds a run already" in said
    assert "resume=a" in said


def test_resume_may_not_become_another_run(trained: Path) -> None:
    assert "another run" in sentence(run("train", "resume=a", "data=folder", cwd=trained))


def test_no_such_run_names_those_that_there_are(trained: Path) -> None:
    said = sentence(run("sample", "run=b", cwd=trained))
    assert "'b'" in said
    assert " a" in said


def test_a_checkpoint_of_another_model(trained: Path, tmp_path: Path) -> None:
    other = run("train", *TINY, "width.ngf=6", "steps=1", "evaluate=false", "name=other", cwd=trained)
    assert other.returncode == 0, other.stderr
    file = trained / "runs/other/checkpoints/step_0000001.ckpt"
    said = sentence(run("sample", "run=a", f"checkpoint={file}", cwd=trained))
    assert "not a checkpoint of run a" in said
    assert "ngf" in said


class Hostile:
    def __reduce__(self):
        return (os.system, ("touch hostile-code-ran",))


def test_a_hostile_checkpoint_runs_nothing(trained: Path) -> None:
    torch.save({"state_dict": Hostile()}, trained / "hostile.ckpt")
    said = sentence(run("sample", "run=a", "checkpoint=hostile.ckpt", cwd=trained))
    assert "hostile.ckpt" in said
    assert "would run code" in said
    assert not (trained / "hostile-code-ran").exists()


def test_a_full_disk_loses_nothing(trained: Path) -> None:
    """RLIMIT_FSIZE makes the kernel refuse larger files, as a full disk does."""
    folder = trained / "runs" / "a"
    before = sorted(p.name for p in (folder / "checkpoints").iterdir())
    small = (folder / "checkpoints" / before[-1]).stat().st_size // 2
    said = sentence(run("train", "resume=a", "steps=4", cwd=trained, file_bytes=small))
    assert "could not save" in said
    assert "resume=a" in said
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == before
    load(folder / "checkpoints" / before[-1])


def test_weights_that_cannot_be_had_name_file_and_alternatives(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    tiny = [item for item in TINY if item != "weights=random"]
    said = sentence(
        run("train", *tiny, "extractor=vgg", f"weights.dir={tmp_path / 'empty'}", "evaluate=false", cwd=tmp_path,
            http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    )  # fmt: skip
    for word in ("vgg19-dcbb9e9d.pth", "extractor=scenenet", "weights=random"):
        assert word in said


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["size.height=40"], ["divisible by 32", "40"]),
        (["batch_size=1000"], ["batch_size=1000", "16"]),
        (["loss.kld.weight=0.05", "model.vae=false"], ["model.vae=true"]),
        (["loss.vgg.layers={relu9_9: 1.0}"], ["relu9_9"]),
    ],
)
def test_choices_that_do_not_fit_together(overrides: list[str], words: list[str], tmp_path: Path) -> None:
    said = sentence(run("train", *TINY, "evaluate=false", *overrides, cwd=tmp_path))
    for word in words:
        assert word in said
