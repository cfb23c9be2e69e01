"""Every fault at once, by file, before training; what the doctor counts is checked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.check import run
from scenegen.config.compose import compose
from scenegen.data.doctor import examine, open_splits
from scenegen.data.inspection import require_sound, scan
from tests.cli import command_line
from tests.data import files
from tests.options import replaced

SIZE: dict[str, Any] = {"height": 8, "width": 16}


def open_all(root: Path):
    return replaced("data/folder", split="train", root=str(root), val_fraction=0, **SIZE)


def spoil(root: Path) -> dict[str, str]:
    """One file of every kind of fault: its name -> what must be said of it."""
    files.dataset(root, [f"p{i}" for i in range(12)])
    files.label(root / "labels/p0.png", height=6, width=8)
    files.label(root / "labels/p1.png", np.full((12, 16), 200, dtype=np.uint8))
    files.photo(root / "labels/p2.png")
    files.truncate(root / "images/p3.jpg")
    (root / "labels/p4.png").write_bytes(b"")
    (root / "images/p5.jpg").unlink()
    (root / "labels/p6.png").unlink()
    Image.fromarray(np.zeros((12, 16), dtype=np.uint8)).save(root / "labels/p7.png", format="JPEG")
    return {
        "labels/p0.png": "the label map is 8x6 but its photograph is 16x12",
        "labels/p1.png": "label id 200 (192 pixels) lies outside the 4 classes",
        "labels/p2.png": "3 channels",
        "images/p3.jpg": "unreadable or truncated",
        "labels/p4.png": "unreadable or truncated",
        "labels/p5.png": "no photograph of that name",
        "images/p6.jpg": "no label map of that name",
        "labels/p7.png": "saved as JPEG",
    }


@pytest.mark.parametrize("deep", [False, True])
def test_every_fault_is_found_and_no_other(tmp_path, deep):
    expected = spoil(tmp_path)
    found = {str(Path(f.file).relative_to(tmp_path)): f.problem for f in scan(open_all(tmp_path), deep=deep)}
    assert found.keys() == expected.keys()
    for file, words in expected.items():
        assert words in found[file]


def test_training_is_refused_with_all_of_them(tmp_path):
    expected = spoil(tmp_path)
    with pytest.raises(Refusal) as caught:
        require_sound(open_all(tmp_path))
    assert str(caught.value).startswith("8 files cannot be used")
    assert all(file in str(caught.value) for file in expected)


def test_a_long_list_is_cut_and_counted(tmp_path):
    root = files.dataset(tmp_path, [f"p{i}" for i in range(30)], classes=["sky", "tree"])
    for i in range(30):
        files.label(root / f"labels/p{i}.png", np.full((12, 16), 100 + i, dtype=np.uint8))
    with pytest.raises(Refusal, match="and 10 kinds more; python -m") as caught:
        require_sound(open_all(root))
    assert str(caught.value).count("outside the 2 classes") == 20


def test_sound_files_and_the_world_have_no_faults(tmp_path):
    root = files.dataset(tmp_path, ["a", "b"])
    require_sound(open_all(root), replaced("data/procedural", split="train", count=2, **SIZE))


def test_a_mended_file_is_looked_at_again(tmp_path):
    root = files.dataset(tmp_path, ["a", "b"])
    files.label(root / "labels/a.png", np.full((12, 16), 9, dtype=np.uint8))
    assert len(scan(open_all(root))) == 1
    files.label(root / "labels/a.png")
    assert scan(open_all(root)) == []


def test_bytes_after_the_end_of_a_jpeg_are_no_fault(tmp_path):
    root = files.dataset(tmp_path, ["a"])
    with (root / "images/a.jpg").open("ab") as file:
        file.write(b"written by a camera")
    assert scan(open_all(root)) == []


def test_the_report_counts(tmp_path):
    root = files.dataset(tmp_path, ["a", "b", "c", "d"], classes=["sky", "tree", "sea", "rock", "boat"])
    files.label(root / "labels/d.png", np.zeros((12, 16), dtype=np.uint8))
    files.photo(root / "images/b.jpg", seed=0)  # the same bytes as a
    Image.new("L", (16, 12), 90).save(root / "images/c.jpg")
    report = examine({"train": open_all(root)})
    assert report.splits == {"train": 4}
    assert report.sizes == {"16x12": 4}
    assert report.unused == ["boat"]
    sky = report.classes[0]
    assert (sky.pixels, sky.share_of_pixels, sky.pictures) == (3 * 48 + 192, (3 * 48 + 192) / 768, 4)
    assert (report.classes[3].pictures, report.classes[3].share_of_pictures) == (3, 0.75)
    assert report.duplicates == [["train/a.jpg", "train/b.jpg"]]
    assert report.grey == ["train/c.jpg"]
    assert report.sound


@pytest.mark.parametrize("known", [0, 1])
def test_maps_without_any_class_are_told(tmp_path, known):
    files.dataset(tmp_path, ["a", "b"])
    (tmp_path / "classes.json").write_text('{"classes": ["sky", "sea", "unlabelled"], "unlabelled": 2}')
    for name in "ab":
        files.label(tmp_path / f"labels/{name}.png", np.full((12, 16), 2, dtype=np.uint8))
    if known:
        files.label(tmp_path / "labels/b.png", 1 + np.eye(12, 16, dtype=np.uint8))
    report = examine({"train": open_all(tmp_path)})
    told = [str(remark) for remark in report.remarks if "every pixel is unlabelled (id 2)" in str(remark)]
    assert len(told) == 1 - known
    assert report.sound


def test_pictures_in_both_splits_are_leaks(tmp_path):
    root = files.dataset(tmp_path / "train", ["a", "b"])
    (root / "classes.json").rename(tmp_path / "classes.json")
    files.dataset(tmp_path / "val", ["x"])  # made from the same seed as a
    found, faults = open_splits(lambda split: replaced("data/folder", split=split, root=str(tmp_path), **SIZE))
    assert not faults
    assert examine(found).leaks == [("train/a.jpg", "test/x.jpg")]


def test_a_split_that_does_not_open_is_a_fault(tmp_path):
    root = files.dataset(tmp_path / "train", ["a", "b"])
    (root / "classes.json").rename(tmp_path / "classes.json")
    (tmp_path / "val/labels").mkdir(parents=True)
    (tmp_path / "val/images").mkdir()
    found, faults = open_splits(lambda split: replaced("data/folder", split=split, root=str(tmp_path), **SIZE))
    assert list(found) == ["train"]
    assert "holds no pictures" in faults[0].problem
    assert not examine(found, faults=faults).sound


def test_the_dataset_hash_is_of_names_and_contents(tmp_path):
    roots = [files.dataset(tmp_path / name, ["a", "b"]) for name in ("one", "two")]
    one, two = (examine({"train": open_all(root)}).digest for root in roots)
    assert one == two
    (roots[1] / "images/b.jpg").rename(roots[1] / "images/c.jpg")
    (roots[1] / "labels/b.png").rename(roots[1] / "labels/c.png")
    renamed = examine({"train": open_all(roots[1])}).digest
    files.photo(roots[0] / "images/b.jpg", seed=7)
    changed = examine({"train": open_all(roots[0])}).digest
    assert len({one, renamed, changed}) == 3


def test_the_command_lists_all_faults_and_fails(tmp_path):
    expected = spoil(tmp_path)
    report = tmp_path / "report.json"
    done = command_line.run(
        "check", "data=folder", f"data.root={tmp_path}", f"json={report}", cwd=tmp_path, COLUMNS="200"
    )
    assert done.returncode == 1, done.stderr
    assert all(file in done.stdout for file in expected)
    content = json.loads(report.read_text())
    assert not content["sound"]
    assert len(content["faults"]) == len(expected)


def test_the_command_passes_sound_data(tmp_path, capsys):
    root = files.dataset(tmp_path, ["a", "b", "c"])
    assert run(compose("check", ["data=folder", f"data.root={root}"])) == 0
    assert "train 2, test 1" in capsys.readouterr().out


def test_the_command_examines_the_world(capsys):
    assert run(compose("check", ["data=procedural", "data.count=2", "data.test_count=1", "size=tiny"])) == 0
    assert "train 2, test 1" in capsys.readouterr().out


def test_a_quick_look_reads_no_pixels_of_photographs(tmp_path, capsys):
    root = files.dataset(tmp_path, ["a", "b", "c"])
    assert run(compose("check", ["data=folder", f"data.root={root}", "deep=false", "split=train"])) == 0
    assert "dataset hash" not in capsys.readouterr().out


@pytest.mark.parametrize("option", ["folder", "scene", "coco_stuff", "ade20k", "labels"])
def test_the_command_without_a_root_draws_the_layout(option):
    with pytest.raises(Refusal, match=r"data.root is missing: write data.root=PATH; it should hold"):
        run(compose("check", [f"data={option}", "split=test"]))


def test_the_report_is_not_written_among_what_is_read(tmp_path):
    root = files.dataset(tmp_path / "data", ["a", "b", "c"])
    for name in ("images/report.json", "labels/report.json", "classes.json"):
        before = sorted(path.name for path in root.rglob("*"))
        with pytest.raises(Refusal, match=r"which is read|is there already"):
            run(compose("check", ["data=folder", f"data.root={root}", f"json={root / name}"]))
        assert sorted(path.name for path in root.rglob("*")) == before
