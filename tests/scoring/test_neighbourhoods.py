"""Measures of sets on features: their options build, say their judge, and order good and bad sets."""

from __future__ import annotations

import math

import pytest
import torch

from scenegen.base.refusal import Refusal
from scenegen.scoring.inputs import Options
from scenegen.scoring.measures import SetMeasure, Sets
from scenegen.scoring.reference import Reference
from tests.options import built

from .fakes import MeanColour

MEASURES = ("sliced", "precision", "recall", "density", "coverage")


def measure(name: str, **changes) -> SetMeasure:
    return built(f"measure/{name}", at=name, fid=MeanColour(), **changes)


def sets(made: torch.Tensor, *, seed: int = 0) -> Sets:
    real = torch.randn(120, 3, generator=torch.Generator().manual_seed(seed))
    return Sets(made, Reference(real, hash="h", digests={}), None, Options())


@pytest.mark.parametrize("name", MEASURES)
def test_good_sets_before_bad_ones(name: str) -> None:
    stream = torch.Generator().manual_seed(1)
    like = torch.randn(60, 3, generator=stream)
    off, one = like + 4, like[:1] + 0.01 * like
    good, bad, collapsed = (measure(name).of_set(sets(x)).value for x in (like, off, one))
    better = (lambda a, b: a < b) if name == "sliced" else (lambda a, b: a > b)
    assert better(good, bad)
    if name in ("sliced", "recall", "coverage"):
        assert better(good, collapsed), "one picture for every map is no good set"
    assert math.isfinite(good)


def test_names_and_stamps_say_judge_and_options() -> None:
    assert measure("coverage").name.startswith("coverage")
    assert "k=5" in measure("coverage").stamp
    assert "512 directions" in measure("sliced").stamp


def test_the_floor_is_the_distance_between_real_pictures() -> None:
    found = measure("sliced").of_set(sets(torch.randn(60, 3, generator=torch.Generator().manual_seed(1))))
    floor = found.beside["sliced_floor"]
    assert floor.count == 60
    assert 0 < floor.value < 0.5


def test_bad_options_are_sentences() -> None:
    for name, changes in (("sliced", {"directions": 0}), ("coverage", {"k": 0}), ("coverage", {"part": "cover"})):
        with pytest.raises(Refusal):
            measure(name, **changes)
    with pytest.raises(Refusal, match="more than k=5"):
        measure("coverage").of_set(sets(torch.zeros(4, 3)))
