"""Slices of more than 8 bits scored from their files, by the closed form of a constant error."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.pictures import save_png
from scenegen.base.records import Refusal
from scenegen.data.slices import Slices
from scenegen.scoring.scorer import Scorer
from tests.options import replaced

ROLES = ("psnr_hu", "ssim_hu", "rmse_hu")


@pytest.fixture(scope="module")
def data() -> Slices:
    return replaced("data/phantoms", split="test", count=2, test_count=2, side=32, views=24, height=32, width=32)


def scorer(data: Slices, *roles: str, **changes: float) -> Scorer:
    return Scorer(
        measures={role: replaced(f"measure/{role}/{role}", **changes) for role in roles}, classes=data.classes
    )


def write(data: Slices, folder: Path, *, more: int) -> None:
    """The clean slices with some Hounsfield units more, as 16-bit files."""
    folder.mkdir()
    for index, name in enumerate(data.names):
        image = data[(0, index)].image
        assert image is not None
        save_png(folder / f"{name}.png", data.depth.levels(image) + np.uint16(more))


def test_a_constant_error_has_its_closed_form(data: Slices, tmp_path: Path) -> None:
    """Files round to whole units, which moves the root mean square of an error of 16 by less than 0.1."""
    write(data, tmp_path / "made", more=16)
    score = scorer(data, *ROLES).score(tmp_path / "made", data)
    assert score.parts["rmse_hu"].value == pytest.approx(16, abs=0.1)
    assert score.parts["psnr_hu"].value == pytest.approx(20 * np.log10(4096 / 16), abs=0.05)
    assert 0.9 < score.parts["ssim_hu"].value < 1
    narrow = scorer(data, "rmse_hu", low=3000, high=3072).score(tmp_path / "made", data)
    assert narrow.parts["rmse_hu"].value == 0, "nothing lies in that window"


def test_equal_slices_have_a_finite_psnr(data: Slices, tmp_path: Path) -> None:
    write(data, tmp_path / "made", more=0)
    score = scorer(data, "psnr_hu").score(tmp_path / "made", data)
    assert 70 < score.parts["psnr_hu"].value < 140


def test_eight_bits_in_place_of_sixteen_are_refused(data: Slices, tmp_path: Path) -> None:
    write(data, tmp_path / "made", more=0)
    Image.new("L", (32, 32)).save(tmp_path / "made" / f"{data.names[1]}.png")
    with pytest.raises(
        Refusal, match=r"1 unreadable: phantom_1000001\.png: 8 bits a pixel, where slices have 12 or more"
    ):
        scorer(data, "rmse_hu").score(tmp_path / "made", data)


def test_measures_of_8_bit_pictures_are_refused(data: Slices, tmp_path: Path) -> None:
    write(data, tmp_path / "made", more=0)
    said = "measure=psnr does not measure slices in Hounsfield units, which these data are; use measure=psnr_hu"
    with pytest.raises(Refusal, match=re.escape(said)):
        scorer(data, "psnr").score(tmp_path / "made", data)
