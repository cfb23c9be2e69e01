"""Contextual loss: two sets of feature vectors are compared without alignment.

Family: Features of a network
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.affinity import similarity
from scenegen.losses.features import checked_layers, full_precision, target_needs
from scenegen.losses.matching import Matching
from scenegen.losses.objective import Evidence, Term

PAPER = Matching(
    distance="cosine", centre="sample", h=0.5, eps=1e-5, log_eps=0.0, direction="target", patch=1, max_points=None,
    row_chunk=None,
)  # fmt: skip
"""Mechrez, Talmi and Zelnik-Manor, ECCV 2018."""


def contextual_loss(
    x: Tensor, y: Tensor, matching: Matching = PAPER, *, generator: torch.Generator | None = None
) -> Tensor:
    """Minus the logarithm of the contextual similarity between the sets of x's and of y's vectors.

    For identical sets it is -log(1 + log_eps), that is 0 at log_eps = 0, where every vector differs from all
    others; k vectors that coincide (flat sky) raise that floor, up to log(q) for a flat picture. Runs in
    float32 or wider, under autocast too.

    Args:
        x: (b, c, h, w) or (b, c, p), features of the generated picture.
        y: (b, c, h', w') or (b, c, q), of the target; another number of positions is allowed.
        matching: distance, centre, bandwidth and the other options.
        generator: draws the positions where max_points limits them, on the CPU.

    Returns:
        A scalar, mean over the batch.

    Raises:
        Refusal: for unlike features.

    Source: Mechrez, Talmi and Zelnik-Manor, ECCV 2018, eqs. 2-5.
    """
    x, y = full_precision(_as_map(x)), full_precision(_as_map(y))
    _refuse_unlike_sets(x, y, matching.centre)
    rows_x, rows_y = matching.rows(x, y)
    if chosen := matching.chosen(rows_x.shape[1], rows_y.shape[1], generator):
        rows_x, rows_y = rows_x[:, chosen[0].to(x.device)], rows_y[:, chosen[1].to(x.device)]
    cx = similarity(rows_x, rows_y, matching, row_chunk=matching.chunk(rows_y))
    return -(cx + matching.log_eps).log().mean()


class Contextual(Term):
    """`contextual_loss` on layers of a frozen extractor, weighted and summed.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        pooling: layer -> factor by which its maps are averaged down first; 1 where not named.
        target: "real" or "exemplar".
        matching: the options of `contextual_loss`.

    Formula: -log(mean_i max_j A_ij), A_i = softmax_j(-d_ij / (h (min_j d_ij + eps)))
    Range: features of pictures in [-1, 1]; >= 0, 0 for equal maps of vectors that all differ
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        pooling: Mapping[str, int] | None,
        target: str,
        matching: Matching,
    ) -> None:
        super().__init__()
        self.layers = checked_layers(layers, term="cx")
        self.pooling = dict(pooling or {})
        for layer, factor in self.pooling.items():
            if factor < 1 or layer not in layers:
                raise Refusal(f"loss.cx.pooling.{layer}={factor}: give a factor >= 1 for one of {', '.join(layers)}")
        self.needs = target_needs(target, term="cx")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.target, self.matching = extractor, target, matching

    def forward(self, evidence: Evidence) -> Tensor:
        fake = evidence.features.get("fake", self.extractor)
        target = evidence.features.get(self.target, self.extractor)
        generator = torch.Generator().manual_seed(evidence.seed)
        values = [
            weight
            * contextual_loss(
                self._pooled(fake, layer), self._pooled(target, layer), self.matching, generator=generator
            )
            for layer, weight in self.layers.items()
        ]
        return torch.stack(values).sum()

    def _pooled(self, features: Mapping[str, Tensor], layer: str) -> Tensor:
        factor, x = self.pooling.get(layer, 1), features[layer]
        if min(x.shape[-2:]) < factor:
            size = "x".join(map(str, x.shape[-2:]))
            raise Refusal(f"loss.cx.pooling.{layer}={factor} leaves nothing of a {size} map; use a smaller factor")
        return F.avg_pool2d(x, factor) if factor > 1 else x


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
