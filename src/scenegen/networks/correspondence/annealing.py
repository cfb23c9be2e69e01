"""Sinkhorn's annealing: the temperatures that follow from the box around all features, and potentials under them.

    box = Box.around(source, reference)                                     # unit features (b, d, n) and (b, d, m)
    f, g, last_f, last_g = solved(cost, a, b, box.schedules()[0], reach)    # one sample, as many steps as it takes
    last_f, last_g = solved_together(costs, a, b, box, reach)               # a batch, in a graph of fixed length
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.networks.layers.precision import at_least_float32

BLUR = 0.025
"""Lower end of the schedule, and divisor of the plan; the released code ignores its option of that name."""

SCALING = 0.5
"""Ratio of one temperature and the one before it."""

ZERO_MASS = -100000.0
"""Stand-in for the logarithm of zero mass."""

BLOCK_ELEMENTS = {"cpu": 2**18, "cuda": 2**26}  # of costs worked on at once: fits the cache, or fills the device

GRAPH_ELEMENTS = 2**24
"""Costs of a sample worked on at once in a graph that is passed on, where each block is nodes of it."""


@dataclass(frozen=True)
class Box:
    """The box around all unit features of two maps.

    Attributes:
        diagonal: (b,) its length for each sample, or (1,) for one box around the whole batch.
        dimensions: of the features.
    """

    diagonal: Tensor
    dimensions: int

    @classmethod
    @torch.no_grad()
    def around(cls, source: Tensor, reference: Tensor, *, per_sample: bool = False) -> Box:
        """The box around features.

        Args:
            source, reference: (b, d, n) and (b, d, m) unit features.
            per_sample: one box for each sample; otherwise one around the whole batch, as released.
        """
        sides = [(x.amin(2), x.amax(2)) for x in (source, reference)]
        low, high = torch.minimum(sides[0][0], sides[1][0]), torch.maximum(sides[0][1], sides[1][1])
        if not per_sample:
            low, high = low.amin(0, keepdim=True), high.amax(0, keepdim=True)
        return cls(at_least_float32(high - low).norm(dim=1), source.shape[1])

    def schedules(self) -> list[list[float]]:
        """The temperatures of each sample, or one list for all; see `schedule`."""
        return [schedule(diameter) for diameter in self.diagonal.tolist()]

    @property
    def most_halvings(self) -> int:
        """Greatest number of temperatures after the first two that any features ask for.

        No coordinate of a feature of length 1 leaves [-1, 1], so that no side of the box is longer than 2 and its
        diagonal not longer than 2 sqrt(dimensions). One part in a thousand is left to rounding.
        """
        return len(schedule(2.002 * math.sqrt(self.dimensions))) - 2


def schedule(diameter: float, *, blur: float = BLUR, scaling: float = SCALING) -> list[float]:
    """The solver's temperatures: diameter, blur, then diameter, diameter * scaling, ... as long as above the blur.

    The blur in second place is the released order; it leaves the last temperature above the blur.

    Source: specified behaviour of the UNITE release (Zhan et al., CVPR 2021).
    """
    count = math.ceil(math.log(diameter / blur) / -math.log(scaling)) if diameter > blur else 0
    return [max(diameter, blur), blur, *(diameter * scaling**k for k in range(count))]


def solved(
    cost: Tensor, a: Tensor, b: Tensor, epsilons: Sequence[float], reach: float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Potentials of one sample.

    Args:
        cost: (n, m).
        a, b: (n,) and (m,) masses.
        epsilons: temperatures.
        reach: see `transport.sinkhorn`.

    Returns:
        The potentials before the last update, f (n,) and g (m,), and after it.
    """

    def updated(f: Tensor, g: Tensor, eps: float) -> list[Tensor]:
        return [damping(eps, reach) * t for t in _softmins(cost, a, b, f, g, eps)]

    f, g = updated(torch.zeros_like(a), torch.zeros_like(b), epsilons[0])
    for eps in epsilons:
        new_f, new_g = updated(f, g, eps)
        f, g = (f + new_f) / 2, (g + new_g) / 2
    last_f, last_g = updated(f, g, epsilons[-1])
    return f, g, last_f, last_g


