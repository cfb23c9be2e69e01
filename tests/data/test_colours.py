"""Colours of classes: natural by name, apart from each other, given ones kept."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.data.bridges import ADE20K, COCO_STUFF
from scenegen.data.classes import LANDSCAPE, ClassList
from scenegen.data.colours import NATURAL, class_colours


@pytest.mark.parametrize(
    ("name", "word"),
    [("sky", "sky"), ("Sky", "sky"), ("palm tree", "tree"), ("sky-other", "other"), ("tree_line", "tree"),
     ("Autobahn road 2", "road"), ("house, building", "building")],
)  # fmt: skip
def test_a_known_word_gives_its_colour(name: str, word: str) -> None:
    assert class_colours([name]) == (NATURAL[word],)


def test_classes_of_one_word_get_shades(tmp_path) -> None:
    sky, tree, oak = class_colours(["sky", "tree", "oak tree"])
    assert (sky, tree) == (NATURAL["sky"], NATURAL["tree"])
    assert oak != tree
    assert oak[1] > max(oak[0], oak[2]), "a green of its own"


def test_an_unknown_name_leaves_the_known_ones_theirs() -> None:
    assert class_colours(["Himmel", "sky", "zzz", "grass"])[1::2] == (NATURAL["sky"], NATURAL["grass"])


@pytest.mark.parametrize("classes", [ADE20K, COCO_STUFF, ClassList(names=tuple(f"c{i}" for i in range(60)))])
def test_all_colours_are_apart(classes: ClassList) -> None:
    colours = np.array(classes.colours, dtype=float)
    distance = np.sqrt(((colours[:, None] - colours) ** 2).sum(2)) + 1e9 * np.eye(len(colours))
    assert distance.min() > 12


def test_given_colours_win() -> None:
    assert ClassList(names=("sky",), colours=((1, 2, 3),)).colours == ((1, 2, 3),)
    assert LANDSCAPE.colours[1] == (135, 190, 235)
