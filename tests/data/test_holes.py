"""Holes in photographs: shares, seeds, files of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.data.degrade import GREY
from scenegen.data.doctor import Report, examine
from scenegen.data.hole_shapes import SHAPES, Seeded, grown
from scenegen.data.inspection import require_sound
from scenegen.data.samples import collate
from tests.options import replaced

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8)


def hole(seed: int = 0, name: str = "a", **changes) -> np.ndarray:
    return replaced("degrade/holes", **changes).given(PHOTO, seed=seed, name=name).hole


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("size", [(48, 80), (96, 32), (256, 256)])
def test_shapes_fill_any_size(kind: str, size: tuple[int, int]) -> None:
    found = SHAPES[kind](size, Seeded(1))
    assert found.shape == size
    assert found.dtype == bool
    assert 0 < found.mean() < 1


def test_cells_live_by_the_majority_around_them() -> None:
    """By hand: a full grid loses its corners (4 of 9 cells live) and keeps its edges (6); one cell alone dies."""
    want = np.ones((9, 7), bool)
    want[[0, 0, -1, -1], [0, -1, 0, -1]] = False
    assert np.array_equal(grown(np.ones((9, 7))), want)
    alone = np.zeros((9, 9))
    alone[4, 4] = 1
    assert not grown(alone).any()
    hole = SHAPES["cellular"]((30, 34), Seeded(1))
    assert np.array_equal(hole, hole[::4, ::4].repeat(4, 0).repeat(4, 1)[:30, :34]), "whole cells"


def test_a_hole_follows_from_seed_and_name_and_its_share_is_kept() -> None:
    assert np.array_equal(hole(), hole())
    assert not np.array_equal(hole(), hole(seed=1))
    assert not np.array_equal(hole(), hole(name="b"))
    shares = [hole(seed=seed, share=[0.2, 0.4]).mean() for seed in range(20)]
    assert 0.2 <= min(shares) < max(shares) <= 0.4


def test_the_source_is_the_photograph_around_the_hole_and_grey_inside() -> None:
    given = replaced("degrade/holes").given(PHOTO, seed=0, name="a")
    assert (given.source[given.hole] == GREY).all()
    assert np.array_equal(given.source[~given.hole], PHOTO[~given.hole])


def test_training_draws_anew_in_every_epoch_and_run_and_the_test_split_never() -> None:
    def found(split: str, epoch: int, seed: int = 0) -> np.ndarray:
        data = replaced("data/procedural", split=split, height=64, width=64, count=2, test_count=2, seed=seed)
        data = data.degraded(replaced("degrade/holes"))
        assert data.offers >= {"source", "hole", "image"}
        batch = collate([data[(epoch, 0)]])
        assert batch.require("hole").shape == (1, 1, 64, 64)
        return batch.require("hole").numpy()

    assert not np.array_equal(found("train", 0), found("train", 1))
    assert not np.array_equal(found("train", 0), found("train", 0, seed=1))
    assert np.array_equal(found("test", 0), found("test", 1))
    assert np.array_equal(found("test", 0), found("test", 0, seed=1)), "runs of unlike seeds are measured on one hole"


def test_masks_of_files(tmp_path: Path) -> None:
    mask = np.zeros((48, 80), np.uint8)
    mask[5:20, 10:30] = 255
    Image.fromarray(mask).save(tmp_path / "a.png")
    Image.fromarray(mask[::2, ::2]).save(tmp_path / "half.png")
    assert np.array_equal(hole(masks=str(tmp_path)), mask > 0)
    assert hole(name="b", masks=str(tmp_path)).any(), "any file where none has the name"
    assert np.array_equal(hole(masks=str(tmp_path), hole="black", most=1.0), mask == 0)
    Image.fromarray(mask[:30]).save(tmp_path / "a.png")
    with pytest.raises(Refusal, match=r"the mask is 80x30 but its picture 80x48.*degrade\.masks_fit=squash"):
        hole(masks=str(tmp_path))
    assert hole(masks=str(tmp_path), masks_fit="squash").any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kinds": ["cloud"]}, r"degrade\.kinds names cloud; choose among centre, boxes, strokes, cellular"),
        ({"kinds": []}, r"degrade\.kinds names no shape"),
        ({"share": [0.5, 0.2]}, r"degrade\.share=\[0\.5, 0\.2\] must be"),
        ({"share": [0.24, 0.2400001], "kinds": ["centre"]}, r"none of 50 holes of centre has a share"),
        ({"masks": "/none"}, r"degrade\.masks=/none: there is no such folder"),
        ({"hole": "red", "masks": "/none"}, r"degrade\.hole=red: write white or black"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        hole(**changes)


def test_the_doctor_says_every_bad_mask_at_once_and_the_share_of_holes(tmp_path: Path) -> None:
    def report(**changes) -> Report:
        data = replaced("data/procedural", split="test", height=64, width=64, count=2, test_count=2)
        return examine({"test": data.degraded(replaced("degrade/holes", **changes))})

    sound = report(kinds=["centre"])
    assert not sound.faults
    assert [str(remark) for remark in sound.remarks] == [
        "holes of test: 25% of the pixels on average, 25% to 25%, over 2 pictures"
    ]
    mask = np.zeros((64, 64), np.uint8)
    mask[5:20, 10:30] = 255
    deep = mask.astype(np.uint16) * 257
    for name, spoilt in {
        "good": mask, "good_16_bits": deep, "dark_16_bits": deep // 3, "zero_one": mask // 255, "empty": 0 * mask,
        "inverted": 255 - 0 * mask, "short": mask[:40], "short_by_one": mask[:63],
    }.items():  # fmt: skip
        Image.fromarray(spoilt).save(tmp_path / f"{name}.png")
    Image.fromarray(np.stack([mask, 0 * mask, 0 * mask], -1)).save(tmp_path / "red.png")
    Image.fromarray(np.stack([255 - 0 * mask] * 3 + [255 - mask], -1)).save(tmp_path / "clear.png")
    faults = {Path(fault.file).stem: fault.problem for fault in report(masks=str(tmp_path)).faults}
    assert faults.keys() == {
        "dark_16_bits", "zero_one", "empty", "inverted", "short", "short_by_one", "red", "clear",
    }  # fmt: skip
    assert "its grey levels go from 0 to 85, and 128 and more are white" in faults["dark_16_bits"]
    assert "its grey levels go from 0 to 1, and 128 and more are white" in faults["zero_one"]
    assert faults["red"] == "the mask is a picture in colour; save it in black and white"
    assert faults["clear"].startswith("the mask has transparent pixels; save it in black and white")
    assert faults["short"] == "the mask is 64x40 but its picture 64x64 (width x height); stretch it with " \
        "degrade.masks_fit=squash"  # fmt: skip
    data = replaced("data/procedural", split="train", height=64, width=64, count=2, test_count=2)
    with pytest.raises(Refusal, match="8 files cannot be used"):
        require_sound(data.degraded(replaced("degrade/holes", masks=str(tmp_path))))