def solved_together(cost: Tensor, a: Tensor, b: Tensor, box: Box, reach: float | None) -> tuple[Tensor, Tensor]:
    """Potentials of a batch by a number of steps that hangs on the features' dimensions alone.

    The schedule is the longest that any features ask for. Steps beyond a sample's own are computed at its last
    temperature and thrown away: a repeated step would go on averaging.

    Args:
        cost: (b, n, m).
        a, b: (b, n) and (b, m) masses.
        box: of the samples.
        reach: see `transport.sinkhorn`.

    Returns:
        F (b, n) and G (b, m) after the last update.
    """
    log_a, log_b, diameter = log(a), log(b), box.diagonal[:, None]

    def updated(f: Tensor, g: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        scale = -eps * damping(eps, reach)
        return scale * _logsumexp(log_b + g / eps, cost, eps), scale * _logsumexp(log_a + f / eps, cost.mT, eps)

    def averaged(f: Tensor, g: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        new_f, new_g = updated(f, g, eps)
        return (f + new_f) / 2, (g + new_g) / 2

    first = diameter.clamp(min=BLUR)
    last = torch.full_like(first, BLUR)
    f, g = updated(torch.zeros_like(log_a), torch.zeros_like(log_b), first)
    for eps in (first, last):
        f, g = averaged(f, g, eps)
    for k in range(box.most_halvings):
        eps = diameter * SCALING**k
        taken = eps > BLUR
        last = torch.where(taken, eps, last)
        new_f, new_g = averaged(f, g, last)
        f, g = torch.where(taken, new_f, f), torch.where(taken, new_g, g)
    return updated(f, g, last)


def cost_of(cosine: Tensor) -> Tensor:
    """sqrt(1 - cos), in the place of the cosines."""
    return (1 - cosine).clamp_(min=0).sqrt_()


def damping(eps, reach: float | None):
    """Factor of an update whose marginals may differ from the masses; 1 where they may not."""
    return 1.0 if reach is None else 1 / (1 + eps / reach)


def log(mass: Tensor) -> Tensor:
    """Logarithm of masses, ZERO_MASS where there is none."""
    mass = at_least_float32(mass)
    return torch.where(mass > 0, mass, 1).log().masked_fill(mass <= 0, ZERO_MASS)


def _softmins(cost: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Both softmins of one update, from the kernel exp((f + g - cost) / eps) that they share: one exp for two."""
    rows, columns = torch.empty_like(f), torch.zeros_like(g)
    a_only, b_only = a.clamp(min=0), b.clamp(min=0)
    f_eps, g_eps = f / eps, g / eps
    for some in _slices(cost):
        kernel = torch.add(g_eps, cost[some], alpha=-1 / eps).add_(f_eps[some, None]).exp_()
        rows[some] = kernel @ b_only
        columns.addmv_(kernel.T, a_only[some])
    if all(bool(((t > 1e-30) & (t < math.inf)).all()) for t in (rows, columns)):
        return f - eps * rows.log(), g - eps * columns.log()
    # potentials far from their fixed point leave float32's range; each softmin's own maximum does not
    return _softmin(cost, log(b) + g_eps, eps), _softmin(cost.T, log(a) + f_eps, eps)


def _softmin(cost: Tensor, exponent: Tensor, eps: float) -> Tensor:
    return -eps * torch.cat([(exponent - cost[some] / eps).logsumexp(1) for some in _slices(cost)])


def _slices(cost: Tensor) -> Iterator[slice]:
    step = max(1, BLOCK_ELEMENTS.get(cost.device.type, 2**24) // cost.shape[1])
    return (slice(i, i + step) for i in range(0, cost.shape[0], step))


def _logsumexp(exponent: Tensor, cost: Tensor, eps: Tensor) -> Tensor:
    """(b, n): logsumexp of exponent (b, m) less cost (b, n, m) over eps (b or 1, 1), in blocks of rows."""
    rows = cost.split(max(1, GRAPH_ELEMENTS // cost.shape[2]), dim=1)
    return torch.cat([(exponent[:, None] - some / eps[..., None]).logsumexp(2) for some in rows], dim=1)
