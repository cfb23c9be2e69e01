"""Colour posts against scikit-image, and closed forms: what they give a picture is what the style picture has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import match_histograms
from torch import Tensor

from scenegen.base.pictures import from_uint8, to_uint8
from scenegen.base.records import Batch, Refusal
from scenegen.config.posts import posts, read_styles
from scenegen.posts.colour import Histogram, Lab, from_lab, to_lab
from tests.options import arguments, replaced


def picture(seed: int, height: int = 12, width: int = 17) -> Tensor:
    """Smooth, so that no channel is a mere permutation of all grey levels."""
    stream = torch.Generator().manual_seed(seed)
    levels = torch.randint(0, 256, (1, 3, height, width), generator=stream).double()
    return from_uint8((levels**1.5 / 255**0.5).to(torch.uint8))


def array(x: Tensor) -> np.ndarray:
    return to_uint8(x)[0].permute(1, 2, 0).numpy()


def post(kind: str, style: Tensor, **changes: float):
    return replaced(f"post/{kind}/{kind}", style="s.png", pictures={"s.png": style}, **changes)


def test_lab_is_scikit_images_both_ways() -> None:
    x = picture(0)
    ours = to_lab(x)
    theirs = rgb2lab(array(x))
    # scikit-image rounds the CIE's constants to 0.008856 and 7.787
    assert np.abs(ours[0].permute(1, 2, 0).numpy() - theirs).max() < 1e-3
    assert np.abs((from_lab(ours)[0].permute(1, 2, 0).numpy() + 1) / 2 - lab2rgb(theirs)).max() < 1e-5


def test_lab_post_gives_the_styles_mean_and_deviation() -> None:
    # 0.5 + small numbers: nothing is clamped, so that the closed form holds to the end
    x, style = 0.2 * picture(1), 0.1 * picture(2, 9, 30) + 0.2
    made = to_lab(post("lab", style)(x.double(), Batch()))
    want = to_lab(style)
    assert torch.allclose(made.mean((2, 3)), want.mean((2, 3)), atol=1e-6)
    assert torch.allclose(made.std((2, 3), unbiased=False), want.std((2, 3), unbiased=False), atol=1e-6)


def test_histogram_post_is_scikit_images() -> None:
    x, style = picture(3), picture(4, 20, 9)
    made = (post("histogram", style)(x, Batch())[0].permute(1, 2, 0).numpy() + 1) * 127.5
    # of floats: bytes it truncates
    want = match_histograms(array(x).astype(float), array(style).astype(float), channel_axis=-1)
    assert np.abs(made - want).max() < 1e-4


@pytest.mark.parametrize("kind", ["lab", "histogram"])
def test_a_picture_in_its_own_colours_stays_and_half_the_strength_is_half_the_way(kind: str) -> None:
    x, style = picture(5), picture(6)
    assert (post(kind, x)(x, Batch()) - x).abs().max() < 1e-5
    half, whole = (post(kind, style, strength=share)(x, Batch()) for share in (0.5, 1.0))
    assert torch.allclose(half, (x + whole) / 2, atol=1e-6)
    assert whole.shape[-2:] == post(kind, style).size_after(*x.shape[-2:])


@pytest.mark.parametrize("kind", ["lab", "histogram"])
def test_a_flat_picture_gives_finite_colours(kind: str) -> None:
    flat = torch.full((2, 3, 5, 6), -1.0)
    assert post(kind, picture(7))(flat, Batch()).isfinite().all()


def test_a_stamp_names_the_pixels() -> None:
    assert post("lab", picture(8)).stamp == post("lab", picture(8)).stamp != post("lab", picture(9)).stamp


def test_style_files_are_read_from_a_file_a_list_and_a_folder(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.png", "b.png")):
        Image.fromarray(array(picture(seed))).save(tmp_path / name)
    a, b = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    assert list(read_styles(a, option="o")) == ["a.png"]
    assert list(read_styles([b, a], option="o")) == ["b.png", "a.png"]
    assert list(read_styles(str(tmp_path), option="o")) == ["a.png", "b.png"]
    assert torch.equal(read_styles(b, option="o")["b.png"], picture(1))
    (made,) = posts({"post": {"lab": arguments("post/lab", at="lab", style=a)}})
    assert isinstance(made, Lab)


def test_style_files_that_do_not_serve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"post\.lab\.style=.* holds no pictures"):
        read_styles(str(tmp_path), option="post.lab.style")
    with pytest.raises(Refusal, match=r"post\.lab\.style: .*no\.png: there is no such file"):
        read_styles(str(tmp_path / "no.png"), option="post.lab.style")
    with pytest.raises(Refusal, match="names no picture"):
        read_styles([], option="post.lab.style")
    with pytest.raises(Refusal, match="names 2 style pictures"):
        Histogram(style="d", pictures={"a": picture(0), "b": picture(1)}, strength=1.0)
    with pytest.raises(Refusal, match=r"post\.lab\.strength=2\.0 must lie in \[0, 1\]"):
        post("lab", picture(0), strength=2.0)
