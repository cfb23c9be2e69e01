"""Contextual loss: two sets of feature vectors are compared without alignment.

Family: Features of a network
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.affinity import similarity
from scenegen.losses.features import checked_layers, full_precision, target_needs
from scenegen.losses.objective import Evidence, Term

BLOCK_ELEMENTS = {"cpu": 2**20, "cuda": 2**24}  # of a block of distances: fits the cache, or fills the device


@dataclass(frozen=True)
class Distance:
    """A pairwise distance.

    Attributes:
        between: rows (p, c), (q, c) -> (p, q).
        unit: whether rows are L2-normalised first.
        broadcasts: whether it holds p * q * c numbers at once.
    """

    between: Callable[[Tensor, Tensor], Tensor]
    unit: bool = False
    broadcasts: bool = False


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    return (-x @ y.T).add_(1)


def _cosine_half(x: Tensor, y: Tensor) -> Tensor:
    return (-0.5 * x @ y.T).add_(0.5)


def _squared(x: Tensor, y: Tensor) -> Tensor:
    expansion = (-2 * x @ y.T).add_(x.square().sum(1, keepdim=True)).add_(y.square().sum(1))
    return expansion.clamp_(min=0)  # it rounds below 0


def _absolute(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, p=1)


def _huber(x: Tensor, y: Tensor) -> Tensor:
    size = (x.shape[0], y.shape[0], x.shape[1])
    return F.smooth_l1_loss(x[:, None].expand(size), y[None].expand(size), reduction="none").sum(2)


DISTANCES = {
    "cosine": Distance(_cosine, unit=True),
    "cosine_half": Distance(_cosine_half, unit=True),
    "l2": Distance(_squared),
    "l1": Distance(_absolute),
    "smooth_l1": Distance(_huber, broadcasts=True),
}


def _mean_of_sample(y: Tensor) -> Tensor:
    return y.flatten(2).mean(2)[:, :, None, None]


def _mean_of_batch(y: Tensor) -> Tensor:
    return y.mean((0, 2, 3), keepdim=True)


def _mean_of_position(y: Tensor) -> Tensor:
    return y.mean(1, keepdim=True)


def _no_mean(y: Tensor) -> Tensor:
    return y.new_zeros(())


CENTRES = {"sample": _mean_of_sample, "batch": _mean_of_batch, "pono": _mean_of_position, "none": _no_mean}
DIRECTIONS = ("target", "source")


def contextual_loss(
    x: Tensor,
    y: Tensor,
    *,
    distance: str = "cosine",
    centre: str = "sample",
    h: float = 0.5,
    eps: float = 1e-5,
    log_eps: float = 0.0,
    direction: str = "target",
    patch: int = 1,
    max_points: int | None = None,
    generator: torch.Generator | None = None,
    row_chunk: int | None = None,
) -> Tensor:
    """How far the set of x's vectors is from covering the set of y's.

    For identical sets it is -log(1 + log_eps), that is 0 at log_eps = 0, where every vector differs from all
    others; k vectors that coincide (flat sky) raise that floor, up to log(q) for a flat picture. Runs in
    float32 or wider, under autocast too.

    Args:
        x: (b, c, h, w) or (b, c, p), features of the generated picture.
        y: (b, c, h', w') or (b, c, q), of the target; another number of positions is allowed.
        distance: "cosine" (1 - cos), "cosine_half" (half of it), "l2" (squared, no root), "l1", "smooth_l1".
        centre: which mean of y is taken from both: per "sample" and channel, over the "batch", over the
            channels of each position ("pono", p = q only), or "none".
        h: bandwidth > 0; larger keeps gradients alive longer.
        eps: added to each row's smallest distance; at least 1e-6, which float32 can tell from rounding.
        log_eps: added inside the logarithm.
        direction: "target": each target vector seeks its best source (the paper); "source": the reverse
            (CoCosNet).
        patch: side of the zero-padded windows whose (normalised) vectors are compared as one, odd.
        max_points: at most so many positions, drawn by `generator`, or evenly spaced without one; the same
            ones in x and y when p = q.
        generator: on the CPU.
        row_chunk: rows of distances held at once; None chooses.

    Returns:
        A scalar, mean over the batch.

    Raises:
        Refusal: for a bad option or unlike features.

    Source: Mechrez, Talmi and Zelnik-Manor, ECCV 2018, eqs. 2-5.
    """
    check_options(
        distance=distance, centre=centre, h=h, eps=eps, log_eps=log_eps, direction=direction, patch=patch,
        max_points=max_points, row_chunk=row_chunk,
    )  # fmt: skip
    kind = DISTANCES[distance]
    x, y = full_precision(_as_map(x)), full_precision(_as_map(y))
    _refuse_unlike_sets(x, y, centre)
    mean = CENTRES[centre](y)
    rows_x, rows_y = rows_of(x - mean, kind.unit, patch), rows_of(y - mean, kind.unit, patch)
    if max_points is not None:
        rows_x, rows_y = subset(rows_x, rows_y, max_points, generator)
    chunk = row_chunk or rows_that_fit(rows_y, kind)
    cx = similarity(
        rows_x, rows_y, between=kind.between, eps=eps, h=h, direction=direction, row_chunk=chunk
    )  # fmt: skip
    return -(cx + log_eps).log().mean()


def check_options(
    *,
    distance: str,
    centre: str,
    h: float,
    eps: float,
    log_eps: float,
    direction: str,
    patch: int,
    max_points: int | None,
    row_chunk: int | None,
) -> None:
    """Refuse options that `contextual_loss` cannot use."""
    named = {"distance": (distance, DISTANCES), "centre": (centre, CENTRES), "direction": (direction, DIRECTIONS)}
    for option, (value, known) in named.items():
        if value not in known:
            raise Refusal(f"loss.cx.{option}={value} is not one of {', '.join(known)}")
    if not 0 < h < math.inf or not 1e-6 <= eps < math.inf or not 0 <= log_eps < math.inf:
        raise Refusal(f"loss.cx needs h > 0, eps >= 1e-6 and log_eps >= 0, but has {h=}, {eps=}, {log_eps=}")
    if patch < 1 or patch % 2 == 0:
        raise Refusal(f"loss.cx.patch={patch} is not an odd number >= 1; 1 compares single positions")
    for option, count, least in (("max_points", max_points, 2), ("row_chunk", row_chunk, 1)):
        if count is not None and count < least:
            raise Refusal(f"loss.cx.{option}={count} is not a number >= {least}; null leaves it open")


class Contextual(Term):
    """`contextual_loss` on layers of a frozen extractor, weighted and summed.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        pooling: layer -> factor by which its maps are averaged down first; 1 where not named.
        target: "real" or "exemplar".
        distance, centre, h, eps, log_eps, direction, patch, max_points, row_chunk: see `contextual_loss`.

    Formula: -log(mean_i max_j A_ij), A_i = softmax_j(-d_ij / (h (min_j d_ij + eps)))
    Range: features of pictures in [-1, 1]; >= 0, 0 for equal maps of vectors that all differ
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        pooling: Mapping[str, int] | None = None,
        target: str = "real",
        distance: str = "cosine",
        centre: str = "sample",
        h: float = 0.1,
        eps: float = 1e-3,
        log_eps: float = 0.0,
        direction: str = "source",
        patch: int = 1,
        max_points: int | None = None,
        row_chunk: int | None = None,
    ) -> None:
        super().__init__()
        self.options: dict[str, Any] = {
            "distance": distance, "centre": centre, "h": h, "eps": eps, "log_eps": log_eps,
            "direction": direction, "patch": patch, "max_points": max_points, "row_chunk": row_chunk,
        }  # fmt: skip
        check_options(**self.options)
        self.layers = checked_layers(layers, term="cx")
        self.pooling = dict(pooling or {})
        for layer, factor in self.pooling.items():
            if factor < 1 or layer not in layers:
                raise Refusal(f"loss.cx.pooling.{layer}={factor}: give a factor >= 1 for one of {', '.join(layers)}")
        self.needs = target_needs(target, term="cx")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.target = extractor, target

    def forward(self, evidence: Evidence) -> Tensor:
        fake = evidence.features.get("fake", self.extractor)
        target = evidence.features.get(self.target, self.extractor)
        generator = torch.Generator().manual_seed(evidence.seed)
        values = [
            weight * contextual_loss(self._pooled(fake, layer), self._pooled(target, layer),
                                     generator=generator, **self.options)
            for layer, weight in self.layers.items()
        ]  # fmt: skip
        return torch.stack(values).sum()

    def _pooled(self, features: Mapping[str, Tensor], layer: str) -> Tensor:
        factor, x = self.pooling.get(layer, 1), features[layer]
        if min(x.shape[-2:]) < factor:
            size = "x".join(map(str, x.shape[-2:]))
            raise Refusal(f"loss.cx.pooling.{layer}={factor} leaves nothing of a {size} map; use a smaller factor")
        return F.avg_pool2d(x, factor) if factor > 1 else x


