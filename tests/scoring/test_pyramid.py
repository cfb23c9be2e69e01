"""The pyramid distance as a measure: it sees every distortion of real photographs, in order, and says its floor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenegen.base.refusal import Refusal
from scenegen.scoring.inputs import Options
from scenegen.scoring.measures import Sets
from scenegen.scoring.pyramid import Pyramid, PyramidPatches
from scenegen.scoring.reference import Reference
from scenegen.scoring.scorer import Scorer
from tests.options import built

from .distorted import DISTORTIONS, photographs, stacked
from .fakes import CLASSES, World


def measure(**changes) -> Pyramid:
    return built("measure/pyramid", at="pyramid", **changes)


def clouds(count: int, *, seed: int, grain: float = 0.0) -> torch.Tensor:
    """(count, 3, 32, 32) uint8 smooth pictures, with grain of that deviation."""
    stream = torch.Generator().manual_seed(seed)
    smooth = torch.nn.functional.interpolate(torch.rand(count, 3, 5, 5, generator=stream), (32, 32), mode="bilinear")
    return (255 * smooth + grain * torch.randn(count, 3, 32, 32, generator=stream)).clamp(0, 255).to(torch.uint8)


def found_of(made: torch.Tensor, real: torch.Tensor, *, photos: torch.Tensor | None = None, **changes):
    pyramid = measure(**changes)
    describe = PyramidPatches(cells=pyramid.cells)
    own = None if photos is None else describe(photos)
    return pyramid.of_set(Sets(describe(made), Reference(describe(real), hash="h", digests={}), own, Options()))


def test_a_set_has_no_distance_from_itself_and_grain_is_seen_where_it_is() -> None:
    real = clouds(60, seed=1)
    assert found_of(real, real).value == pytest.approx(0, abs=1e-9)
    like, grained = (found_of(clouds(40, seed=2, grain=grain), real) for grain in (0, 8))
    assert grained.value > 1.5 * like.value
    fine, coarse = (grained.beside[f"pyramid_{s}"].value / like.beside[f"pyramid_{s}"].value for s in (1, 2))
    assert fine > 1.5 * coarse, "grain stands in the finest level"


def test_a_description_is_a_function_of_the_picture() -> None:
    describe, pictures = PyramidPatches(cells=2), clouds(3, seed=1)
    alone = torch.cat([describe(picture[None]) for picture in pictures])
    assert torch.allclose(describe(pictures), alone, atol=1e-4)
    assert alone.shape == (3, 2 * 4 * 3 * 49)


def test_the_floor_and_the_parts_of_the_pictures() -> None:
    real, photos = clouds(60, seed=1), clouds(30, seed=3)
    found = found_of(clouds(30, seed=2, grain=6), real, photos=photos)
    floor = found.beside["pyramid_floor"]
    assert 0 < floor.value < found.value
    assert floor.count == 30
    assert found.influence is not None
    assert found.influence.shape == (30,)
    assert abs(found.influence.mean()) < 1e-9
    assert np.ptp(found.influence) > 0


def test_one_pass_gives_value_interval_and_protocol(tmp_path) -> None:
    world = World(25)
    world.labels, world.images = torch.zeros(25, 32, 32, dtype=torch.long), clouds(25, seed=1)
    made = World(25, seed=9)
    made.names, made.images = world.names, clouds(25, seed=2, grain=8)
    score = Scorer(measures={"pyramid": measure(photographs=20)}, classes=CLASSES).score(
        made.write(tmp_path / "out"), world, options=Options(floor=False)
    )
    number = score.parts["pyramid"]
    assert number.interval is not None
    assert number.interval[0] < number.value < number.interval[1]
    assert score.per_picture.measures["pyramid"].mean() == pytest.approx(number.value)
    assert score.protocol["measure"]["reference"]["count"] == 20, "photographs at most"
    assert "512 directions" not in number.judge
    assert score.marks == ()


@pytest.mark.parametrize("option", ["cells", "directions", "photographs"])
def test_bad_options_are_sentences(option: str) -> None:
    with pytest.raises(Refusal, match=f"measure.pyramid.{option}=0"):
        measure(**{option: 0})


@pytest.fixture(scope="module")
def reference(shared: Path) -> Reference:
    return Reference(PyramidPatches(cells=4)(stacked(photographs(shared, "train", 300))), hash="h", digests={})


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("distortion", DISTORTIONS, ids=lambda f: f.__name__)
def test_each_distortion_of_photographs_raises_it(distortion, reference, shared: Path) -> None:
    pyramid, describe, pictures = measure(), PyramidPatches(cells=4), photographs(shared, "val", 100)
    sets = [pictures, *([distortion(p, by) for p in pictures] for by in DISTORTIONS[distortion])]
    values = [pyramid.of_set(Sets(describe(stacked(x)), reference, None, Options(floor=False))).value for x in sets]
    assert values == sorted(values), values
