"""Plaid: blind to natural spectra, awake to grid lines, and only where a label is constant."""

from __future__ import annotations

import pytest
import torch

from scenegen.data.classes import LANDSCAPE
from scenegen.data.world import render
from scenegen.metrics.plaid import plaid_of
from scenegen.scoring.grid_lines import Plaid
from scenegen.scoring.inputs import Samples
from scenegen.scoring.judges.protocols import Judges
from tests.options import built


def natural(count: int, side: int = 97, *, slope: float = 1.0) -> torch.Tensor:
    """Pictures with the spectrum of natural scenes, power 1 / f^(2 slope), mean 128 and deviation 20."""
    stream = torch.Generator().manual_seed(0)
    f = (torch.fft.fftfreq(side)[:, None] ** 2 + torch.fft.rfftfreq(side)[None] ** 2).sqrt().clamp(min=1 / side)
    white = torch.fft.rfft2(torch.randn(count, 3, side, side, generator=stream))
    made = torch.fft.irfft2(white / f**slope, s=(side, side))
    return 128 + 20 * made / made.std()


def strength(image: torch.Tensor, label: torch.Tensor | None = None) -> float:
    if label is None:
        label = torch.zeros(len(image), *image.shape[-2:], dtype=torch.int64)
    total, count = plaid_of(image, label).sum(0)
    return float(2 ** (total / count))


def grid(period: int, height: float, side: int = 97, *, both: bool = True) -> torch.Tensor:
    lines = torch.zeros(side, side)
    lines[::period] += height
    if both:
        lines[:, ::period] += height
    return lines


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 1.5])
def test_no_natural_spectrum_looks_like_a_grid(slope: float) -> None:
    """Whatever the slope: a chi-square variable over the mean of two is 2^(-0.44) = 0.74 in the geometric mean."""
    assert strength(natural(8, slope=slope)) == pytest.approx(0.74, abs=0.1)


@pytest.mark.parametrize("period", [2, 4, 8, 16])
def test_grid_lines_are_seen_and_more_of_them_more(period: int) -> None:
    photo = natural(8)
    found = [strength(photo + grid(period, height)) for height in (0, 4, 8, 16)]
    assert found == sorted(found)
    assert found[1] > 1.3 * found[0]
    assert strength(photo + grid(period, 8, both=False)) > 1.2 * found[0], "level lines alone"


def test_periods_of_no_generator_do_not_count() -> None:
    photo = natural(8)
    assert strength(photo + grid(5, 8)) < 1.3 * strength(photo)


def test_only_squares_of_one_label_count() -> None:
    label = torch.zeros(1, 97, 97, dtype=torch.int64)
    label[:, :, 48:] = 1
    count = plaid_of(natural(1), label)[0, 1]
    assert count == 2 * 5 * 3, "five rows; columns 0..32, 48..80 and 64..96 lie in one label, 16..48 and 32..64 do not"
    assert plaid_of(natural(1), label, ignore=0)[0, 1] == 2 * 5 * 2
    busy = torch.arange(97 * 97).reshape(1, 97, 97)
    assert plaid_of(natural(1), busy).tolist() == [[0, 0]]
    assert plaid_of(natural(1, side=20), torch.zeros(1, 20, 20, dtype=torch.int64)).tolist() == [[0, 0]]


def test_flat_colour_says_nothing() -> None:
    assert strength(torch.full((1, 3, 97, 97), 90.0)) == 1


def test_the_measure_is_a_multiple_of_the_photographs_own() -> None:
    scenes = [render(0, number, height=97, width=97) for number in range(6)]
    photo = torch.stack([torch.from_numpy(scene.image).permute(2, 0, 1) for scene in scenes])
    label = torch.stack([torch.from_numpy(scene.label).long() for scene in scenes])
    measure: Plaid = built("measure/plaid", at="plaid", classes=LANDSCAPE)

    def of(made: torch.Tensor) -> float:
        sample = Samples(made, {"image": photo, "label": label}, Judges())
        return measure.value(measure.per_picture(made, sample).numpy())

    assert of(photo) == 1
    assert of((photo + grid(8, 10).to(torch.uint8)).clamp(max=255)) > 1.2
