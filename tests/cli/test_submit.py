"""Checks of all that goes to a contest; the zip is the same for the same pictures."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.scoring.generated import Generated
from scenegen.scoring.submission import EPOCH, is_submission, write_zip
from tests.cli.command_line import run, sentence


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("labels", "made"):
        (tmp_path / name).mkdir()
    for i in range(3):
        Image.fromarray(rng.integers(0, 29, (8, 16)).astype(np.uint8)).save(tmp_path / "labels" / f"m{i}.png")
        Image.fromarray(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)).save(tmp_path / "made" / f"m{i}.png")
    return tmp_path


def submit(cwd: Path, *more: str):
    return run("submit", "generated=made", "labels=labels", "size.height=12", "size.width=16", *more, cwd=cwd)


def test_the_zip_holds_the_pictures_and_repeats_itself(folders: Path) -> None:
    for out in ("a.zip", "b.zip"):
        finished = submit(folders, f"out={out}", "count=3")
        assert finished.returncode == 0, finished.stderr
        assert "3 PNG of 16x12" in finished.stdout
    assert (folders / "a.zip").read_bytes() == (folders / "b.zip").read_bytes()
    with zipfile.ZipFile(folders / "a.zip") as archive:
        assert archive.namelist() == ["m0.png", "m1.png", "m2.png"]
        assert archive.read("m1.png") == (folders / "made" / "m1.png").read_bytes()


def test_every_fault_is_named_and_nothing_is_written(folders: Path) -> None:
    made = folders / "made"
    Image.new("RGB", (16, 12), (0, 0, 0)).save(made / "m0.png")
    (made / "m1.png").unlink()
    Image.new("RGB", (16, 12), (1, 2, 3)).save(made / "m1.jpg")
    told = sentence(submit(folders))
    for words in ("1 are not PNG", "m1.jpg", "2 are of a single colour", "m0.png ([0, 0, 0])", "nothing was written"):
        assert words in told
    (made / "m2.png").unlink()
    assert "missing: m2.png" in run("submit", "generated=made", "labels=labels", "size.height=12", "size.width=16",
                                    cwd=folders).stderr  # fmt: skip
    assert not (folders / "submission.zip").exists()


def test_a_wrong_count_and_equal_pictures(folders: Path) -> None:
    assert "holds 3 label maps, but count=1000" in sentence(submit(folders, "count=1000"))
    (folders / "made" / "m2.png").write_bytes((folders / "made" / "m1.png").read_bytes())
    assert "2 pictures are the same: m1, m2" in submit(folders).stdout


def test_its_own_zip_is_written_anew_and_no_other(tmp_path: Path) -> None:
    """A delivery of last year, a program's archive, a document: all are zips."""
    picture = io.BytesIO()
    Image.new("RGB", (2, 2)).save(picture, format="PNG")
    made = Generated(tmp_path, {}, (2, 2))
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(picture.getvalue())
        made.files[name] = tmp_path / f"{name}.png"
    for folder in ("", "result"):
        write_zip(made, tmp_path / "own.zip", folder=folder)
        assert is_submission((tmp_path / "own.zip").read_bytes())
    others = {
        "of today": [(zipfile.ZipInfo("a.png", (2024, 5, 1, 0, 0, 0)), zipfile.ZIP_STORED)],
        "packed": [(zipfile.ZipInfo("a.png", EPOCH), zipfile.ZIP_DEFLATED)],
        "a document": [(zipfile.ZipInfo("word/document.xml", EPOCH), zipfile.ZIP_STORED)],
        "two folders": [(zipfile.ZipInfo(f"{d}/a.png", EPOCH), zipfile.ZIP_STORED) for d in "ab"],
        "empty": [],
    }
    for name, entries in others.items():
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for entry, packing in entries:
                archive.writestr(entry, picture.getvalue(), compress_type=packing)
        assert not is_submission(content.getvalue()), name
    assert not is_submission(b"PK and no zip")
