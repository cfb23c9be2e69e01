"""Distances to one reference: the general formula, the influence against resampling, and FID at infinite N."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.metrics.frechet import Moments, frechet
from scenegen.metrics.target import Target, frechet_infinity


def rows(seed: int, n: int, d: int, *, shift: float = 0.0) -> Tensor:
    """Gaussian rows whose variances fall like 1 / i, as those of network features do."""
    deviation = torch.arange(1, d + 1, dtype=torch.float64) ** -0.5
    noise = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise * deviation * (1 + shift) + shift * deviation


@pytest.mark.parametrize(("n", "m", "d"), [(30, 90, 16), (30, 20, 40), (12, 90, 16), (50, 20, 16), (5, 5, 40)])
def test_equals_the_frechet_distance(n, m, d):
    """frechet is itself tested against scipy and pytorch-fid."""
    x, y = rows(1, n, d, shift=0.3), rows(2, m, d)
    target = Target.of(Moments.of(y))
    assert target.distance(x).item() == pytest.approx(frechet(Moments.of(x), Moments.of(y)).item(), rel=1e-6)
    assert target.count == m


@pytest.mark.parametrize(("n", "m", "d"), [(30, 200, 8), (12, 200, 20), (12, 10, 40)])
def test_influence_is_the_derivative_by_a_pictures_weight(n, m, d):
    """Against weights moved by hand: the weighted mean and covariance, and frechet_distance of them."""
    from scenegen.metrics.frechet import frechet_distance

    x, real = rows(3, n, d, shift=0.3), Moments.of(rows(4, m, d))
    influence = Target.of(real).influence(x)
    assert influence.sum().item() == pytest.approx(0, abs=1e-9)

    def weighted(i: int, step: float) -> float:
        weight = torch.ones(n, dtype=torch.float64) - step / n
        weight[i] += step
        mean = (weight[:, None] * x).sum(0) / n
        centred = (x - mean) * weight[:, None].sqrt()
        return frechet_distance(mean, centred.T @ centred / (n - 1), real.mean, real.covariance()).item()

    h = 1e-4
    for i in (0, n // 2, n - 1):
        slope = n * (weighted(i, h) - weighted(i, -h)) / (2 * h)
        assert influence[i].item() == pytest.approx(slope, rel=1e-2, abs=1e-2)


@pytest.mark.parametrize(("n", "d", "shift"), [(150, 8, 0.3), (60, 120, 0.3), (60, 120, 0.0)])
def test_intervals_of_resampled_influence_cover(n, d, shift):
    """Of 150 sets from one source at least 90 % hold the mean of all in value +- 1.96 standard errors.

    Nominal 95 %; three binomial standard errors of 150 draws are 5 %. Alike sets (shift 0) may cover more.
    """
    real = Moments.of(rows(5, 2000, d))
    target = Target.of(real)
    sets = [rows(100 + k, n, d, shift=shift) for k in range(150)]
    values = torch.stack([target.distance(x) for x in sets])
    errors = torch.stack([target.influence(x).std() / n**0.5 for x in sets])
    covered = ((values - values.mean()).abs() < 1.96 * errors).double().mean().item()
    assert covered >= 0.90
    assert covered <= 0.99 or shift == 0


def test_resampled_sets_themselves_are_biased():
    """Reason to resample the influence and not the pictures: drawing with replacement raises the distance."""
    target, x = Target.of(Moments.of(rows(6, 2000, 60))), rows(7, 80, 60, shift=0.1)
    stream = torch.Generator().manual_seed(0)
    drawn = [x[torch.randint(0, 80, (80,), generator=stream)] for _ in range(60)]
    found = torch.stack([target.distance(d) for d in drawn])
    assert (found > target.distance(x)).double().mean() > 0.95
    influence = target.influence(x)
    means = [influence[torch.randint(0, 80, (80,), generator=stream)].mean() for _ in range(400)]
    assert abs(torch.stack(means).mean().item()) < 0.2 * influence.std().item() / 80**0.5


def test_infinite_n_takes_the_bias_of_equal_gaussians_away():
    """Chong & Forsyth 2020: alike Gaussians are 0 apart; at N = 800 FID says otherwise, the intercept does not."""
    real = Moments()
    real.update(rows(8, 40000, 10))
    target, x = Target.of(real), rows(9, 800, 10)
    found = frechet_infinity(x, target, generator=torch.Generator().manual_seed(0))
    biased = target.distance(x).item()
    assert abs(found.value) < 0.3 * biased
    assert found.slope > 0
    assert (found.sizes[0], found.sizes[-1], len(found.sizes)) == (200, 800, 15)
    again = frechet_infinity(x, target, generator=torch.Generator().manual_seed(0))
    assert again == found


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.zeros(1, 4), "at least 2 pictures"),
        (torch.zeros(5, 3), "3 and 4 dimensions"),
        (torch.full((5, 4), torch.nan), "NaN"),
    ],
)
def test_refused(x, says):
    with pytest.raises(Refusal) as error:
        Target.of(Moments.of(rows(1, 9, 4))).distance(x)
    assert says in str(error.value)


def test_too_few_to_extrapolate():
    with pytest.raises(Refusal, match="too few to extrapolate"):
        frechet_infinity(rows(1, 3, 4), Target.of(Moments.of(rows(2, 9, 4))), generator=torch.Generator())
    with pytest.raises(Refusal, match="at least 2 pictures"):
        Target.of(Moments.of(rows(1, 1, 4)))
