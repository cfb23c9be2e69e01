"""Contextual bilateral loss: feature sets compared without alignment, but with a liking for the same place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.losses.affinity import _best_sources_gradient, _distance_gradient, _Pairs
from scenegen.losses.contextual import CENTRES, DISTANCES, _chosen, _rows, _rows_that_fit, check_options
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Evidence
from scenegen.losses.perceptual import checked_layers, target_needs
from scenegen.types import Refusal


def _to_255(h: int, w: int) -> tuple[float, float]:
    return 255 / h, 255 / w


def _within_1(h: int, w: int) -> tuple[float, float]:
    return 1 / (h + 1), 1 / (w + 1)


GRIDS = {"to_255": _to_255, "within_1": _within_1}
"""(h, w) -> what one row and one column count; the first is the paper's code, the second a PyTorch port's."""


def bilateral_loss(
    x: Tensor,
    y: Tensor,
    *,
    spatial: float = 0.1,
    grid: str = "to_255",
    distance: str = "cosine_half",
    centre: str = "batch",
    h: float = 0.5,
    eps: float = 1e-3,
    log_eps: float = 0.0,
    direction: str = "target",
    patch: int = 1,
    max_points: int | None = None,
    generator: torch.Generator | None = None,
    row_chunk: int | None = None,
) -> Tensor:
    """`contextual_loss` with affinities (1 - w) A(features) + w A(positions).

    A(positions) is the same softmax of relative distances on the squared distance of coordinates. With
    coordinates up to 255 it picks the same position alone, so the loss lies in [0, -log(w)]. It is 0 for
    identical sets whose vectors all differ. Taken in blocks of rows as in affinity.py, so memory grows with the
    number of positions. Runs in float32 or wider, under autocast too.

    Args:
        x: (b, c, h, w), features of the generated picture.
        y: (b, c, h', w'), of the target; another number of positions is allowed.
        spatial: w in [0, 1).
        grid: coordinates: "to_255" (i / h 255, j / w 255) or "within_1" (i / (h + 1), j / (w + 1)).
        distance, centre, h, eps, log_eps, direction, patch, max_points, generator, row_chunk: see `contextual_loss`.

    Returns:
        A scalar, mean over the batch.

    Raises:
        Refusal: for a bad option or unlike features.

    Source: Zhang et al., CVPR 2019 (Zoom to learn), eq. 3, as their code mixes it.
    """
    _check(spatial=spatial, grid=grid)
    check_options(
        distance=distance, centre=centre, h=h, eps=eps, log_eps=log_eps, direction=direction, patch=patch,
        max_points=max_points, row_chunk=row_chunk,
    )  # fmt: skip
    if x.shape[:2] != y.shape[:2] or (centre == "pono" and x.shape != y.shape):
        raise Refusal(f"loss.cobi compares like feature maps, but has {tuple(x.shape)} and {tuple(y.shape)}")
    x, y = full_precision(x), full_precision(y)
    kind, mean = DISTANCES[distance], CENTRES[centre](y)
    places = [_places(m, grid) for m in (x, y)]
    rows = [_rows(m - mean, kind.unit, patch) for m in (x, y)]
    if max_points is not None:
        chosen = {len(p): _chosen(len(p), max_points, generator).to(x.device) for p in places}
        places = [p[chosen[len(p)]] for p in places]
        rows = [r[:, chosen[r.shape[1]]] for r in rows]
    chunk = row_chunk or _rows_that_fit(rows[1], kind)
    wanted = [torch.is_grad_enabled() and r.requires_grad for r in rows]
    near = _Pairs(places[0], places[1], DISTANCES["l2"].between, eps, h, None, None)
    cx = _Mixed.apply(*rows, near, kind.between, spatial, eps, h, direction, chunk, wanted)  # pyright: ignore[reportOptionalOperand]
    return -(cx + log_eps).log().mean()


class Bilateral(nn.Module):
    """`bilateral_loss` on layers of a frozen extractor, weighted and summed; layer "image" is the picture itself.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        target: "real" or "exemplar".
        spatial, grid, distance, centre, h, eps, log_eps, direction, patch, max_points, row_chunk: see
            `bilateral_loss`.

    Formula: -log(mean_j max_i ((1 - w) A_ij + w S_ij)), A as in cx, S the same of positions, w = spatial
    Range: features of pictures in [-1, 1]; 0 for equal maps, at most -log(w)
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        target: str = "real",
        spatial: float = 0.1,
        grid: str = "to_255",
        distance: str = "cosine_half",
        centre: str = "batch",
        h: float = 0.5,
        eps: float = 1e-3,
        log_eps: float = 0.0,
        direction: str = "target",
        patch: int = 1,
        max_points: int | None = 3969,
        row_chunk: int | None = None,
    ) -> None:
        super().__init__()
        _check(spatial=spatial, grid=grid)
        options: dict[str, Any] = {
            "distance": distance, "centre": centre, "h": h, "eps": eps, "log_eps": log_eps,
            "direction": direction, "patch": patch, "max_points": max_points, "row_chunk": row_chunk,
        }  # fmt: skip
        check_options(**options)
        self.options = {**options, "spatial": spatial, "grid": grid}
        self.layers = checked_layers(layers, term="cobi")
        self.needs = target_needs(target, term="cobi")
        self.reads: Mapping[str, tuple[str, ...]] = {extractor: tuple(self.layers)}
        self.extractor, self.target = extractor, target

    def forward(self, evidence: Evidence) -> Tensor:
        fake = evidence.features.get("fake", self.extractor)
        target = evidence.features.get(self.target, self.extractor)
        generator = torch.Generator().manual_seed(evidence.seed)
        values = [
            weight * bilateral_loss(fake[layer], target[layer], generator=generator, **self.options)
            for layer, weight in self.layers.items()
        ]
        return torch.stack(values).sum()


