"""Distances of features by a second authority: torch-fidelity's own functions on the same tables."""

from __future__ import annotations

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from scenegen.metrics.frechet import Moments
from scenegen.metrics.kernel import kernel_distance
from scenegen.metrics.neighbours import coverage_of
from scenegen.metrics.target import Target

SIZES = {"more rows than dimensions": (70, 50, 12), "fewer": (24, 30, 40)}


@pytest.fixture(params=SIZES.values(), ids=list(SIZES))
def tables(request) -> tuple[torch.Tensor, torch.Tensor]:
    """Made and real features, float64, correlated and apart."""
    n, m, d = request.param
    stream = torch.Generator().manual_seed(n)
    made, real, mix = (torch.randn(size, d, generator=stream, dtype=torch.float64) for size in (n, m, d))
    return (1.2 * made + 0.3) @ mix, real @ mix


def test_frechet(tables) -> None:
    made, real = tables
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(x) for x in tables), verbose=False)
    ours = float(Target.of(Moments.of(real)).distance(made))
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)


def test_kernel(tables) -> None:
    """One subset of all rows is the set itself; theirs takes equally many rows of both."""
    count = min(len(x) for x in tables)
    made, real = (x[:count] for x in tables)
    options = {"kid_subsets": 1, "kid_subset_size": count, "rng_seed": 0, "verbose": False}
    theirs = kid_features_to_metric(made, real, **options)
    assert float(kernel_distance(made, real)) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall(tables, k: int) -> None:
    made, real = tables
    theirs = prc_features_to_metric(made, real, prc_neighborhood=k, verbose=False)
    ours = coverage_of(made, real, k=k)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]))
