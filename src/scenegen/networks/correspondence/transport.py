"""Entropic optimal transport between the positions of two maps: Sinkhorn's potentials, and the plan that warps.

    plan = Released()(partial(match, kernel=3), source, reference, source_mass, reference_mass, box=box)
    warped = plan.to_source(picture)                      # (b, c, h', w') -> (b, c, h, w)

Costs of one sample at a time are held while its potentials are sought; everything with a gradient is computed in blocks
of rows, in the forward and again in the backward pass. All of it runs in float32 or wider, under autocast too. A graph
that is passed on holds the costs of all its samples, and has no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scenegen.base.records import Refusal
from scenegen.networks.correspondence.annealing import BLUR, Box, cost_of, damping, log, solved, solved_together
from scenegen.networks.correspondence.similarity import Similarity
from scenegen.networks.correspondence.softmax_warp import Products, logits_together
from scenegen.networks.layers.exporting import exporting
from scenegen.networks.layers.precision import at_least_float32

Matcher = Callable[[Tensor, Tensor], Similarity]
"""Two maps (b, c, h, w) -> their cosines: correspondence.match or, where vectors have unit length, Similarity."""


def sinkhorn(
    match: Matcher,
    source: Tensor,
    reference: Tensor,
    source_mass: Tensor,
    reference_mass: Tensor,
    *,
    schedules: Sequence[Sequence[float]],
    reach: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Dual potentials of the transport with the cost sqrt(1 - cos).

    The loop has no gradient. Its last, extrapolating update has one through the cost: from F to the source features,
    from G to the reference features. The masses get none.

    Args:
        match: gives the cosines of n source and m reference positions.
        source, reference: (b, c, h, w) and (b, c, h', w').
        source_mass, reference_mass: (b, n) and (b, m), at least 0.
        schedules: temperatures of the solver; one list for all samples, or one per sample.
        reach: > 0, of the penalty (KL) on marginals that differ from the masses; None allows no difference.

    Returns:
        F (b, n) and G (b, m).

    Source: Sejourne et al. 2019, Sinkhorn divergences for unbalanced optimal transport, section 3 (the damped,
        symmetric updates); Zhan et al., CVPR 2021 (UNITE), section 3.2.
    """
    similarity = match(source.detach(), reference.detach())
    masses = [at_least_float32(mass.detach()) for mass in (source_mass, reference_mass)]
    last = [schedules[i % len(schedules)][-1] for i in range(len(source))]
    with torch.no_grad(), torch.autocast(source.device.type, enabled=False):
        found = [
            solved(_costs(similarity, i), masses[0][i], masses[1][i], schedules[i % len(schedules)], reach)
            for i in range(len(source))
        ]
        f, g, last_f, last_g = (torch.stack(each) for each in zip(*found, strict=True))
        eps = last_f.new_tensor(last)[:, None]
        damped = eps * damping(eps, reach)
        log_a, log_b = (log(mass) for mass in masses)
    of_source, of_reference = match(source, reference.detach()), match(source.detach(), reference)
    return (
        _Extrapolated.apply(*_fields(of_source), last_f, last_f / damped, log_b + g / eps, last, reach, True),
        _Extrapolated.apply(*_fields(of_reference), last_g, log_a + f / eps, last_g / damped, last, reach, False),
    )  # pyright: ignore[reportReturnType]


def potentials(
    match: Matcher, source: Tensor, reference: Tensor, a: Tensor, b: Tensor, *, box: Box, reach: float | None
) -> tuple[Tensor, Tensor]:
    """F and G of `sinkhorn` under the temperatures of a box; in a graph that is passed on, of fixed length."""
    if not exporting():
        return sinkhorn(match, source, reference, a, b, schedules=box.schedules(), reach=reach)
    similarity = match(source, reference)
    product = Products(similarity.query, similarity.key, similarity.kernel)
    logits = logits_together(product, scale=similarity.scale, offset=similarity.offset)
    return solved_together(torch.cat([cost_of(block) for block in logits], dim=1), a, b, box, reach)


@dataclass(frozen=True)
class Plan:
    """Transport plan: softmaxes of (cos + bias) / blur over either side, applied but never held.

    Attributes:
        similarity: cosines of n source positions and m reference positions.
        reference_bias: (b, m), joins the softmax over reference positions, in units of the cost.
        source_bias: (b, n), joins the softmax over source positions.
    """

    similarity: Similarity
    reference_bias: Tensor
    source_bias: Tensor

    def to_source(self, values: Tensor) -> Tensor:
        """Values (b, c, h', w') at the reference positions, mixed for every source position: (b, c, h, w)."""
        return self.similarity.warp(values, temperature=BLUR, bias=self.reference_bias / BLUR)

    def to_reference(self, values: Tensor) -> Tensor:
        """Values (b, c, h, w) at the source positions, mixed for every reference position: (b, c, h', w')."""
        return self.similarity.transposed().warp(values, temperature=BLUR, bias=self.source_bias / BLUR)


