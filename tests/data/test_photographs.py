"""Metadata that change what a photograph means: chosen, refused or stated, by one rule for every reader."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from scenegen.base.refusal import Refusal
from scenegen.data.datasets import read_style
from scenegen.data.doctor import examine
from scenegen.data.inspection import require_sound
from scenegen.data.photographs import Reading, profile_name, read_photo
from tests.data import files
from tests.options import replaced

SIZE: dict[str, Any] = {"height": 8, "width": 8}


def turned(path: Path, orientation: int, *, height: int = 12, width: int = 16) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    return files.photo(path, height=height, width=width, exif=exif, **lossless)


def opened(root: Path, **choices: Any) -> Any:
    return replaced("data/folder", split="train", root=str(root), val_fraction=0, **SIZE, **choices)


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_apply_and_ignore_are_what_they_say(tmp_path, orientation, ending):
    """Pillow's own exif_transpose is the authority for the eight orientations of EXIF 2.32."""
    path = turned(tmp_path / f"a.{ending}", orientation)
    stored = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)  # as files.photo draws them
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(np.asarray(read_photo(path, reading=Reading(exif="ignore"))), stored)
    assert np.array_equal(np.asarray(read_photo(path, reading=Reading(exif="apply"))), upright)
    with pytest.raises(Refusal, match=f"EXIF orientation {orientation}: viewers show .* save it upright"):
        read_photo(path)
    assert read_style(path).shape[-2:] == upright.shape[:2]


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path):
    content = turned(tmp_path / "a.png", 3).read_bytes()
    start = content.index(b"eXIf") - 4
    length = 12 + int.from_bytes(content[start : start + 4], "big")
    chunk, rest = content[start : start + length], content[:start] + content[start + length :]
    (tmp_path / "a.png").write_bytes(rest[:-12] + chunk + rest[-12:])
    with pytest.raises(Refusal, match="EXIF orientation 3"):
        read_photo(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("orientation", "photo", "words"),
    [
        (3, (12, 16), "either way; use data.exif=apply if .*, data.exif=ignore if"),
        (6, (16, 16), "the label map has another size"),
        (6, (16, 12), "only then it fits its label map of 16x12; use data.exif=apply$"),
    ],
)
def test_a_turn_is_asked_for_with_the_option_that_cures_it(tmp_path, orientation, photo, words):
    files.dataset(tmp_path, ["a", "b"])
    for name in "ab":
        turned(tmp_path / f"images/{name}.jpg", orientation, height=photo[0], width=photo[1])
    data = opened(tmp_path)
    with pytest.raises(Refusal, match=f"EXIF orientation {orientation}: .*{words}"):
        data[(0, 0)]
    with pytest.raises(Refusal, match=rf"2 files \(.*a.jpg, b.jpg\): EXIF orientation {orientation}"):
        require_sound(data)
    assert examine({"train": data}).turned == {f"orientation {orientation}": 2}


def test_apply_fits_label_maps_drawn_on_the_turned_view(tmp_path):
    files.dataset(tmp_path, ["a", "b"])
    for name in "ab":
        turned(tmp_path / f"images/{name}.jpg", 6, height=16, width=12)
    require_sound(opened(tmp_path, exif="apply"))
    assert opened(tmp_path, exif="apply")[(0, 0)].image.shape == (3, 8, 8)
    with pytest.raises(Refusal, match=r"16x12 but its photograph is 12x16 .*it fits with data.exif=apply"):
        require_sound(opened(tmp_path, exif="ignore"))


