"""Class lists of the user's own: what classes.json may say, what ids mean, which sentences refuse the rest."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList, class_list
from scenegen.data.labels import IN_A_RUN, read_label
from scenegen.data.layouts import read_classes
from tests.data import files
from tests.options import replaced

THREE = ("sky", "tree", "sea")


@pytest.mark.parametrize(
    ("written", "ids", "expected", "ignore"),
    [
        ({"classes": THREE, "unlabelled": 255}, [0, 2, 255], [0, 2, 3], 3),
        ({"classes": THREE, "unlabelled": -1}, [0, 255, 65535], [0, 3, 3], 3),
        ({"classes": THREE, "unlabelled": 65535}, [1, 65535], [1, 3], 3),
        ({"classes": THREE, "unlabelled": [7, 255]}, [1, 7, 255], [1, 3, 3], 3),
        ({"classes": THREE, "unlabelled": 2}, [0, 1, 2], [0, 1, 2], 2),
        ({"classes": THREE, "unlabelled": [2, 255]}, [0, 2, 255], [0, 2, 2], 2),
        ({"classes": {"0": "sky", "127": "tree", "255": "sea"}}, [0, 127, 255], [0, 1, 2], None),
        ({"classes": {"1": "sky", "2": "tree"}, "unlabelled": 0}, [0, 1, 2], [2, 0, 1], 2),
        ({"classes": {"127": "sky"}, "unlabelled": [0, 255]}, [0, 127, 255], [1, 0, 1], 1),
        ({"classes": THREE}, [0, 1, 2], [0, 1, 2], None),
    ],
)
def test_ids_mean_what_classes_json_says(tmp_path, written, ids, expected, ignore):
    (tmp_path / "classes.json").write_text(json.dumps(written), encoding="utf-8-sig")
    classes = read_classes(tmp_path / "classes.json")
    path = files.label(tmp_path / "a.png", np.array([ids], dtype=np.uint16))
    assert read_label(path, classes=classes, remap=classes.remap).tolist() == [expected]
    assert classes.ignore == ignore


@pytest.mark.parametrize(
    ("classes", "ids", "sentence"),
    [
        (
            class_list(THREE),
            [0, 255],
            '255 .1 pixels. lies outside the 3 classes .ids 0..2.; if it means "don\'t care"',
        ),
        (class_list(THREE), [7, 255], 'one of them means "don\'t care", write "unlabelled": 255 in classes.json'),
        (class_list(THREE, unlabelled=255), [3], "id 3 .1 pixels. lies outside the 4 classes .ids 0, 1, 2, 255."),
        (class_list({0: "a", 127: "b", 255: "c"}), [1], "id 1 .1 pixels. lies outside .* .ids 0, 127, 255."),
    ],
)
def test_an_id_of_no_class_is_refused_and_no_class_is_proposed_for_it(tmp_path, classes, ids, sentence):
    path = files.label(tmp_path / "a.png", np.array([ids], dtype=np.uint8))
    with pytest.raises(Refusal, match=sentence) as caught:
        read_label(path, classes=classes, remap=classes.remap)
    assert "remap={" not in str(caught.value)
    with pytest.raises(Refusal, match="the run was trained on these classes alone") as caught:
        read_label(path, classes=classes, remap=classes.remap, cure=IN_A_RUN)
    assert "data." not in str(caught.value)


def test_a_data_set_with_dont_care_has_one_more_channel(tmp_path):
    files.dataset(tmp_path, ["a", "b"], classes=THREE)
    for name in "ab":
        files.label(tmp_path / f"labels/{name}.png", np.full((12, 16), 255, dtype=np.uint8))
    (tmp_path / "classes.json").write_text(json.dumps({"classes": THREE, "unlabelled": 255}))
    data = replaced("data/folder", split="train", root=str(tmp_path), height=8, width=16)
    assert data.classes.names == (*THREE, "unlabelled")
    assert data[(0, 0)].label.unique().tolist() == [data.classes.ignore] == [3]


BAD = {
    "text": ('"sky"', "should be an object, and is .sky."),
    "list": ('["sky"]', r"should be an object, and is .*sky.*;"),
    "null": ("null", "should be an object, and is null"),
    "number": ("5", "should be an object, and is 5"),
    "empty": ("", "is no JSON .line 1, column 1"),
    "broken": ('{"classes": ["sky" "sea"]}', "is no JSON .line 1, column 20"),
    "twice": ('{"classes": ["a"], "classes": ["b"]}', "the key 'classes' stands twice"),
    "nan": ('{"classes": [NaN]}', "NaN is no number"),
    "deep": ("[" * 3000, "nested too deeply"),
    "none": ('{"names": ["sky"]}', "'names' is spelt 'classes' here"),
    "absent": ("{}", 'has no "classes"'),
    "classes-text": ('{"classes": "sky"}', "classes: .* a list, and is .sky."),
    "classes-null": ('{"classes": null}', "classes: .* and is null"),
    "name-null": ('{"classes": ["sky", null]}', "classes: 1 should be a text, and is null"),
    "name-number": ('{"classes": [1.5]}', "classes: 0 should be a text, and is 1.5"),
    "no-names": ('{"classes": []}', "at least one name"),
    "empty-name": ('{"classes": ["sky", ""]}', "class name '' is no word"),
    "escape": ('{"classes": ["\\u001b[31m"]}', r"class name '.x1b\[31m' is no word"),
    "doubled": ('{"classes": ["sky", "sky"]}', "class names repeat: sky"),
    "key-word": ('{"classes": {"sky": 0}}', "classes: the key sky should be a whole number, and is .sky., and 1 more"),
    "key-large": ('{"classes": {"70000": "sky"}}', "less than or equal to 65535"),
    "key-twice": ('{"classes": {"1": "sky", "01": "sea"}}', "an id stands twice"),
    "unlabelled-text": ('{"classes": ["sky"], "unlabelled": "255"}', "unlabelled: .* whole number, and is .255."),
    "unlabelled-half": ('{"classes": ["sky"], "unlabelled": 1.5}', "unlabelled: .* whole number, and is 1.5"),
    "unlabelled-bool": ('{"classes": ["sky"], "unlabelled": true}', "unlabelled: .* whole number, and is true"),
    "unlabelled-low": ('{"classes": ["sky"], "unlabelled": -5}', "-5 is no id that a label file can hold"),
    "unlabelled-two": ('{"classes": ["sky", "sea"], "unlabelled": [0, 1]}', "unlabelled names 2 classes .sky, sea."),
    "colours-number": ('{"classes": ["sky"], "colours": 5}', "colours: .* a list, and is 5"),
    "colour-short": ('{"classes": ["sky"], "colours": [[1, 2]]}', "colours: 0.2 is missing"),
    "colour-high": ('{"classes": ["sky"], "colours": [[1, 2, 300]]}', r"the colour \[1, 2, 300\] is none"),
    "colours-many": (
        '{"classes": ["sky"], "colours": [[1, 2, 3], [1, 2, 4], [1, 2, 5]]}',
        "1 class names but 3 colours",
    ),
    "colors": ('{"classes": ["sky"], "colors": []}', "'colors' is spelt 'colours' here"),
    "utf-16": ('{"classes": ["sky"]}'.encode("utf-16"), "is not UTF-8 .line 1."),
    "binary": (b"\x89PNG\r\n\x1a\n", "is not UTF-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_classes_json_is_one_sentence_with_its_place(tmp_path, case):
    content, sentence = BAD[case]
    path = tmp_path / "classes.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Refusal) as caught:
        read_classes(path)
    assert str(caught.value).startswith(f"the class list {path}")
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_classes_json_that_is_no_file_is_refused(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(Refusal, match="is no regular file; write"):
            read_classes(tmp_path / name)


COLOURED = ClassList(names=THREE, colours=((10, 20, 30), (40, 50, 60), (70, 80, 90)))


def coloured(path: Path, ids: np.ndarray, mode: str = "RGB") -> Path:
    Image.fromarray(np.array(COLOURED.colours, np.uint8)[ids]).convert(mode).save(path)
    return path


@pytest.mark.parametrize(("mode", "ending"), [("RGB", "png"), ("RGBA", "png"), ("RGB", "bmp"), ("RGB", "tif")])
def test_a_label_map_in_the_classes_own_colours_is_read(tmp_path, mode, ending):
    ids = np.array([[0, 1, 2], [2, 1, 0]])
    path = coloured(tmp_path / f"a.{ending}", ids, mode)
    assert np.array_equal(read_label(path, classes=COLOURED), ids)


def test_a_colour_of_no_class_is_named_with_the_nearest_and_not_guessed(tmp_path):
    picture = Image.open(coloured(tmp_path / "a.png", np.array([[0, 1, 2]])))
    picture.putpixel((1, 0), (40, 50, 64))
    picture.save(tmp_path / "a.png")
    with pytest.raises(
        Refusal, match=r"\(40, 50, 64\) on 1 pixels \(nearest is tree, 4 away\); write the colour of every"
    ):
        read_label(tmp_path / "a.png", classes=COLOURED)
    twins = ClassList(names=("a", "b"), colours=((1, 2, 3), (1, 2, 3)))
    Image.new("RGB", (2, 1), (1, 2, 3)).save(tmp_path / "b.png")
    with pytest.raises(Refusal, match="colours of no class, or of several"):
        read_label(tmp_path / "b.png", classes=twins)
    Image.new("RGB", (2, 1), (1, 1, 1)).save(tmp_path / "c.png")
    with pytest.raises(Refusal, match="ids saved as RGB"):
        read_label(tmp_path / "c.png", classes=COLOURED)


def test_tiff_and_npy_label_maps_are_read(tmp_path):
    ids = np.array([[0, 1, 2], [2, 1, 0]])
    for dtype in (np.uint8, np.uint16, np.int32, np.int64):
        np.save(tmp_path / "a.npy", ids.astype(dtype))
        assert np.array_equal(read_label(tmp_path / "a.npy", classes=COLOURED), ids)
    for dtype in (np.uint8, np.uint16, np.int32):
        files.label(tmp_path / "a.tif", ids.astype(dtype))
        assert np.array_equal(read_label(tmp_path / "a.tif", classes=COLOURED), ids)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 2, 3), np.uint8), r"shape \(2, 2, 3\); a label map is \(height, width\) of whole numbers"),
        (np.zeros((2, 2)), "an array of float64"),
        (np.array([["a"]]), "an array of <U1"),
        (np.array([[70_000]]), "holds ids from 70000 to 70000"),
        (np.array([[-2]]), "holds ids from -2 to -2"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, sentence):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(Refusal, match=sentence):
        read_label(tmp_path / "a.npy", classes=COLOURED)


def test_a_pickled_or_damaged_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(Refusal, match="unreadable or truncated"):
        read_label(tmp_path / "a.npy", classes=COLOURED)
    for content in (
        b"",
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 9999999), }",
    ):
        (tmp_path / "a.npy").write_bytes(content)
        with pytest.raises(Refusal, match="unreadable or truncated"):
            read_label(tmp_path / "a.npy", classes=COLOURED)


def test_a_tiff_with_a_lossy_compression_is_refused(tmp_path):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(Refusal, match="saved as TIFF with a lossy compression"):
        read_label(tmp_path / "a.tif", classes=COLOURED)
