"""A generated picture and its label map share one geometry, and classes that no segmenter reads leave numbers out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.classes import ClassList
from scenegen.data.own_maps import Target, own_maps
from scenegen.data.samples import Pairs
from scenegen.scoring.generated import take
from tests.worlds import label, pairs

CLASSES = ClassList(names=("sky", "land", "water"))
SQUARE = {"size": (32, 32), "resize": "bicubic"}


def maps(folder: Path, fit: str, sizes: dict[str, tuple[int, int]]) -> Pairs:
    """Label maps of these (width, height), framed to 32x32."""
    for name, (width, height) in sizes.items():
        label(folder / f"{name}.png", size=(width, height))
    target = Target(height=32, width=32, fit=fit)  # pyright: ignore[reportArgumentType]
    return own_maps(str(folder), classes=CLASSES, target=target)


def painted(folder: Path, sizes: dict[str, tuple[int, int]]) -> dict[str, Image.Image]:
    """Pictures of noise of these (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, made = np.random.default_rng(0), {}
    for name, (width, height) in sizes.items():
        made[name] = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        made[name].save(folder / f"{name}.png")
    return made


def test_a_picture_goes_through_the_view_of_its_label_map(tmp_path: Path) -> None:
    """Equal to the middles cut out beforehand, with mixed sizes and an odd side in one folder."""
    labels = maps(tmp_path / "maps", "crop", {"a": (64, 32), "b": (32, 96), "c": (65, 32), "d": (32, 32)})
    made = painted(tmp_path / "made", {"a": (64, 32), "b": (32, 96), "c": (65, 32), "d": (64, 64)})
    found = take(tmp_path / "made", labels.names, labels=labels, **SQUARE)
    assert found.fit == "crop"
    assert sorted(file.stem for file in found.views) == ["a", "b", "c"]
    for name, box in (("a", (16, 0, 48, 32)), ("b", (0, 32, 32, 64)), ("c", (17, 0, 49, 32))):
        assert np.array_equal(found.read(name), np.asarray(made[name].crop(box)))
    assert np.array_equal(found.read("d"), np.asarray(made["d"].resize((32, 32), Image.Resampling.BICUBIC)))


def test_a_larger_picture_is_cut_where_its_label_map_is(tmp_path: Path) -> None:
    labels = maps(tmp_path / "maps", "crop", {"a": (64, 32)})
    made = painted(tmp_path / "made", {"a": (128, 64)})
    small = made["a"].resize((64, 32), Image.Resampling.BICUBIC).crop((16, 0, 48, 32))
    assert np.array_equal(take(tmp_path / "made", ["a"], labels=labels, **SQUARE).read("a"), np.asarray(small))


def test_a_picture_is_squashed_with_its_label_map(tmp_path: Path) -> None:
    labels = maps(tmp_path / "maps", "squash", {"a": (64, 32)})
    made = painted(tmp_path / "made", {"a": (64, 32)})
    found = take(tmp_path / "made", ["a"], labels=labels, **SQUARE)
    assert found.fit == "squash"
    assert np.array_equal(found.read("a"), np.asarray(made["a"].resize((32, 32), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("size", [(32, 64), (48, 32), (70, 32)])
def test_another_shape_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    labels = maps(tmp_path / "maps", "crop", {"a": (64, 32)})
    painted(tmp_path / "made", {"a": size})
    with pytest.raises(
        Refusal, match=rf"of another shape.*size.height=.*a.png: {size[0]}x{size[1]}, its label map 64x32"
    ):
        take(tmp_path / "made", ["a"], labels=labels, **SQUARE)


def test_pictures_of_the_right_shape_need_no_view(tmp_path: Path) -> None:
    """The uses whose numbers and protocols stay as they were."""
    labels = maps(tmp_path / "maps", "crop", {"a": (64, 32), "b": (64, 32)})
    painted(tmp_path / "made", {"a": (32, 32), "b": (128, 128)})
    found = take(tmp_path / "made", ["a", "b"], labels=labels, **SQUARE)
    assert (found.fit, found.views) == (None, {})


def scored(root: Path, *more: str) -> tuple[dict, Pairs]:
    pairs(root)
    config = plan(compose("score", ["data=folder", f"data.root={root}", "size=tiny", *more])).config
    return config, build.dataset(config, split="test")


def test_own_classes_leave_out_what_no_segmenter_reads(tmp_path: Path) -> None:
    config, data = scored(tmp_path / "data")
    scorer = build.scorer(config, data)
    assert sorted(scorer.measures) == ["aesthetic", "fid"]
    told = build.left_out(config, scorer)
    assert told is not None
    for words in ("mask_acc and the total of jittor2022", "these 3 classes", "train model=lite_reader",
                  f"data=folder data.root={tmp_path}/data", "segmenter.name="):  # fmt: skip
        assert words in told


@pytest.mark.parametrize("more", [("measure=mask_acc",), ("measure=mean_iou", "scorer=none")])
def test_a_measure_that_was_asked_for_is_never_left_out(more: tuple[str, ...], tmp_path: Path) -> None:
    config, data = scored(tmp_path / "data", *more)
    with pytest.raises(Refusal, match="reads 29 classes"):
        build.scorer(config, data)
