"""The bridges to the 29 landscape classes against the table that was checked by script (field survey, section 6)."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.data.bridges import ADE20K, COCO_STUFF, bridge
from scenegen.data.classes import LANDSCAPE, ClassList

# ADE20K index counted from 0 without the unknown -> contest id.
PAIRS = {
    2: 1, 4: 5, 6: 23, 9: 12, 13: 6, 16: 0, 17: 13, 21: 2, 25: 27, 26: 3, 29: 22, 32: 25, 34: 4, 38: 24,
    46: 9, 52: 19, 60: 8, 61: 21, 68: 7, 76: 15, 94: 10, 103: 26, 113: 16, 128: 20, 140: 18, 1: 11, 0: 17, 12: 14,
}  # fmt: skip


def test_ade20k_bridge_is_the_published_table():
    expected = np.full(151, LANDSCAPE.names.index("other"))
    for ade, contest in PAIRS.items():
        expected[ade + 1] = contest
    assert len(PAIRS) == 28
    np.testing.assert_array_equal(bridge(ADE20K), expected)


def test_class_lists_have_the_published_lengths_and_ids():
    assert len(ADE20K) == 151
    assert ADE20K.names[0] == "unknown"
    assert (ADE20K.names[1], ADE20K.names[150]) == ("wall", "flag")
    assert len(COCO_STUFF) == 183
    # labels.txt of COCO-Stuff, whose numbers are the pixel ids plus one.
    for number, name in {
        1: "person",
        92: "banner",
        106: "clouds",
        135: "mountain",
        157: "sky-other",
        182: "wood",
    }.items():
        assert COCO_STUFF.names[number - 1] == name
    assert (ADE20K.ignore, COCO_STUFF.ignore) == (0, 182)


@pytest.mark.parametrize(
    ("coco", "landscape"),
    [
        ("sky-other", "sky"), ("clouds", "sky"), ("tree", "tree"), ("wall-brick", "wall"), ("water-other", "water"),
        ("building-other", "building"), ("sea", "sea"), ("boat", "boat"), ("person", "person"), ("bush", "plant"),
        ("unknown", "other"), ("mirror-stuff", "other"), ("floor-stone", "other"), ("window-other", "other"),
    ],
)  # fmt: skip
def test_coco_stuff_bridge_by_name(coco, landscape):
    assert LANDSCAPE.names[bridge(COCO_STUFF)[COCO_STUFF.names.index(coco)]] == landscape


def test_every_landscape_class_bridges_to_itself():
    np.testing.assert_array_equal(bridge(LANDSCAPE), np.arange(29))


def test_another_list_has_no_synonyms():
    own = ClassList(names=("clouds", "sea"))
    assert [LANDSCAPE.names[i] for i in bridge(own)] == ["other", "sea"]
