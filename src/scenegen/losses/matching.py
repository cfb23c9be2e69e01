"""Options of the losses that compare sets of vectors without alignment, as one checked record."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.refusal import Refusal

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


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Options of a contextual loss, checked once.

    Attributes:
        distance: "cosine" (1 - cos), "cosine_half" (half of it), "l2" (squared, no root), "l1", "smooth_l1".
        centre: which mean of y is taken from both: per "sample" and channel, over the "batch", over the
            channels of each position ("pono", p = q only), or "none".
        h: bandwidth > 0; larger keeps gradients alive longer.
        eps: added to each row's smallest distance; at least 1e-6, which float32 can tell from rounding.
        log_eps: added inside the logarithm.
        direction: "target": each target vector seeks its best source (the paper); "source": the reverse
            (CoCosNet).
        patch: side of the zero-padded windows whose (normalised) vectors are compared as one, odd.
        max_points: at most so many positions, drawn by a generator, or evenly spaced without one; the same
            ones in x and y when p = q. None takes all.
        row_chunk: rows of distances held at once; None chooses.

    Raises:
        Refusal: for a value that is none of these.
    """

    distance: str
    centre: str
    h: float
    eps: float
    log_eps: float
    direction: str
    patch: int
    max_points: int | None
    row_chunk: int | None

    def __post_init__(self) -> None:
        named = {
            "distance": (self.distance, DISTANCES),
            "centre": (self.centre, CENTRES),
            "direction": (self.direction, DIRECTIONS),
        }
        for option, (value, known) in named.items():
            if value not in known:
                raise Refusal(f"{option}={value} is not one of {', '.join(known)}; set e.g. loss.cx.{option} to one")
        h, eps, log_eps = self.h, self.eps, self.log_eps
        if not 0 < h < math.inf or not 1e-6 <= eps < math.inf or not 0 <= log_eps < math.inf:
            raise Refusal(f"loss.cx needs h > 0, eps >= 1e-6 and log_eps >= 0, but has {h=}, {eps=}, {log_eps=}")
        if self.patch < 1 or self.patch % 2 == 0:
            raise Refusal(f"patch={self.patch} is not an odd number >= 1; loss.cx.patch=1 compares single positions")
        for option, count, least in (("max_points", self.max_points, 2), ("row_chunk", self.row_chunk, 1)):
            if count is not None and count < least:
                raise Refusal(f"{option}={count} is not a number >= {least}; loss.cx.{option}=null leaves it open")

    @property
    def kind(self) -> Distance:
        """The named distance, with its properties."""
        return DISTANCES[self.distance]

    def rows(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors of maps x (b, c, h, w) and y (b, c, h', w'), less y's mean, as rows (b, p, c) and (b, q, c)."""
        mean = CENTRES[self.centre](y)
        x, y = (rows_of(side - mean, unit=self.kind.unit, patch=self.patch) for side in (x, y))
        return x, y

    def chosen(self, p: int, q: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor] | None:
        """Numbers of the positions that are compared, out of p and out of q, on the CPU; None takes all."""
        if self.max_points is None:
            return None
        drawn = {count: chosen_positions(count, self.max_points, generator) for count in (p, q)}
        return drawn[p], drawn[q]

    def chunk(self, y: Tensor) -> int:
        """Rows of distances to y (b, q, c) held at once."""
        return self.row_chunk or rows_that_fit(y, self.kind)


def rows_of(x: Tensor, *, unit: bool, patch: int) -> Tensor:
    """The vectors of a map (b, c, h, w) as rows (b, h w, c), of unit length or not, windows of `patch` as one."""
    if unit:
        x = x / (x.square().sum(1, keepdim=True) + 1e-12).sqrt()  # finite gradient at a zero vector
    flat = F.unfold(x, patch, padding=patch // 2) if patch > 1 else x.flatten(2)
    return flat.transpose(1, 2).contiguous()  # (b, p, c)


def chosen_positions(count: int, most: int, generator: torch.Generator | None) -> Tensor:
    """At most `most` numbers out of range(count), drawn, or evenly spaced without a generator."""
    if count <= most:
        return torch.arange(count)
    if generator is None:
        return torch.arange(most) * count // most
    return torch.randperm(count, generator=generator)[:most]


def rows_that_fit(y: Tensor, kind: Distance) -> int:
    """Number of rows of distances to y (b, q, c) that fit one block."""
    per_row = y.shape[1] * (y.shape[2] if kind.broadcasts else 1)
    return max(1, BLOCK_ELEMENTS.get(y.device.type, BLOCK_ELEMENTS["cpu"]) // per_row)
