"""Contextual similarity of two sets of vectors in blocks of rows, so that memory grows with the block.

Each block's gradient is taken while its distances are at hand; no matrix of all pairs is ever held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.losses.matching import Matching

Mix = Callable[[Tensor, Tensor], Tensor]


def similarity(
    x: Tensor,
    y: Tensor,
    matching: Matching,
    *,
    row_chunk: int,
    mix: Mix | None = None,
    share: float = 1.0,
) -> Tensor:
    """Contextual similarity CX: mean, over one set, of each vector's best affinity with the other set.

    Args:
        x: (b, p, c) source vectors.
        y: (b, q, c) target vectors.
        matching: distance, bandwidth, eps, and direction: "target" (mean over y of the maximum over x) or "source"
            (the reverse).
        row_chunk: rows of distances held at once.
        mix: (affinities of some rows, those rows' numbers) -> share * affinities + a part independent of x and y,
            as a new tensor; CX is then taken of the mixture.
        share: factor of the affinities in the mixture.

    Returns:
        (b,) in (0, 1].

    Source: Mechrez, Talmi and Zelnik-Manor, ECCV 2018, eqs. 2-4.
    """
    wanted = [torch.is_grad_enabled() and rows.requires_grad for rows in (x, y)]
    options = (matching.kind.between, matching.eps, matching.h, mix)
    return _Similarity.apply(x, y, options, matching.direction, row_chunk, share, wanted)  # pyright: ignore[reportReturnType]


def affinity(d: Tensor, *, eps: float, h: float) -> Tensor:
    """softmax(-d / ((min d + eps) h)) over each row of distances (p, q); overwrites d."""
    # unnormalised vectors (patches) have negative distances, and a negative minimum turns the order round
    low, high = d.amin(1, keepdim=True), d.amax(1, keepdim=True)
    t = ((low + eps) * h).reciprocal_()
    # not exp: on a CPU it takes ten times as long where it leaves float32's range, as most pairs of places do
    return d.sub_(torch.where(t > 0, low, high)).mul_(t.neg_()).softmax(1)


class _Similarity(torch.autograd.Function):
    """CX per sample, (b,), of rows x (b, p, c) and y (b, q, c).

    The result is one number per sample, so its gradient is taken at once, while a block of distances is in
    the cache, and only scaled in the backward pass.
    """

    @staticmethod
    # torch declares forward(ctx, *args), which no function with named arguments matches
    def forward(ctx, x, y, options, direction, chunk, share, wanted):  # pyright: ignore[reportIncompatibleMethodOverride]
        sample = {"target": _best_sources, "source": _best_targets}[direction]
        grad_x = torch.zeros_like(x) if wanted[0] else None
        grad_y = torch.zeros_like(y) if wanted[1] else None
        similarity = []
        with torch.autocast(x.device.type, enabled=False):
            for n, rows in enumerate(x):
                into = [None if grad is None else grad[n] for grad in (grad_x, grad_y)]
                similarity.append(sample(_Pairs(rows, y[n], *options, *into), chunk))
        ctx.share = share
        ctx.save_for_backward(grad_x, grad_y)
        return torch.stack(similarity)

    @staticmethod
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        scale = ctx.share * grad[:, None, None]
        grad_x, grad_y = (None if saved is None else saved * scale for saved in ctx.saved_tensors)
        return grad_x, grad_y, None, None, None, None, None


@dataclass(frozen=True)
class _Pairs:
    """One sample: rows x (p, c) and y (q, c), the options, and where gradients are added, if anywhere."""

    x: Tensor
    y: Tensor
    between: Callable[[Tensor, Tensor], Tensor]
    eps: float
    h: float
    mix: Mix | None
    grad_x: Tensor | None
    grad_y: Tensor | None

    @property
    def wants_gradient(self) -> bool:
        return self.grad_x is not None or self.grad_y is not None

    def ranked(self, a: Tensor, rows: Tensor) -> Tensor:
        """Candidate columns for each row's best match."""
        return a if self.mix is None else self.mix(a, rows)

    def distances(self, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Distances of some rows of x with their graph, and the leaves of that graph."""
        with torch.set_grad_enabled(self.wants_gradient):
            block_x = self.x[rows].requires_grad_(self.grad_x is not None)
            block_y = self.y.detach().requires_grad_(self.grad_y is not None)
            return self.between(block_x, block_y), [block_x, block_y]

    def accumulate(self, rows: Tensor, d: Tensor, leaves: list[Tensor], grad_d: Tensor) -> None:
        """Carry a gradient from the distances of some rows to x and y."""
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        with torch.enable_grad():
            # its gradient at d is grad_d, which autograd.grad takes for the price of importing sympy
            scalar = torch.dot(d.flatten(), grad_d.flatten())
        found = dict(zip(map(id, wanted), torch.autograd.grad(scalar, wanted), strict=True))
        if self.grad_x is not None:
            self.grad_x.index_add_(0, rows, found[id(leaves[0])])
        if self.grad_y is not None:
            self.grad_y.add_(found[id(leaves[1])])


def _best_targets(pairs: _Pairs, chunk: int) -> Tensor:
    best = []
    count = len(pairs.x)
    for rows in torch.arange(count, device=pairs.x.device).split(chunk):
        d, leaves = pairs.distances(rows)
        a = affinity(d.detach().clone(), eps=pairs.eps, h=pairs.h)
        value, column = pairs.ranked(a, rows).max(dim=1)
        best.append(value)
        if pairs.wants_gradient:
            row = torch.arange(len(rows), device=rows.device)
            pairs.accumulate(rows, d, leaves, _distance_gradient(pairs, d.detach(), a, row, column, 1 / count))
    return torch.cat(best).mean()


def _best_sources(pairs: _Pairs, chunk: int) -> Tensor:
    count = len(pairs.y)
    best = pairs.x.new_full((count,), -1.0)
    source = torch.zeros(count, dtype=torch.long, device=best.device)
    for start in range(0, len(pairs.x), chunk):
        rows = torch.arange(start, min(start + chunk, len(pairs.x)), device=best.device)
        with torch.no_grad():
            d = pairs.between(pairs.x[start : start + chunk], pairs.y)
            a = pairs.ranked(affinity(d, eps=pairs.eps, h=pairs.h), rows)
        value = a.amax(0)
        better = (value > best).nonzero().squeeze(1)
        best[better] = value[better]
        source[better] = a[:, better].argmax(0) + start
    if pairs.wants_gradient:
        _best_sources_gradient(pairs, source, chunk)
    return best.mean()


def _best_sources_gradient(pairs: _Pairs, source: Tensor, chunk: int) -> None:
    # only rows of x that are somebody's best carry gradient; their distances are taken once more
    source, target = source.sort()
    used, wins = source.unique_consecutive(return_counts=True)
    ends = [0, *wins.cumsum(0).tolist()]
    for first in range(0, len(used), chunk):
        rows = used[first : first + chunk]
        last = first + len(rows)
        column = target[ends[first] : ends[last]]
        row = torch.arange(len(rows), device=rows.device).repeat_interleave(wins[first:last])
        d, leaves = pairs.distances(rows)
        a = affinity(d.detach().clone(), eps=pairs.eps, h=pairs.h)
        grad_d = _distance_gradient(pairs, d.detach(), a, row, column, 1 / len(source))
        pairs.accumulate(rows, d, leaves, grad_d)


def _distance_gradient(pairs: _Pairs, d: Tensor, a: Tensor, row: Tensor, column: Tensor, g: float) -> Tensor:
    """Gradient, at the distances d, of g times the sum of affinities a[row, column]; overwrites a."""
    low, nearest = d.min(dim=1, keepdim=True)
    t = ((low + pairs.eps) * pairs.h).reciprocal()
    # through the softmax of z = -d t: gz = a (ga - sum a ga), where ga is g at the given pairs and else 0
    gained = a[row, column] * g
    share = torch.zeros_like(low).index_add_(0, row, gained[:, None])
    gz = a.mul_(-share)
    gz.index_put_((row, column), gained, accumulate=True)
    # through t = 1 / ((min d + eps) h), at the nearest
    through_low = (gz * d).sum(1, keepdim=True) * t.square() * pairs.h
    return gz.mul_(-t).scatter_add_(1, nearest, through_low)
