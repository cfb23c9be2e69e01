"""Laplacian pyramids: they collapse to the picture, their bands hold their own scales, patches are cut where asked."""

from __future__ import annotations

import math

import pytest
import torch

from scenegen.base.refusal import Refusal
from scenegen.metrics.pyramid import collapsed, laplacian_pyramid, level_count, patches


@pytest.mark.parametrize(
    ("height", "width", "levels"), [(16, 16, 1), (31, 64, 1), (128, 128, 4), (192, 256, 4), (256, 256, 5), (97, 131, 3)]
)
def test_bands_collapse_to_the_picture(height: int, width: int, levels: int) -> None:
    image = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 255
    bands = laplacian_pyramid(image)
    assert len(bands) == levels == level_count(height, width)
    assert [band.shape[-2:] for band in bands] == [
        torch.Size([math.ceil(height / 2**i), math.ceil(width / 2**i)]) for i in range(levels)
    ]
    assert torch.allclose(collapsed(bands), image, atol=1e-10)


def test_a_band_holds_its_own_scale() -> None:
    """A flat picture has nothing but its last band; a checkerboard of pixels everything in the first."""
    flat = torch.full((1, 1, 64, 64), 90.0)
    assert [float(band.abs().max()) for band in laplacian_pyramid(flat)] == pytest.approx([0, 0, 90], abs=1e-4)
    board = 50.0 * (-1) ** (torch.arange(64)[:, None] + torch.arange(64))
    first, *rest = laplacian_pyramid(board.expand(1, 1, 64, 64))
    assert float(first.std()) == pytest.approx(50, rel=0.02)
    assert all(float(band.abs().max()) < 1e-3 for band in rest)


def test_patches_stand_in_their_cells() -> None:
    band = torch.arange(20.0 * 30).reshape(1, 1, 20, 30)
    places = torch.zeros(1, 2, 2, 2)
    found = patches(band, places)
    assert found.shape == (1, 4, 1, 7, 7)
    corners = found[0, :, 0, 0, 0].tolist()
    assert corners == [0, 12, 7 * 30, 7 * 30 + 12], "14 x 24 places, two cells down and across"
    assert torch.equal(found[0, 0, 0], band[0, 0, :7, :7])
    last = patches(band, torch.full((1, 2, 2, 2), 0.999))[0, -1, 0, -1, -1]
    assert float(last) == 20 * 30 - 1, "the last place reaches the corner"


def test_smaller_pictures_are_refused() -> None:
    with pytest.raises(Refusal, match="16 pixels a side or more, got 40x15"):
        laplacian_pyramid(torch.zeros(1, 3, 15, 40))
