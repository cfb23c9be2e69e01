"""Contextual bilateral loss: feature sets compared without alignment, but with a liking for the same place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scenegen.losses.contextual import CENTRES, DISTANCES, check_options
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Evidence
from scenegen.losses.perceptual import checked_layers, target_needs
from scenegen.types import Refusal

BLOCK_ELEMENTS = {"cpu": 2**19, "cuda": 2**24}  # of a block of distances: fits the cache, or fills the device


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
    identical sets whose vectors all differ. Blocks of rows are recomputed in the backward pass, so memory
    grows with the number of positions. Runs in float32 or wider, under autocast too.

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
    rows = [_rows(m - mean, unit=kind.unit, patch=patch) for m in (x, y)]
    chosen = {len(p): _chosen(len(p), max_points, generator).to(x.device) for p in places}
    places = [p[chosen[len(p)]] for p in places]
    rows = [r[:, chosen[r.shape[1]]] for r in rows]
    chunk = row_chunk or _rows_that_fit(rows[1], broadcasts=kind.broadcasts)
    mix = partial(_mix, between=kind.between, spatial=spatial, eps=eps, h=h)
    best = {"target": _best_sources, "source": _best_targets}[direction]
    with torch.autocast(x.device.type, enabled=False):
        cx = torch.stack([best(mix, a, b, *places, chunk).mean() for a, b in zip(*rows, strict=True)])
    return -(cx + log_eps).log().mean()


class Bilateral(nn.Module):
    """`bilateral_loss` on layers of a frozen extractor, weighted and summed; layer "image" is the picture itself.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        target: "real" or "exemplar".
        spatial, grid, distance, centre, h, eps, log_eps, direction, patch, max_points, row_chunk: see
            `bilateral_loss`.
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
        options = {
            "distance": distance, "centre": centre, "h": h, "eps": eps, "log_eps": log_eps,
            "direction": direction, "patch": patch, "max_points": max_points, "row_chunk": row_chunk,
        }  # fmt: skip
        check_options(**options)  # pyright: ignore[reportArgumentType]
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
            weight * bilateral_loss(fake[layer], target[layer], generator=generator, **self.options)  # pyright: ignore
            for layer, weight in self.layers.items()
        ]
        return torch.stack(values).sum()


Mix = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _best_targets(mix: Mix, x: Tensor, y: Tensor, place_x: Tensor, place_y: Tensor, chunk: int) -> Tensor:
    """Of each row of x the best affinity with y."""
    blocks = zip(x.split(chunk), place_x.split(chunk), strict=True)
    return torch.cat([_again(lambda *sides: mix(*sides).amax(1), a, y, place, place_y) for a, place in blocks])


def _best_sources(mix: Mix, x: Tensor, y: Tensor, place_x: Tensor, place_y: Tensor, chunk: int) -> Tensor:
    """Of each row of y the best affinity with x, which may stand in any block."""
    blocks = zip(x.split(chunk), place_x.split(chunk), strict=True)
    return torch.stack([_again(lambda *sides: mix(*sides).amax(0), a, y, place, place_y) for a, place in blocks]).amax(0)


def _again(block: Mix, *sides: Tensor) -> Tensor:
    """The block's result; its inside is made again when the gradient is taken."""
    return checkpoint(block, *sides, use_reentrant=False, preserve_rng_state=False)  # pyright: ignore


def _mix(
    x: Tensor,
    y: Tensor,
    place_x: Tensor,
    place_y: Tensor,
    *,
    between: Callable[[Tensor, Tensor], Tensor],
    spatial: float,
    eps: float,
    h: float,
) -> Tensor:
    """The mixed affinities of some rows x with all y, (rows, q)."""
    by_features = _affinity(between(x, y), eps=eps, h=h)
    if spatial == 0:
        return by_features
    return (1 - spatial) * by_features + spatial * _affinity(DISTANCES["l2"].between(place_x, place_y), eps=eps, h=h)


def _affinity(d: Tensor, *, eps: float, h: float) -> Tensor:
    d = d.clamp(min=0)  # 1 - cos rounds below 0
    return torch.softmax(-d / ((d.amin(1, keepdim=True) + eps) * h), dim=1)


def _places(x: Tensor, grid: str) -> Tensor:
    h, w = x.shape[-2:]
    down, right = GRIDS[grid](h, w)
    i, j = (torch.arange(n, device=x.device, dtype=x.dtype) * step for n, step in ((h, down), (w, right)))
    return torch.cartesian_prod(i, j)  # (h w, 2)


def _rows(x: Tensor, *, unit: bool, patch: int) -> Tensor:
    if unit:
        x = x / (x.square().sum(1, keepdim=True) + 1e-12).sqrt()  # finite gradient at a zero vector
    flat = F.unfold(x, patch, padding=patch // 2) if patch > 1 else x.flatten(2)
    return flat.transpose(1, 2)  # (b, p, c)


def _chosen(count: int, most: int | None, generator: torch.Generator | None) -> Tensor:
    if most is None or count <= most:
        return torch.arange(count)
    if generator is None:
        return torch.arange(most) * count // most
    return torch.randperm(count, generator=generator)[:most]


def _rows_that_fit(y: Tensor, *, broadcasts: bool) -> int:
    per_row = y.shape[1] * (y.shape[2] if broadcasts else 1)
    return max(1, BLOCK_ELEMENTS.get(y.device.type, BLOCK_ELEMENTS["cpu"]) // per_row)


def _check(*, spatial: float, grid: str) -> None:
    if not 0 <= spatial < 1:
        raise Refusal(f"loss.cobi.spatial={spatial} is not in [0, 1); 0.1 is the paper's")
    if grid not in GRIDS:
        raise Refusal(f"loss.cobi.grid={grid} is not one of {', '.join(GRIDS)}")
