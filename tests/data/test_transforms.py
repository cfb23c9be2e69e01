"""The same place of label, photograph and instance map; published sizes; refused settings."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.data.transforms import Framing


def coordinates(height: int, width: int) -> tuple[np.ndarray, Image.Image]:
    """A map that says where each pixel is, as ids and as colours."""
    y, x = np.mgrid[:height, :width]
    colours = np.stack([y, x, np.zeros_like(x)], axis=-1).astype(np.uint8)
    return (y * 256 + x).astype(np.int32), Image.fromarray(colours)


@pytest.mark.parametrize("seed", range(12))
def test_label_and_photograph_are_cut_at_one_place(seed):
    """At scale 1 nothing is resampled, so both must show the same source pixels."""
    ids, photo = coordinates(24, 40)
    framing = Framing(height=24, width=32, flip=0.5, random=True)
    view = framing.view((24, 40), seed=seed)
    label, image = view.of_ids(ids), view.of_photo(photo)
    np.testing.assert_array_equal(label, image[..., 0].astype(np.int32) * 256 + image[..., 1])
    assert label.shape == (24, 32)


def test_cuts_and_mirrors_vary_over_seeds_only_in_training():
    random = Framing(height=24, width=32, flip=0.5, random=True)
    views = [random.view((24, 40), seed=s) for s in range(400)]
    assert {v.left for v in views} == set(range(9))
    assert 150 < sum(v.flip for v in views) < 250  # 200 +- 5 standard deviations
    still = Framing(height=24, width=32, flip=0.5, random=False)
    assert {still.view((24, 40), seed=s) for s in range(20)} == {still.view((24, 40), seed=0)}
    assert still.view((24, 40), seed=0).left == 4


def test_a_changed_option_does_not_change_the_other_draws():
    one = Framing(height=24, width=32, flip=0.0, random=True)
    other = Framing(height=24, width=32, flip=1.0, rotation=3.0, random=True)
    assert [one.view((24, 40), seed=s).left for s in range(9)] == [other.view((24, 40), seed=s).left for s in range(9)]


def test_a_turned_plane_is_the_plane_of_turned_coordinates():
    """Closed form: g(x, y) = 120 + 2x + y turned by an angle a is g(x cos a - y sin a, x sin a + y cos a)."""
    y, x = np.mgrid[:33, :33] - 16.0
    photo = Image.fromarray(np.repeat((120 + 2 * x + y).astype(np.uint8)[..., None], 3, 2))
    framing = Framing(height=33, width=33, rotation=20.0, random=True)
    angles = []
    for seed in range(40):
        view = framing.view((33, 33), seed=seed)
        found, a = view.of_photo(photo)[..., 0].astype(float), np.radians(view.rotation)
        want = 120 + 2 * (x * np.cos(a) - y * np.sin(a)) + (x * np.sin(a) + y * np.cos(a))
        inside = np.hypot(x, y) < 15
        assert np.abs(found - want)[inside].max() <= 1, "half a grey level, rounded"
        angles.append(view.rotation)
    assert -20 <= min(angles) < -10
    assert 10 < max(angles) <= 20
    assert Framing(height=33, width=33, rotation=20.0).view((33, 33), seed=1).rotation == 0, "in training alone"
    corner = Framing(height=33, width=33, rotation=20.0, random=True).view((33, 33), seed=int(np.argmax(angles)))
    assert corner.of_photo(Image.new("RGB", (33, 33), (200,) * 3))[0, 0].max() == 0, "corners are black"


@pytest.mark.parametrize(
    ("size", "target", "fit", "scale", "scaled"),
    [
        ((768, 1024), (256, 256), "squash", 1.117, (286, 286)),  # published: 286 square, cut 256
        ((768, 1024), (192, 256), "crop", 1.0, (192, 256)),
        ((768, 1024), (256, 256), "crop", 1.0, (256, 341)),
        ((480, 360), (192, 256), "crop", 1.0, (341, 256)),  # portrait: cover the width
        ((10, 10), (192, 256), "crop", 1.0, (256, 256)),  # smaller than the target: enlarged
        ((382, 640), (96, 128), "squash", 1.0, (96, 128)),
    ],
)
def test_sizes(size, target, fit, scale, scaled):
    view = Framing(height=target[0], width=target[1], fit=fit, scale=scale, random=True).view(size, seed=3)
    assert (view.scaled_height, view.scaled_width) == scaled
    label = view.of_ids(np.zeros(size, dtype=np.uint8))
    image = view.of_photo(Image.new("RGB", size[::-1]))
    assert label.shape == target
    assert image.shape == (*target, 3)


def test_photographs_are_resized_by_pillows_antialiased_bicubic():
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    view = Framing(height=12, width=16).view((48, 64), seed=0)
    np.testing.assert_array_equal(view.of_photo(photo), np.asarray(photo.resize((16, 12), Image.Resampling.BICUBIC)))


def test_the_test_split_is_not_scaled():
    view = Framing(height=256, width=256, fit="squash", scale=1.117, random=False).view((768, 1024), seed=0)
    assert (view.scaled_height, view.top, view.left) == (256, 0, 0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fit": "pad"}, "data.fit=pad.*crop.*squash"),
        ({"scale": 0.5}, "data.scale=0.5.*1.117"),
        ({"flip": 1.5}, "data.flip=1.5"),
        ({"rotation": 90}, "data.rotation=90.*3 is PICNet's"),
        ({"height": 0}, "0x16 is empty"),
    ],
)
def test_impossible_settings_are_refused(settings, sentence):
    with pytest.raises(Refusal, match=sentence):
        Framing(**{"height": 16, "width": 16, **settings})
