"""The procedural world is a pure function of (seed, index, size), whole in its classes, governed by its style."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from scenegen.base.records import Refusal
from scenegen.data.classes import LANDSCAPE
from scenegen.data.world import STYLE_FIELDS, Scene, render, style_of

PICTURES = 600


def digest(scene: Scene) -> str:
    return hashlib.sha256(scene.image.tobytes() + scene.label.tobytes() + repr(scene.style).encode()).hexdigest()


@pytest.fixture(scope="module")
def many() -> list[Scene]:
    return [render(0, index, height=48, width=64) for index in range(PICTURES)]


def test_same_call_same_bytes_also_in_another_process():
    here = [digest(render(5, index, height=32, width=48)) for index in (0, 7, 13)]
    assert here == [digest(render(5, index, height=32, width=48)) for index in (0, 7, 13)]
    code = (
        "import hashlib; from scenegen.data.world import render\n"
        "for i in (13, 7, 0):\n"  # another order: nothing may carry over from picture to picture
        "    s = render(5, i, height=32, width=48)\n"
        "    print(hashlib.sha256(s.image.tobytes() + s.label.tobytes() + repr(s.style).encode()).hexdigest())\n"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert here == there[::-1]


def test_seed_and_index_matter():
    seen = {digest(render(seed, index, height=16, width=16)) for seed in range(3) for index in range(24)}
    assert len(seen) == 72


@pytest.mark.parametrize("index", range(24))
def test_same_composition_at_every_size(index):
    small, large = render(1, index, height=96, width=128), render(1, index, height=192, width=256)
    assert np.mean(small.label == large.label[::2, ::2]) > 0.93
    assert small.style == large.style == style_of(1, index)
    shrunk = large.image.reshape(96, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(shrunk - small.image).mean() < 16


def test_records(many):
    for scene in many[:48]:
        assert scene.image.shape == (48, 64, 3)
        assert scene.image.dtype == np.uint8
        assert scene.label.shape == (48, 64)
        assert scene.label.dtype == np.uint8
        assert scene.label.max() < len(LANDSCAPE)
        assert scene.image.std() > 8
        assert scene.style.keys() == STYLE_FIELDS.keys()
        assert all(low <= scene.style[name] <= high for name, (low, high) in STYLE_FIELDS.items())


def test_every_class_appears(many):
    present = np.zeros(len(LANDSCAPE))
    for scene in many:
        present[np.unique(scene.label)] += 1
    rare = {LANDSCAPE.names[i]: n for i, n in enumerate(present) if n < 0.01 * PICTURES}
    assert not rare


def test_style_governs_the_colours(many):
    """Correlation of colour statistics with the style: each field moves what it names, in its direction."""
    style = np.array([[scene.style[name] for name in STYLE_FIELDS] for scene in many])
    mean = np.array([scene.image.mean((0, 1)) for scene in many]) + 1
    columns = list(STYLE_FIELDS)
    brightness, amber = np.log(mean.mean(1)), np.log(mean[:, 0] / mean[:, 2])
    for statistic, name, least in (
        (amber, "warmth", 0.4),
        (brightness, "exposure", 0.3),
        (brightness, "sun_height", 0.15),
        (-amber, "sun_height", 0.3),
    ):
        assert np.corrcoef(style[:, columns.index(name)], statistic)[0, 1] > least, name


@pytest.mark.parametrize(("size", "word"), [((15, 64), "15x64"), ((64, 8), "64x8"), ((0, 0), "0x0")])
def test_refuses_tiny_pictures(size, word):
    with pytest.raises(Refusal, match=word):
        render(0, 0, height=size[0], width=size[1])


def test_refuses_negative_index():
    with pytest.raises(Refusal, match="-1"):
        render(0, -1, height=32, width=32)
