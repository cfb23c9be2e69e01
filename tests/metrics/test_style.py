"""The error of the known style lies between the estimator's own error and that of others' exemplars."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.data.world import render
from scenegen.metrics.style import colour_statistics, fit_style, style_error


def painted(count: int, *, seed: int) -> tuple[torch.Tensor, list[dict[str, float]]]:
    """Pictures whose brightness and warmth are their style, with a little noise."""
    rng = np.random.default_rng(seed)
    styles = [{"light": float(a), "warmth": float(b)} for a, b in rng.uniform(-1, 1, (count, 2))]
    grey = np.array([[128 + 60 * s["light"] + 30 * s["warmth"] * sign for sign in (1, 0, -1)] for s in styles])
    image = grey[:, :, None, None] + rng.normal(0, 4, (count, 3, 9, 12))
    return torch.from_numpy(image.clip(0, 255).astype(np.uint8)), styles


TRAIN, TEST, FIELDS = painted(300, seed=0), painted(40, seed=1), ("light", "warmth")


def test_a_style_that_colours_tell_is_read_almost_exactly():
    estimator = fit_style(*TRAIN, fields=FIELDS)
    assert max(estimator.error(estimator(TEST[0]), TEST[1]).values()) < 0.1


def test_copies_of_the_exemplars_reach_the_floor_and_others_the_ceiling():
    image, styles = painted(30, seed=2)
    exact = style_error(image, styles, train=TRAIN, test=TEST, fields=FIELDS)
    assert exact.share == pytest.approx(0, abs=0.05)
    blind = style_error(image, styles[1:] + styles[:1], train=TRAIN, test=TEST, fields=FIELDS)
    assert blind.share == pytest.approx(1, abs=0.4)
    assert exact.ceiling["light"] == pytest.approx(2 / 3 / (1 / 3) ** 0.5, rel=0.15)  # E|a - b| / sd of two uniforms


def test_the_estimator_reads_the_procedural_world():
    scenes = [render(0, i, height=16, width=24) for i in range(260)]
    image = torch.from_numpy(np.stack([s.image for s in scenes])).permute(0, 3, 1, 2)
    styles = [s.style for s in scenes]
    found = style_error(image[220:], styles[220:], train=(image[:220], styles[:220]), test=(image[220:], styles[220:]))
    assert found.error == found.floor
    for field in ("overcast", "warmth", "exposure", "sun_height"):
        assert found.floor[field] < 0.75 * found.ceiling[field], field


def test_statistics_do_not_know_left_from_right():
    image = TRAIN[0][:4]
    assert torch.allclose(colour_statistics(image), colour_statistics(image.flip(3)), atol=1e-12)


def test_equal_floor_and_ceiling_have_no_share():
    image = torch.full((3, 3, 9, 12), 7, dtype=torch.uint8)
    same = [{"light": 0.0, "warmth": 0.0}] * 3
    found = style_error(image, same, train=TRAIN, test=(image, same), fields=FIELDS)
    assert math.isnan(found.share)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: fit_style(TRAIN[0][:50], TRAIN[1][:50], fields=FIELDS), "144 statistics needs more pictures.*50"),
        (lambda: fit_style(*TRAIN, fields=("haze",)), "styles without haze"),
        (lambda: style_error(TEST[0], TEST[1][:3], train=TRAIN, test=TEST, fields=FIELDS), "40 pictures and 3 styles"),
        (lambda: style_error(TEST[0][:1], TEST[1][:1], train=TRAIN, test=TEST, fields=FIELDS), "at least two"),
    ],
)
def test_what_does_not_fit_is_refused(call, sentence):
    with pytest.raises(Refusal, match=sentence):
        call()