class _Mixed(torch.autograd.Function):
    """CX per sample, (b,), of rows x (b, p, c) and y (b, q, c) under mixed affinities.

    The places are constants, so the gradient is (1 - w) times that of the feature affinities at the pairs that
    the mixture chose; as in affinity.py it is taken at once, while a block of distances is at hand.
    """

    @staticmethod
    def forward(ctx, x, y, places, between, spatial, eps, h, direction, chunk, wanted):  # type: ignore[override]
        best = {"target": _best_sources, "source": _best_targets}[direction]
        grad_x = torch.zeros_like(x) if wanted[0] else None
        grad_y = torch.zeros_like(y) if wanted[1] else None
        found = []
        with torch.autocast(x.device.type, enabled=False):
            for n, rows in enumerate(x):
                into_x, into_y = (None if grad is None else grad[n] for grad in (grad_x, grad_y))
                pairs = _Pairs(rows, y[n], between, eps, h, into_x, into_y)
                found.append(best(_Mixture(pairs, places, spatial), chunk))
        ctx.spatial = spatial
        ctx.save_for_backward(grad_x, grad_y)
        return torch.stack(found)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        share = (1 - ctx.spatial) * grad[:, None, None]
        grad_x, grad_y = (None if saved is None else saved * share for saved in ctx.saved_tensors)
        return grad_x, grad_y, None, None, None, None, None, None, None, None


@dataclass(frozen=True)
class _Mixture:
    """One sample's features and places, and the share of the places."""

    pairs: _Pairs
    places: _Pairs
    spatial: float

    def of(self, a: Tensor, rows: Tensor) -> Tensor:
        """Mixed affinities of some rows of x, (rows, q), of those of their features, which stay as they are."""
        near = self.places.affinity(self.places.between(self.places.x[rows], self.places.y))
        return near.mul_(self.spatial).add_(a, alpha=1 - self.spatial)


def _best_targets(mixture: _Mixture, chunk: int) -> Tensor:
    best, pairs = [], mixture.pairs
    count = len(pairs.x)
    for rows in torch.arange(count, device=pairs.x.device).split(chunk):
        d, leaves = pairs.distances(rows)
        a = pairs.affinity(d.detach().clone())
        value, column = mixture.of(a, rows).max(dim=1)
        best.append(value)
        if pairs.wants_gradient:
            row = torch.arange(len(rows), device=rows.device)
            pairs.accumulate(rows, d, leaves, _distance_gradient(pairs, d.detach(), a, row, column, 1 / count))
    return torch.cat(best).mean()


def _best_sources(mixture: _Mixture, chunk: int) -> Tensor:
    pairs = mixture.pairs
    best = pairs.x.new_full((len(pairs.y),), -1.0)
    source = torch.zeros(len(best), dtype=torch.long, device=best.device)
    for rows in torch.arange(len(pairs.x), device=best.device).split(chunk):
        with torch.no_grad():
            mix = mixture.of(pairs.affinity(pairs.between(pairs.x[rows], pairs.y)), rows)
        value = mix.amax(0)
        better = (value > best).nonzero().squeeze(1)
        best[better] = value[better]
        source[better] = mix[:, better].argmax(0) + rows[0]
    if pairs.wants_gradient:
        _best_sources_gradient(pairs, source, chunk)
    return best.mean()


def _places(x: Tensor, grid: str) -> Tensor:
    h, w = x.shape[-2:]
    down, right = GRIDS[grid](h, w)
    i, j = (torch.arange(n, device=x.device, dtype=x.dtype) * step for n, step in ((h, down), (w, right)))
    return torch.cartesian_prod(i, j)  # (h w, 2)


def _check(*, spatial: float, grid: str) -> None:
    if not 0 <= spatial < 1:
        raise Refusal(f"loss.cobi.spatial={spatial} is not in [0, 1); 0.1 is the paper's")
    if grid not in GRIDS:
        raise Refusal(f"loss.cobi.grid={grid} is not one of {', '.join(GRIDS)}")
