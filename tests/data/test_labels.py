"""Label files of every single-channel kind are read exactly; every other kind is refused with its cure."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.data.classes import LANDSCAPE, ClassList
from scenegen.data.labels import IN_A_RUN, read_label, resize_nearest
from tests.data import files

FOUR = ClassList(names=("a", "b", "c", "d"))
IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], dtype=np.uint8)


def save(path, ids, mode):
    if mode == "P":
        picture = Image.frombytes("P", ids.shape[::-1], ids.tobytes())
        # Colours in an order that sorting or quantising them would not keep.
        picture.putpalette([255, 0, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0])
    else:
        picture = Image.fromarray(ids.astype({"L": np.uint8, "I;16": np.uint16}[mode]))
    assert picture.mode == mode
    picture.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_ids_of_every_depth_come_back(tmp_path, mode):
    np.testing.assert_array_equal(read_label(save(tmp_path / "x.png", IDS, mode), classes=FOUR), IDS)


@pytest.mark.parametrize(
    ("depth", "rows", "expected"),
    [(1, [b"\x50"], [[0, 1, 0, 1]]), (2, [b"\x1b"], [[0, 1, 2, 3]]), (4, [b"\x01\x23"], [[0, 1, 2, 3]])],
)
def test_few_bit_grey_gives_the_stored_ids(tmp_path, depth, rows, expected):
    """Pillow stretches 2- and 4-bit grey to 0..255; the expected ids are the bits written by hand."""
    path = files.grey_png(tmp_path / "x.png", rows, width=4, depth=depth)
    np.testing.assert_array_equal(read_label(path, classes=FOUR), expected)


def test_remap_changes_only_what_it_names(tmp_path):
    path = files.label(tmp_path / "x.png", np.array([[0, 3, 255, 1]], dtype=np.uint8))
    np.testing.assert_array_equal(read_label(path, classes=FOUR, remap={255: 2, 3: 0}), [[0, 0, 2, 1]])


def test_remap_is_simultaneous(tmp_path):
    path = files.label(tmp_path / "x.png", np.array([[0, 1, 2]], dtype=np.uint8))
    np.testing.assert_array_equal(read_label(path, classes=FOUR, remap={0: 1, 1: 2, 2: 0}), [[1, 2, 0]])


def rgb(path):
    return files.photo(path)


def jpeg(path):
    Image.fromarray(IDS).save(path, format="JPEG")
    return path


def cut_short(path):
    big = np.random.default_rng(0).integers(0, 4, (64, 64), dtype=np.uint8)
    return files.truncate(files.label(path, big))


def no_picture(path):
    path.write_text("hello")
    return path


def empty(path):
    path.write_bytes(b"")
    return path


def outside(path):
    return files.label(path, np.array([[0, 1, 7, 7, 255]], dtype=np.uint8))


def outside_16(path):
    return files.label(path, np.array([[0, 1, 40000]], dtype=np.uint16))


def negative(path):
    Image.fromarray(np.array([[0, 1, -1]], dtype=np.int32)).save(path.with_suffix(".tif"))
    return path.with_suffix(".tif")


BAD = [
    (rgb, "3 channels.*one channel of class ids.*palette"),
    (jpeg, "JPEG.*save it as PNG"),
    (cut_short, "unreadable or truncated.*copy the file again"),
    (no_picture, "not a picture that can be read"),
    (empty, "not a picture that can be read"),
    (outside, r"ids 7, 255 \(3 pixels\) lie outside the 4 classes \(ids 0..3\).*.unlabelled.: 255 in classes.json"),
    (outside_16, r"id 40000 \(1 pixels\) lies outside the 4 classes"),
    (negative, "label id 65535 .1 pixels. lies outside the 4 classes"),
    (lambda path: path, "there is no such file"),
]


@pytest.mark.parametrize(("make", "sentence"), BAD)
def test_bad_label_files_are_refused_by_name(tmp_path, make, sentence):
    path = make(tmp_path / "wrong.png")
    with pytest.raises(Refusal) as caught:
        read_label(path, classes=FOUR)
    assert str(caught.value).startswith(str(path))
    assert re.search(sentence, str(caught.value))


def test_nearest_resize_equals_pillow_and_makes_no_new_ids():
    ids = np.random.default_rng(1).choice(np.array([0, 5, 20], dtype=np.uint8), (37, 53))
    for height, width in [(16, 20), (37, 53), (74, 100), (5, 131)]:
        ours = resize_nearest(ids, height=height, width=width)
        theirs = Image.fromarray(ids).resize((width, height), Image.Resampling.NEAREST)
        np.testing.assert_array_equal(ours, np.asarray(theirs))
        assert set(np.unique(ours)) <= {0, 5, 20}


@pytest.mark.shared
def test_the_contest_pair_has_a_16_bit_label(shared):
    path = next((shared / "data/scene_sample/train_label").glob("*.png"))
    ids = read_label(path, classes=LANDSCAPE)
    assert ids.shape == (768, 1024)
    assert set(np.unique(ids)) == {LANDSCAPE.names.index("water")}  # specs: every pixel is 2


def test_colours_of_a_run_or_a_known_set_have_another_cure_than_those_of_an_own_list(tmp_path: Path) -> None:
    """Nobody can write into the classes.json of a run that came with the package."""
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4), (1, 2, 3)).save(path)
    with pytest.raises(Refusal, match=r"into classes.json \(\"colours\""):
        read_label(path, classes=LANDSCAPE)
    with pytest.raises(Refusal, match="colours of the classes are fixed here: paint with these alone") as refused:
        read_label(path, classes=LANDSCAPE, cure=IN_A_RUN)
    assert "classes.json" not in str(refused.value)