@dataclass(frozen=True)
class Released:
    """Transport as UNITE's released code computes it, and as its checkpoints expect it.

    Both masses are applied at the source position, so that the plan over reference positions knows neither of them,
    and its cost is 1 - cos where the potentials are those of the root.

    Source: specified behaviour of the UNITE release (Zhan et al., CVPR 2021).
    """

    def __call__(self, match: Matcher, source: Tensor, reference: Tensor, a: Tensor, b: Tensor, *, box: Box) -> Plan:
        """The plan between two maps of equal size.

        Args:
            match, source, reference: see `sinkhorn`.
            a, b: the source's and the reference's masses, (b, n) each.
            box: around the features that are matched.
        """
        f, g = potentials(match, source, reference, a, b, box=box, reach=None)
        return Plan(match(source, reference), g, f + BLUR * (log(a) + log(b)))


@dataclass(frozen=True)
class Unbalanced:
    """Transport as UNITE's paper has it: marginals may differ from the masses, and each side has its own.

    Attributes:
        reach: > 0; the smaller, the more the marginals may differ.

    Source: Zhan et al., CVPR 2021 (UNITE), section 3.2.
    """

    reach: float

    def __post_init__(self) -> None:
        if not 0 < self.reach < math.inf:
            raise Refusal(f"reach={self.reach} is not a number above 0; model.transport=released has no such freedom")

    def __call__(self, match: Matcher, source: Tensor, reference: Tensor, a: Tensor, b: Tensor, *, box: Box) -> Plan:
        """The plan between two maps; see `Released`."""
        f, g = potentials(match, source, reference, a, b, box=box, reach=self.reach)
        return Plan(match(source, reference), g + BLUR * log(b), f + BLUR * log(a))


class _Extrapolated(torch.autograd.Function):
    """A potential's known value, with the gradient of the softmin that it came from, through the cost alone.

    `value` is a potential of the rows (b, n) or of the columns (b, m); exp(u_i + v_j - cost_ij / eps) are its softmin's
    weights.
    """

    @staticmethod
    def forward(ctx, query, key, kernel, rows, columns, left, right, value, u, v, eps, reach, by_row) -> Tensor:
        ctx.save_for_backward(query, key, rows, columns, left, right, u, v)
        ctx.options = kernel, eps, reach, by_row
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, d_value: Tensor) -> tuple[Tensor | None, ...]:
        query, key, rows, columns, left, right, u, v = ctx.saved_tensors
        kernel, eps, reach, by_row = ctx.options
        with torch.autocast(query.device.type, enabled=False):
            product = Products(query, key, kernel, gradient=True)
            d_rows, d_columns = torch.empty_like(rows), torch.zeros_like(columns)
            d_left, d_right = torch.empty_like(left), torch.zeros_like(right)
            for b, some in product.blocks():
                raw = product.forward(b, some)
                scale = rows[b, some, None] * columns[b]
                cost = cost_of(torch.addmm(raw * scale, left[b, some], right[b].T))
                d_cost = torch.add(v[b], cost, alpha=-1 / eps[b]).add_(u[b, some, None]).exp_()
                d_cost.mul_(d_value[b, some, None] if by_row else d_value[b]).mul_(damping(eps[b], reach))
                # the root is flat where rounding made it 0
                d_cosine = d_cost.div_(cost.mul_(-2)).masked_fill_(cost == 0, 0)
                d_left[b, some] = d_cosine @ right[b]
                d_right[b].addmm_(d_cosine.T, left[b, some])
                product.backward(b, some, scale.mul_(d_cosine))
                scaled = d_cosine.mul_(raw)
                d_rows[b, some] = scaled @ columns[b]
                d_columns[b].addmv_(scaled.T, rows[b, some])
        return *product.gradients(), None, d_rows, d_columns, d_left, d_right, *([None] * 6)


def _fields(similarity: Similarity) -> tuple[Tensor, Tensor, int, Tensor, Tensor, Tensor, Tensor]:
    """Query, key, kernel, rows, columns, left, right; see `Similarity`."""
    query, key = similarity.query, similarity.key
    ones = [t.new_ones(len(t), t.shape[2] * t.shape[3]) for t in (query, key)]
    scale = similarity.scale or ones
    offset = similarity.offset or [t.new_zeros(*t.shape, 0) for t in ones]
    return query, key, similarity.kernel, *scale, *offset  # pyright: ignore[reportReturnType]


def _costs(similarity: Similarity, sample: int) -> Tensor:
    """(n, m) sqrt(1 - cos) of one sample."""
    i = slice(sample, sample + 1)
    query, key, kernel, *factors = _fields(similarity)
    rows, columns, left, right = (t[sample] for t in factors)
    product = Products(query[i], key[i], kernel)
    cost = query.new_empty(rows.shape[0], columns.shape[0])
    for _, some in product.blocks():
        cosine = product.forward(0, some).mul_(columns).mul_(rows[some, None])
        cost[some] = cost_of(cosine.addmm_(left[some], right.T))
    return cost
