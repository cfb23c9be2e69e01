"""Judges of photographs on real ones: every distortion, the more the worse, moves every number the right way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scenegen.metrics.frechet import Moments
from scenegen.metrics.neighbours import coverage_of
from scenegen.metrics.sliced import sliced_wasserstein
from scenegen.metrics.target import Target
from tests.options import built
from tests.scoring.distorted import DISTORTIONS, Picture, photographs, stacked

pytestmark = pytest.mark.shared
COUNT = 100


@pytest.fixture(scope="module")
def judge():
    net = built("fid/efficientnet")

    def features(pictures: list[Picture]) -> torch.Tensor:
        with torch.inference_mode():
            return torch.cat([net(part) for part in stacked(pictures).split(25)])

    return features


@pytest.fixture(scope="module")
def reference(judge, shared: Path) -> torch.Tensor:
    return judge(photographs(shared, "train", 300))


@pytest.fixture(scope="module")
def real(shared: Path) -> list[Picture]:
    return photographs(shared, "val", COUNT)


@pytest.mark.parametrize("distortion", DISTORTIONS, ids=lambda f: f.__name__)
def test_each_distortion_is_seen_and_more_of_it_more(distortion, judge, reference, real) -> None:
    target = Target.of(Moments.of(reference))
    rows = [judge(real), *(judge([distortion(p, by) for p in real]) for by in DISTORTIONS[distortion])]

    def sliced(x: torch.Tensor) -> float:
        return float(sliced_wasserstein(x, reference, directions=256, generator=torch.Generator().manual_seed(0)))

    frechet = [float(target.distance(x)) for x in rows]
    walked = [sliced(x) for x in rows]
    covered = [coverage_of(x, reference, k=5).coverage for x in rows]
    assert frechet == sorted(frechet), f"Frechet distance {frechet}"
    assert walked == sorted(walked), f"sliced distance {walked}"
    assert covered == sorted(covered, reverse=True), f"coverage {covered}"
