"""Judges of photographs on real ones: every distortion, the more the worse, moves every number the right way."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from scenegen.metrics.frechet import Moments
from scenegen.metrics.neighbours import coverage_of
from scenegen.metrics.sliced import sliced_wasserstein
from scenegen.metrics.target import Target
from tests.options import built

pytestmark = pytest.mark.shared
SIDE, COUNT = 128, 100
Picture = Image.Image


def photographs(folder: Path, split: str, count: int) -> list[Picture]:
    files = sorted((folder / "data/labelme_landscapes" / split / "images").glob("*.jpg"))
    files = files[:: len(files) // count][:count]
    return [Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX) for file in files]


def added(picture: Picture, more: np.ndarray) -> Picture:
    return Image.fromarray((np.asarray(picture) + more).clip(0, 255).astype(np.uint8))


def noise(picture: Picture, sigma: float) -> Picture:
    seed = int(np.asarray(picture).sum())
    return added(picture, np.random.default_rng(seed).normal(0, sigma, (SIDE, SIDE, 3)))


def blur(picture: Picture, radius: float) -> Picture:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def jpeg(picture: Picture, loss: float) -> Picture:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=100 - int(loss))
    return Image.open(file).convert("RGB")


def blocks(picture: Picture, side: float) -> Picture:
    small = picture.resize((int(SIDE / side), int(SIDE / side)), Image.Resampling.BOX)
    return small.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def plaid(picture: Picture, height: float) -> Picture:
    lines = np.zeros((SIDE, SIDE, 1))
    lines[::8] += height
    lines[:, ::8] += height
    return added(picture, lines)


DISTORTIONS: dict[Callable[[Picture, float], Picture], tuple[float, float, float]] = {
    noise: (4, 8, 16), blur: (0.5, 0.8, 1.3), jpeg: (50, 70, 85), blocks: (1.34, 2, 4), plaid: (4, 8, 16),
}  # fmt: skip


@pytest.fixture(scope="module")
def judge():
    net = built("fid/efficientnet")

    def features(pictures: list[Picture]) -> torch.Tensor:
        stacked = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            return torch.cat([net(part) for part in stacked.split(25)])

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
