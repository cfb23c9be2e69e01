"""Comparison of recipes: paired pictures, paired seeds, p-values corrected for the number of questions.

Two things make a number vary: the pictures that happened to be scored, and the seed of the training. All recipes are
scored on the same label maps, so the first is measured by resampling label maps for all runs together; the second by
the differences between runs of equal seed. Their variances add up, and the interval is Student's t with one degree of
freedom less than there are seeds. With one seed each only the first is known, and the verdict says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from scenegen.base.records import Refusal
from scenegen.reporting.quantities import Quantity
from scenegen.reporting.results import Result
from scenegen.scoring.protocol import require_one
from scenegen.scoring.record import Better

LEVEL = 0.05
"""Significance level of all questions together."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Pair:
    """One question: the difference between two recipes' numbers.

    Attributes:
        first, second: recipes; the first has the better mean.
        difference: of the means over seeds.
        low, high: 95 % interval of the difference, not corrected.
        seeds: runs of each that entered.
        paired: the runs were paired by seed.
        p: two-sided, corrected by Holm for all pairs of the comparison.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    seeds: tuple[int, int]
    paired: bool
    p: float

    @property
    def verdict(self) -> str:
        """The answer in words."""
        if self.p >= LEVEL:
            return "cannot be told apart"
        return "better" if min(self.seeds) > 1 else "better in this one run, other seeds unknown"


@dataclass(frozen=True)
class Comparison:
    """Recipes by the mean of one number, best first, and every pair of them.

    Attributes:
        means: recipe -> mean over its seeds.
        seeds: recipe -> its seeds.
        parts: recipe -> role -> mean.
        pairs: all of them, in the order of the means.
        pictures: label maps (or slices, or photographs) that all runs share.
        quantity: "total", or a measure's role.
        better: direction in which it improves.
    """

    means: Mapping[str, float]
    seeds: Mapping[str, tuple[int, ...]]
    parts: Mapping[str, Mapping[str, float]]
    pairs: Sequence[Pair]
    pictures: int
    quantity: str = "total"
    better: Better = "higher"


def compare(recipes: Mapping[str, Sequence[Result]], *, by: Sequence[Quantity], seed: int = 0) -> list[Comparison]:
    """Compare every two recipes by each quantity; p is corrected for all questions together.

    Args:
        recipes: at least two, each with its runs.
        by: at least one.
        seed: of the resamples.

    Raises:
        Refusal: fewer than two recipes, a run without one of the numbers, unlike protocols, or other label maps.
    """
    if len(recipes) < 2:
        raise Refusal("there is one recipe only, so nothing to compare; name runs of two or more")
    runs = [run for group in recipes.values() for run in group]
    require_one({run.name: dict(run.record["protocol"]) for run in runs})
    _require_same_maps(runs)
    found = [_by_one(recipes, by=quantity, seed=seed) for quantity in by]
    corrected = iter(holm([pair.p for comparison in found for pair in comparison.pairs]))
    return [replace(one, pairs=[replace(pair, p=next(corrected)) for pair in one.pairs]) for one in found]


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979), section 3.
    """
    order = np.argsort(p)
    factors = len(p) - np.arange(len(p))
    steps = np.minimum(1.0, np.maximum.accumulate(np.asarray(p, float)[order] * factors))
    corrected = np.empty(len(p))
    corrected[order] = steps
    return [float(value) for value in corrected]


def _by_one(recipes: Mapping[str, Sequence[Result]], *, by: Quantity, seed: int) -> Comparison:
    """The comparison by one quantity, p not corrected."""
    runs = [run for group in recipes.values() for run in group]
    means = {name: float(np.mean([by.of(run) for run in group])) for name, group in recipes.items()}
    order = sorted(means, key=lambda name: means[name], reverse=by.better == "higher")
    drawn = {run.folder: by.drawn(run, seed=seed, resamples=RESAMPLES) for run in runs}
    return Comparison(
        means={name: means[name] for name in order},
        seeds={name: tuple(run.seed for run in recipes[name]) for name in order},
        parts={name: _mean_parts(recipes[name]) for name in order},
        pairs=[_pair(one, two, recipes, by, means, drawn) for one, two in itertools.combinations(order, 2)],
        pictures=len(runs[0].pictures),
        quantity=by.name,
        better=by.better,
    )


def _pair(
    one: str,
    two: str,
    recipes: Mapping[str, Sequence[Result]],
    by: Quantity,
    means: Mapping[str, float],
    drawn: Mapping[Path, np.ndarray],
) -> Pair:
    """The pair with its uncorrected p."""
    a, b = ({run.seed: run for run in recipes[name]} for name in (one, two))
    paired = a.keys() == b.keys()
    difference = means[one] - means[two]
    by_picture = np.mean([drawn[r.folder] for r in a.values()], 0) - np.mean([drawn[r.folder] for r in b.values()], 0)
    variance = float(by_picture.var(ddof=1))
    smallest = min(len(a), len(b))
    if paired and smallest > 1:
        variance += _spread([by.of(a[s]) - by.of(b[s]) for s in a])
    elif smallest > 1:
        variance += sum(_spread([by.of(run) for run in group.values()]) for group in (a, b))
    freedom = smallest - 1 if smallest > 1 else np.inf
    error = variance**0.5
    reach = float(student.ppf(1 - LEVEL / 2, freedom)) * error
    p = 2 * float(student.sf(abs(difference) / error, freedom)) if error > 0 else float(difference == 0)
    return Pair(one, two, difference, difference - reach, difference + reach, (len(a), len(b)), paired, p)


def _spread(values: Sequence[float]) -> float:
    """Variance of the mean of some values."""
    return float(np.var(values, ddof=1) / len(values))


def _mean_parts(runs: Sequence[Result]) -> dict[str, float]:
    return {role: float(np.mean([run.parts[role] for run in runs])) for role in runs[0].parts}


def _require_same_maps(runs: Sequence[Result]) -> None:
    first, *others = runs
    for run in others:
        if not np.array_equal(run.pictures.names, first.pictures.names):
            raise Refusal(
                f"{first.name} and {run.name} were scored on other label maps ({len(first.pictures)} and "
                f"{len(run.pictures)}), so their pictures do not pair; score both on the same ones"
            )
