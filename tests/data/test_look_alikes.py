"""Copies are found however they were saved again; different landscapes are not, however alike their layout is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from scenegen.base import scratch
from scenegen.data import look_alikes as rooms
from scenegen.data import tally
from scenegen.data.doctor import examine, open_splits
from scenegen.data.look_alikes import SAME, look_alikes, thumbnail
from tests.data import files
from tests.options import replaced


def view(seed: int) -> Image.Image:
    """A smooth picture of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)


def horizon(sky: tuple[int, int, int], ground: tuple[int, int, int]) -> Image.Image:
    """Bright above, dark below: the layout of most landscapes."""
    picture = Image.new("RGB", (160, 120), sky)
    picture.paste(ground, (0, 66, 160, 120))
    return picture


def brightened(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(1.08)


def mirrored(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def half(picture: Image.Image) -> Image.Image:
    return picture.resize((80, 60), Image.Resampling.LANCZOS)


COPIES = {
    "saved again": lambda picture: picture,
    "mirrored": mirrored,
    "brightened": brightened,
    "resized": half,
    "all at once": lambda picture: half(brightened(mirrored(picture))),
    "stretched": lambda picture: picture.resize((90, 90)),
}


def examined(root: Path, train: dict[str, Image.Image], val: dict[str, Image.Image]):
    """The doctor's report on two splits with these photographs."""
    for split, photos in (("train", train), ("val", val)):
        files.dataset(root / split, list(photos))
        (root / split / "classes.json").replace(root / "classes.json")
        for name, picture in photos.items():
            picture.save(root / split / "images" / f"{name}.jpg", quality=70)
    found, _ = open_splits(lambda split: replaced("data/folder", split=split, root=str(root), height=8, width=16))
    return examine(found)


def test_a_copy_in_the_other_split_is_found_however_it_was_saved(tmp_path):
    copies = {f"copy{i}": change(view(i)) for i, change in enumerate(COPIES.values())}
    report = examined(tmp_path, {f"p{i}": view(i) for i in range(9)}, {**copies, "other": view(99)})
    expected = {(f"train/p{i}.jpg", f"test/copy{i}.jpg") for i in range(len(COPIES))}
    assert set(report.leaks) == expected
    assert report.duplicates == [["train/p0.jpg", "test/copy0.jpg"]]  # saved the same way: equal bytes


def test_many_photographs_are_compared_out_of_a_file(tmp_path, monkeypatch):
    """Groups of equal and of similar photographs, within a split and across, with a flat one among them."""
    train = {f"p{i}": view(i % 5) for i in range(9)} | {"flat": Image.new("RGB", (160, 120), (10, 200, 30))}
    val = {f"v{i}": change(view(i)) for i, change in enumerate(COPIES.values())}
    expected = examined(tmp_path, train, val).to_dict()
    made: list[object] = []
    honest = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", lambda *call: (made.append(call), honest(*call)))
    monkeypatch.setattr(scratch, "IN_MEMORY", 0)
    monkeypatch.setattr(tally, "COLUMNS", 4)
    assert examined(tmp_path, train, val).to_dict() == expected
    assert made
    assert expected["duplicates"][0] == ["train/p0.jpg", "train/p5.jpg", "test/v0.jpg"]
    assert ("train/p1.jpg", "test/v1.jpg") in expected["near_duplicates"]
    assert not any("p5" in name or "p6" in name for pair in expected["near_duplicates"] for name in pair)


def test_a_shared_layout_is_no_alarm(tmp_path):
    dusk, field = horizon((250, 170, 90), (30, 40, 90)), horizon((200, 220, 250), (170, 30, 30))
    report = examined(tmp_path, {"dusk": dusk}, {"field": field})
    assert (report.leaks, report.near_duplicates) == ([], [])


def test_a_photograph_that_its_tag_turns_is_its_upright_copy():
    from scenegen.data.photographs import Nature, upright

    stored = view(3).transpose(Image.Transpose.ROTATE_90)  # a viewer turns it back by orientation 6
    seen = upright(stored, Nature((160, 120), turn=6))
    looks = [thumbnail(seen), thumbnail(view(3))]
    assert look_alikes([look for look in looks if look is not None], [0, 1]) == [(0, 1)]


def test_flat_photographs_say_nothing():
    assert thumbnail(Image.new("RGB", (50, 40), (10, 200, 30))) is None


def test_a_film_names_each_frame_once_per_split_and_no_more():
    frame = thumbnail(view(1))
    assert frame is not None
    found = look_alikes([frame] * 60, [i % 2 for i in range(60)])
    assert len(found) <= 120
    assert {i for pair in found for i in pair} == set(range(60))


@pytest.mark.parametrize(("rows", "columns"), [(512, 2048), (7, 5), (1, 3), (5, 40)])
def test_blocks_and_bounds_leave_nothing_out(monkeypatch, rows, columns):
    monkeypatch.setattr(rooms, "ROWS", rows)
    monkeypatch.setattr(rooms, "COLUMNS", columns)
    draw = np.random.default_rng(0)
    base = draw.integers(0, 256, (8, 24, 24, 3))
    noisy = base[draw.integers(0, 8, 40)] + draw.normal(0, draw.uniform(5, 30, (40, 1, 1, 1)), (40, 24, 24, 3))
    pixels = noisy.clip(0, 255).astype(np.uint8)
    pixels[20:] = pixels[20:, :, ::-1]
    groups = draw.integers(0, 3, 40).tolist()
    assert look_alikes(list(pixels), groups) == by_brute_force(pixels, groups)


def by_brute_force(pixels: np.ndarray, groups: list[int]) -> list[tuple[int, int]]:
    """The same by numpy's correlation coefficients, pair by pair."""
    value = np.array([[max(corr(a, b), corr(a, b[:, ::-1])) for b in pixels] for a in pixels])
    pairs = nearest_of_each(value, value > SAME, groups)
    assert 10 < len(pairs) < 80
    return pairs


def nearest_of_each(value: np.ndarray, alike: np.ndarray, groups: list[int]) -> list[tuple[int, int]]:
    """Each picture's nearest in each group, from all values (n, n) and where they are above the threshold."""
    pairs = set()
    for i in range(len(value)):
        for group in set(groups):
            others = [j for j in range(len(value)) if j != i and groups[j] == group and alike[i, j]]
            if others:
                j = max(others, key=lambda j: value[i, j])  # the first of equal ones
                pairs.add((min(i, j), max(i, j)))
    return sorted(pairs)


def corr(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def crowd(kind: str, count: int = 200) -> np.ndarray:
    """Thumbnails (n, 24, 24, 3): all unlike, or copies of a few with noise, half of them mirrored, or of one alone."""
    draw = np.random.default_rng(4)
    originals = np.stack([np.asarray(view(seed).resize((24, 24)), dtype=float) for seed in range(count)])
    pixels = originals[draw.integers(0, {"unlike": count, "clustered": 12, "one view": 1}[kind], count)]
    if kind == "unlike":
        pixels = originals
    pixels = pixels + draw.normal(0, draw.uniform(0, 40, (count, 1, 1, 1)), (count, 24, 24, 3))
    pixels[::2] = pixels[::2, :, ::-1]
    pixels[count // 2 :: 7] = pixels[0]  # equal ones
    return pixels.clip(0, 255).astype(np.uint8)


def in_whole_numbers(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of all pairs the correlation (n, n), and where it is above 0.95 in exact arithmetic."""
    flat, mirrored = (one.reshape(len(pixels), -1).astype(np.int64) for one in (pixels, pixels[:, :, ::-1]))
    sums = flat.sum(1)
    above = 1728 * np.maximum(flat @ flat.T, flat @ mirrored.T) - np.outer(sums, sums)
    power = 1728 * (flat**2).sum(1) - sums**2
    exact = above.astype(object)
    alike = (above > 0) & (400 * exact**2 > 361 * np.outer(power.astype(object), power.astype(object)))
    return above / np.sqrt(np.outer(power.astype(float), power.astype(float))), alike


@pytest.mark.parametrize(("kind", "least"), [("unlike", 5), ("clustered", 100), ("one view", 100)])
@pytest.mark.parametrize(("rows", "columns"), [(512, 2048), (16, 24)])
def test_the_search_finds_what_all_pairs_in_whole_numbers_give(monkeypatch, kind, least, rows, columns):
    for name, value in {"ROWS": rows, "COLUMNS": columns, "AT_ONCE": 2 * columns}.items():
        monkeypatch.setattr(rooms, name, value)
    pixels = crowd(kind)
    groups = [i % 3 // 2 for i in range(len(pixels))]
    expected = nearest_of_each(*in_whole_numbers(pixels), groups)
    assert look_alikes(pixels, groups) == expected
    assert len(expected) >= least


def test_most_pairs_of_unlike_pictures_are_not_computed(monkeypatch):
    monkeypatch.setattr(rooms, "ROWS", 16)
    computed: list[int] = []
    honest = rooms.correlations
    monkeypatch.setattr(
        rooms, "correlations", lambda pixels, pairs: (computed.append(len(pairs.row)), honest(pixels, pairs))[1]
    )
    look_alikes(crowd("unlike"), [0] * 200)
    assert 0 < sum(computed) < 0.1 * 200 * 199 / 2


def signs(flipped: int) -> tuple[np.ndarray, np.ndarray]:
    """Two thumbnails of 1,600 ones above or below grey and 128 grey values, which differ in so many signs."""
    order = np.random.default_rng(1).permutation(1728)
    values = np.zeros(1728, dtype=int)
    values[order[:800]], values[order[800:1600]] = 40, -40
    other = values.copy()
    other[order[: flipped // 2]] *= -1
    other[order[800 : 800 + flipped // 2]] *= -1
    first, second = ((128 + one).astype(np.uint8).reshape(24, 24, 3) for one in (values, other))
    return first, second


@pytest.mark.parametrize(("flipped", "found"), [(40, []), (38, [(0, 1)])])  # 1 - 2 * 40 / 1600 is 0.95 exactly
@pytest.mark.parametrize("turned", [False, True])
def test_a_correlation_of_exactly_the_threshold_is_none(flipped, found, turned):
    one, other = signs(flipped)
    assert look_alikes([one, other[:, ::-1] if turned else other], [0, 0]) == found


@pytest.mark.parametrize("rows", [1, 256])
def test_of_equally_near_ones_the_first_is_named(monkeypatch, rows):
    monkeypatch.setattr(rooms, "ROWS", rows)
    one, other = signs(20)
    assert look_alikes([one, other, other[:, ::-1], other], [0] * 4) == [(0, 1), (1, 2), (1, 3)]


def test_bounds_are_never_below_the_correlation():
    pixels = crowd("clustered")
    search = rooms.Search(pixels)
    i, j = np.triu_indices(len(pixels), 1)
    every = np.arange(len(pixels))
    exact = rooms.correlations(pixels, rooms.Pairs(every, every, i, j))
    points = search.cells.points[np.argsort(search.cells.order)]
    first = np.einsum("ij,ij->i", points[i], points[j])
    products = [np.einsum("ij,ij->i", part[i], part[j]) for part in (search.even, search.odd, search.odd_rest)]
    second = products[0] + np.abs(products[1]) + products[2]
    assert (first - exact).min() > -rooms.SLACK / 5
    assert (second - exact).min() > -rooms.SLACK / 5
    assert (second - exact).mean() < (first - exact).mean()


@pytest.mark.shared
def test_real_landscapes_raise_no_alarm_across_their_splits_and_a_planted_copy_does(shared):
    folder = shared / "data/labelme_landscapes"
    looks, groups = [], []
    for group, split in enumerate(("train", "val")):
        for path in sorted((folder / split / "images").iterdir()):
            with Image.open(path) as picture:
                looks.append(thumbnail(picture))
            groups.append(group)
    looks = [look for look in looks if look is not None]
    assert len(looks) == 1447
    assert [pair for pair in look_alikes(looks, groups) if groups[pair[0]] != groups[pair[1]]] == []
    with Image.open(sorted((folder / "train/images").iterdir())[400]) as picture:
        planted = thumbnail(half(brightened(mirrored(picture))))
    assert planted is not None
    found = look_alikes([*looks, planted], [*groups, 1])
    assert [pair for pair in found if groups[pair[0]] == 0 and pair[1] == 1447] == [(400, 1447)]
