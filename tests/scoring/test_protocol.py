"""Protocols: equal ids for comparable numbers, unlike ids for anything that changes a number."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scenegen.base.records import Refusal
from scenegen.scoring.inputs import Options
from scenegen.scoring.protocol import SetHash, differences, protocol, protocol_id, require_one
from tests.options import built

from .fakes import MeanColour, World, scorer


def test_id_is_a_hash_of_the_measure_alone():
    """sha256 of the sorted JSON, {"a": "x", "b": 1}; seed and commit do not change what a number means."""
    assert protocol_id({"b": 1, "a": "x"}) == protocol_id({"a": "x", "b": 1}) == "385820f0096f"
    one, two = protocol(measure={"a": 1}, seed=0), protocol(measure={"a": 1}, seed=7, config_hash="c")
    assert one["id"] == two["id"]
    assert (two["circumstances"]["seed"], two["circumstances"]["config"]) == (7, "c")
    assert two["circumstances"]["versions"]["torch"]


def test_set_hash_is_of_names_and_contents_in_any_order():
    a, b = np.zeros((2, 3), np.uint8), np.ones((2, 3), np.uint8)

    def digest(*pairs):
        found = SetHash()
        for name, array in pairs:
            found.add(name, array)
        return found.hexdigest()

    same = digest(("a", a), ("b", b))
    assert digest(("b", b), ("a", a)) == same
    others = [digest(("a", b), ("b", a)), digest(("a", a)), digest(("a", a.reshape(3, 2)), ("b", b))]
    assert len({same, *others}) == 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return World(4).write(tmp_path_factory.mktemp("out"))


@pytest.mark.parametrize(
    "change",
    [
        {"scorer": scorer(fid=MeanColour(stamp="colour-2"))},
        {"scorer": scorer(total=built("scorer/jittor2023"))},
        {"scorer": scorer(segmenter=None)},
        {"reference": World(4, seed=9)},
        {"options": Options(count=3, extra="ignore")},
        {"options": Options(resize="bicubic")},
    ],
)
def test_what_changes_a_number_changes_the_id(folder, change):
    judged = {"scorer": scorer(), "labels": World(4), "reference": None, "options": Options()}
    ids = []
    for choice in (judged, judged | change):
        by = choice["scorer"]
        score = by.score(folder, choice["labels"], reference=choice["reference"], options=choice["options"])
        ids.append(score.protocol["id"])
    assert ids[0] != ids[1]


def test_seed_and_batch_do_not_change_the_id(folder):
    first = scorer().score(folder, World(4))
    second = scorer().score(folder, World(4), options=Options(seed=3, batch_size=1, config_hash="other"))
    assert first.protocol["id"] == second.protocol["id"]


def test_the_record_names_everything_that_design_asks_for(folder):
    """DESIGN section 7's list."""
    record = scorer().score(folder, World(4), options=Options(config_hash="c0ffee")).protocol
    text = json.dumps(record)
    named = ("colour-1", "nearest-colour", "resize", "quantisation", "png", "hash", "versions", "commit", "c0ffee")
    for part in named:
        assert part in text


def test_unlike_protocols_are_refused_with_what_differs():
    a = protocol(measure={"fid": {"resize": "none", "name": "FID"}, "count": 4}, seed=0)
    b = protocol(measure={"fid": {"resize": "bicubic", "name": "FID"}, "count": 4}, seed=0)
    assert differences(a["measure"], b["measure"]) == ["fid.resize: none | bicubic"]
    require_one({"one": a, "same": protocol(measure=a["measure"], seed=9)})
    with pytest.raises(Refusal) as error:
        require_one({"one": a, "two": b})
    for part in ("one", "two", a["id"], b["id"], "fid.resize: none | bicubic"):
        assert part in str(error.value)
