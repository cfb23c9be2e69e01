"""Colour histograms and their correlation, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.metrics.colour import colour_histogram, histogram_correlation


def pictures(seed: int, low: int = 0, high: int = 256) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (3, 3, 12, 16), generator=stream, dtype=torch.uint8)


@pytest.mark.parametrize("bins", [2, 8, 16])
def test_histogram_equals_numpys(bins):
    image = pictures(1)
    edges = [np.arange(0, 257, 256 // bins)] * 3
    for got, one in zip(colour_histogram(image, bins=bins), image, strict=True):
        theirs, _ = np.histogramdd(one.flatten(1).T.numpy(), bins=edges)
        assert got.numpy() == pytest.approx(theirs.flatten() / 192)


def test_correlation_equals_numpys():
    x, y = pictures(2, 0, 200), pictures(3, 40, 256)
    theirs = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(colour_histogram(x).numpy(), colour_histogram(y).numpy(), strict=True)
    ]
    assert histogram_correlation(x, y).numpy() == pytest.approx(np.array(theirs))


def test_properties():
    """1 with itself and with a shuffle of its own pixels (colour only), symmetric, sizes need not agree."""
    x, y = pictures(4), pictures(5, 60, 180)
    shuffled = x.flatten(2)[..., torch.randperm(192, generator=torch.Generator().manual_seed(0))].view_as(x)
    assert histogram_correlation(x, x).tolist() == pytest.approx([1, 1, 1])
    assert histogram_correlation(x, shuffled).tolist() == pytest.approx([1, 1, 1])
    assert torch.equal(histogram_correlation(x, y), histogram_correlation(y, x))
    twice = y.repeat_interleave(2, 3)
    assert histogram_correlation(x, twice).numpy() == pytest.approx(histogram_correlation(x, y).numpy())


@pytest.mark.parametrize(
    ("image", "bins", "says"),
    [(torch.zeros(1, 3, 4, 4), 8, "uint8"), (pictures(1), 7, "divide"), (pictures(1)[0], 8, "(b, 3, h, w)")],
)
def test_refused(image, bins, says):
    with pytest.raises(Refusal) as error:
        colour_histogram(image, bins=bins)
    assert says in str(error.value)