def test_a_label_map_that_follows_the_stored_pixels_is_said_and_taken(tmp_path, caplog):
    files.dataset(tmp_path, ["a", "b"])
    turned(tmp_path / "images/a.jpg", 6)
    with caplog.at_level(logging.WARNING):
        require_sound(opened(tmp_path))
    assert "a.jpg: EXIF orientation 6, which its label map does not follow" in caplog.text
    assert opened(tmp_path)[(0, 0)].image is not None
    with pytest.raises(Refusal, match=r"it fits with data.exif=ignore"):
        require_sound(opened(tmp_path, exif="apply"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_asked_for(tmp_path, mode):
    files.dataset(tmp_path, ["a", "b"])
    picture = Image.new("RGBA", (16, 12), (0, 0, 0, 255))
    picture.putpixel((3, 3), (0, 0, 0, 0))
    if mode == "P":
        picture = Image.new("P", (16, 12), 0)
        picture.putpalette([0, 0, 0, 9, 9, 9])
        picture.putpixel((3, 3), 1)
        picture.info["transparency"] = 1
    (tmp_path / "images/a.jpg").unlink()
    picture.convert(mode).save(tmp_path / "images/a.png")
    with pytest.raises(
        Refusal, match=r"a.png: a photograph with transparent pixels; data.alpha=drop .* data.alpha=white"
    ):
        require_sound(opened(tmp_path))
    with pytest.raises(Refusal, match="transparent pixels; save it without an alpha channel"):
        read_style(tmp_path / "images/a.png")
    white = read_photo(tmp_path / "images/a.png", reading=Reading(alpha="white"))
    dropped = read_photo(tmp_path / "images/a.png", reading=Reading(alpha="drop"))
    assert white.getpixel((3, 3)) == (255, 255, 255)
    assert dropped.getpixel((3, 3)) in {(0, 0, 0), (9, 9, 9)}
    assert dropped.getpixel((0, 0)) == white.getpixel((0, 0)) == (0, 0, 0)


def test_opaque_alpha_and_the_profile_srgb_are_no_matter(tmp_path):
    files.dataset(tmp_path, ["a", "b"])
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "images/a.jpg").unlink()
    Image.new("RGBA", (16, 12), (1, 2, 3, 255)).save(tmp_path / "images/a.png", icc_profile=profile)
    report = examine({"train": opened(tmp_path)})
    assert report.sound
    assert not report.remarks
    assert not report.turned


def test_conversions_are_said(tmp_path):
    files.dataset(tmp_path, ["a", "b", "c"])
    Image.new("CMYK", (16, 12), (10, 20, 30, 40)).save(tmp_path / "images/a.jpg")
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    files.photo(tmp_path / "images/b.jpg", icc_profile=lab)
    report = examine({"train": opened(tmp_path)})
    assert report.sound
    said = {Path(fault.file).name: fault.problem for fault in report.remarks}
    assert said["a.jpg"].startswith("CMYK, converted to RGB by the plain formula")
    assert "the numbers are taken as sRGB (data.icc=ignore)" in said["b.jpg"]
    assert said.keys() == {"a.jpg", "b.jpg"}


def test_label_maps_of_half_the_size_are_resized_where_that_is_chosen(tmp_path):
    files.dataset(tmp_path, ["a", "b"])
    ids = np.arange(48, dtype=np.uint8).reshape(6, 8) % 4
    for name in "ab":
        files.label(tmp_path / f"labels/{name}.png", ids)
    with pytest.raises(Refusal, match=r"8x6 but its photograph is 16x12 .*data.label_size=nearest resizes"):
        require_sound(opened(tmp_path))
    data = opened(tmp_path, label_size="nearest")
    require_sound(data)
    assert np.array_equal(data.source.load(0).label, ids.repeat(2, 0).repeat(2, 1))
    files.label(tmp_path / "labels/a.png", ids[:4])
    with pytest.raises(Refusal, match=r"a.png: the label map is 8x4 .*their shapes differ"):
        require_sound(data)


def test_many_equal_faults_are_one_line_with_a_count(tmp_path):
    files.dataset(tmp_path, [f"p{i:03}" for i in range(40)])
    for i in range(40):
        files.label(tmp_path / f"labels/p{i:03}.png", np.full((12, 16 - (i > 20)), 7, np.uint8))
    with pytest.raises(Refusal) as caught:
        require_sound(opened(tmp_path))
    lines = str(caught.value).splitlines()
    assert lines[1].count("label id 7 (192 pixels)") == 1
    assert lines[1].startswith("  40 files (")
    assert "p000.png, p001.png, p002.png and 37 more)" in lines[1]
    assert len(lines) == 3


def test_a_damaged_profile_is_no_reason_to_stop_and_says_so(tmp_path: Path) -> None:
    """Pillow's ImageCmsProfile raises an OSError for bytes that are no profile."""
    picture = Image.new("RGB", (16, 12), (200, 0, 0))
    picture.save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert read_photo(tmp_path / "a.png", reading=Reading()).getpixel((0, 0)) == (200, 0, 0)
    with pytest.raises(Refusal, match=r"cannot be converted .*data\.icc=ignore"):
        read_photo(tmp_path / "a.png", reading=Reading(icc="convert"))


@pytest.mark.parametrize("icc", ["ignore", "convert"])
def test_transparent_pixels_lie_on_white_whatever_is_done_with_the_profile(icc: Any, tmp_path: Path) -> None:
    named, renamed = (word.encode("utf-16-be") for word in ("sRGB", "mine"))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(named, renamed)
    Image.new("RGBA", (16, 12), (200, 0, 0, 0)).save(tmp_path / "a.png", icc_profile=profile)
    with Image.open(tmp_path / "a.png") as picture:
        assert "mine" in profile_name(picture), "a profile that is converted"
    found = read_photo(tmp_path / "a.png", reading=Reading(alpha="white", icc=icc))
    assert min(np.asarray(found).flatten()) >= 254