def rows_of(x: Tensor, unit: bool, patch: int) -> Tensor:
    """The vectors of a map (b, c, h, w) as rows (b, h w, c), of unit length or not, windows of `patch` as one."""
    if unit:
        x = x / (x.square().sum(1, keepdim=True) + 1e-12).sqrt()  # finite gradient at a zero vector
    flat = F.unfold(x, patch, padding=patch // 2) if patch > 1 else x.flatten(2)
    return flat.transpose(1, 2).contiguous()  # (b, p, c)


def subset(x: Tensor, y: Tensor, most: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    chosen = {n: chosen_positions(n, most, generator).to(x.device) for n in (x.shape[1], y.shape[1])}
    return x[:, chosen[x.shape[1]]], y[:, chosen[y.shape[1]]]


def chosen_positions(count: int, most: int, generator: torch.Generator | None) -> Tensor:
    """At most `most` numbers out of range(count), drawn, or evenly spaced without a generator."""
    if count <= most:
        return torch.arange(count)
    if generator is None:
        return torch.arange(most) * count // most
    return torch.randperm(count, generator=generator)[:most]


def rows_that_fit(y: Tensor, kind: Distance) -> int:
    """How many rows of distances to y (b, q, c) one block holds."""
    per_row = y.shape[1] * (y.shape[2] if kind.broadcasts else 1)
    return max(1, BLOCK_ELEMENTS.get(y.device.type, BLOCK_ELEMENTS["cpu"]) // per_row)


def _as_map(x: Tensor) -> Tensor:
    if x.dim() not in (3, 4):
        raise Refusal(f"loss.cx takes features of shape (b, c, h, w) or (b, c, p), not {tuple(x.shape)}")
    return x if x.dim() == 4 else x[..., None]


def _refuse_unlike_sets(x: Tensor, y: Tensor, centre: str) -> None:
    if x.shape[:2] != y.shape[:2]:
        raise Refusal(
            f"loss.cx compares features of equal batch and channels, but has {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if min(x[0, 0].numel(), y[0, 0].numel()) < 2:
        raise Refusal(
            f"loss.cx is constant for maps of a single position, but has {tuple(x.shape)} and {tuple(y.shape)}; "
            f"use larger pictures or shallower layers"
        )
    if centre == "pono" and x.shape != y.shape:
        raise Refusal(
            f"loss.cx.centre=pono needs maps of equal size, but has {tuple(x.shape)} and {tuple(y.shape)}; "
            f"use centre=sample"
        )
