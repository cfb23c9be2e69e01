"""Confusion among near-synonyms: counted by hand, and field.md's list of classes that no photograph tells apart."""

from __future__ import annotations

import pytest
import torch

from scenegen.data.classes import LANDSCAPE
from scenegen.metrics.accuracy import pixel_accuracy
from scenegen.metrics.synonyms import GROUPS, forgiving_accuracy, synonym_confusion

NAMES = ("sky", "sea", "lake", "boat")
COUNTS = torch.tensor([[50, 0, 0, 0], [0, 20, 10, 0], [4, 6, 10, 0], [0, 0, 0, 0]])


def test_shares_of_a_table_counted_by_hand():
    """Sea and lake hold 50 of 100 pixels: 30 right, 16 among themselves, 4 read as sky."""
    found = synonym_confusion(COUNTS, NAMES)
    assert found.keys() == {"water"}
    water = found["water"]
    assert water.classes == ("sea", "lake")
    assert (water.share, water.right, water.within) == pytest.approx((0.5, 0.6, 0.32))
    assert water.outside == pytest.approx(0.08)
    assert water.most == ("sea", "lake", pytest.approx(0.2))


def test_forgiving_accuracy_counts_kin_as_right():
    assert float(pixel_accuracy(COUNTS)) == pytest.approx(0.8)
    assert float(forgiving_accuracy(COUNTS, NAMES)) == pytest.approx(0.96)
    assert float(forgiving_accuracy(COUNTS, ("a", "b", "c", "d"))) == pytest.approx(0.8)


def test_groups_are_landscape_classes_and_overlap_nowhere():
    members = [name for group in GROUPS.values() for name in group]
    assert len(members) == len(set(members))
    assert set(members) <= set(LANDSCAPE.names)
    named = [{"water", "sea", "river", "lake"}, {"earth", "land", "sand", "field"}, {"mountain", "hill"}]
    for group in [*named, {"boat", "ship"}, {"building", "house"}]:  # field.md 1.3
        assert any(group <= set(found) for found in GROUPS.values())


def test_nothing_confused():
    assert synonym_confusion(torch.diag(torch.tensor([1, 2, 3, 0])), NAMES)["water"].most is None
    assert synonym_confusion(torch.zeros(4, 4, dtype=torch.long), NAMES) == {}
