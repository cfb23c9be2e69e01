"""Contextual bilateral loss: feature sets compared without alignment, but with a liking for the same place.

Family: Features of a network
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.affinity import affinity, similarity
from scenegen.losses.features import checked_layers, full_precision, target_needs
from scenegen.losses.matching import DISTANCES, Matching
from scenegen.losses.objective import Evidence, Term


def _to_255(h: int, w: int) -> tuple[float, float]:
    return 255 / h, 255 / w


def _within_1(h: int, w: int) -> tuple[float, float]:
    return 1 / (h + 1), 1 / (w + 1)


GRIDS = {"to_255": _to_255, "within_1": _within_1}
"""(h, w) -> coordinate steps of a row and of a column; the first as the paper's code, the second as a PyTorch port."""


PAPER = Matching(
    distance="cosine_half", centre="batch", h=0.5, eps=1e-3, log_eps=0.0, direction="target", patch=1, max_points=None,
    row_chunk=None,
)  # fmt: skip
"""Zhang et al., CVPR 2019, as their code has it."""


def bilateral_loss(
    x: Tensor,
    y: Tensor,
    matching: Matching = PAPER,
    *,
    spatial: float = 0.1,
    grid: str = "to_255",
    generator: torch.Generator | None = None,
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
        matching, generator: see `contextual_loss`.

    Returns:
        A scalar, mean over the batch.

    Raises:
        Refusal: for a bad option or unlike features.

    Source: Zhang et al., CVPR 2019 (Zoom to learn), eq. 3, as their code mixes it.
    """
    _check(spatial=spatial, grid=grid)
    if x.shape[:2] != y.shape[:2] or (matching.centre == "pono" and x.shape != y.shape):
        raise Refusal(f"loss.cobi compares like feature maps, but has {tuple(x.shape)} and {tuple(y.shape)}")
    if min(x[0, 0].numel(), y[0, 0].numel()) < 2:
        raise Refusal(
            f"loss.cobi is constant for maps of a single position, but has {tuple(x.shape)} and {tuple(y.shape)}; "
            f"use larger pictures or shallower layers"
        )
    x, y = full_precision(x), full_precision(y)
    places_x, places_y = _places(x, grid), _places(y, grid)
    rows_x, rows_y = matching.rows(x, y)
    if chosen := matching.chosen(len(places_x), len(places_y), generator):
        p, q = (numbers.to(x.device) for numbers in chosen)
        places_x, places_y, rows_x, rows_y = places_x[p], places_y[q], rows_x[:, p], rows_y[:, q]

    def mix(a: Tensor, numbers: Tensor) -> Tensor:
        apart = DISTANCES["l2"].between(places_x[numbers], places_y)
        return affinity(apart, eps=matching.eps, h=matching.h).mul_(spatial).add_(a, alpha=1 - spatial)

    cx = similarity(rows_x, rows_y, matching, row_chunk=matching.chunk(rows_y), mix=mix, share=1 - spatial)
    return -(cx + matching.log_eps).log().mean()


class Bilateral(Term):
    """`bilateral_loss` on layers of a frozen extractor, weighted and summed; layer "image" is the picture itself.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        target: "real" or "exemplar".
        spatial, grid, matching: see `bilateral_loss`.

    Formula: -log(mean_j max_i ((1 - w) A_ij + w S_ij)), A as in cx, S the same of positions, w = spatial
    Range: features of pictures in [-1, 1]; 0 for equal maps, at most -log(w)
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        target: str,
        spatial: float,
        grid: str,
        matching: Matching,
    ) -> None:
        super().__init__()
        _check(spatial=spatial, grid=grid)
        self.matching, self.spatial, self.grid = matching, spatial, grid
        self.layers = checked_layers(layers, term="cobi")
        self.needs = target_needs(target, term="cobi")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.target = extractor, target

    def forward(self, evidence: Evidence) -> Tensor:
        fake = evidence.features.get("fake", self.extractor)
        target = evidence.features.get(self.target, self.extractor)
        generator = torch.Generator().manual_seed(evidence.seed)
        values = [
            weight
            * bilateral_loss(
                fake[layer], target[layer], self.matching, spatial=self.spatial, grid=self.grid, generator=generator
            )
            for layer, weight in self.layers.items()
        ]
        return torch.stack(values).sum()


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
