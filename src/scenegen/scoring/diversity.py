"""Unlikeness of several pictures of one input: do the results of a label map, or of a hole, differ?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.diversity import pairwise_lpips
from scenegen.networks.frozen.extractors import Extractor
from scenegen.scoring.inputs import Samples
from scenegen.scoring.measures import Lpips


class Diversity(Lpips):
    """Mean of `pairwise_lpips` of each sample's results, whole pictures; 0 where they are one, higher is more unlike.

    Of holes it grows with their size, since around them all results are the given picture: compare at equal holes.

    Args:
        results: of each sample, NAME_0.png ... in a folder; 2 or more.
        extractor, heads, layers: see `Lpips`.
    """

    needs = frozenset({"results"})
    better = "higher"

    def __init__(self, *, results: int, extractor: Extractor, heads: str, layers: Sequence[str] | None) -> None:
        super().__init__(extractor=extractor, heads=heads, layers=layers)
        if results < 2:
            raise Refusal(f"measure.diversity.results={results} leaves nothing to compare; give 2 or more, such as 4")
        self.results = results
        self.stamp = f"{self.stamp}, mean over the pairs of {results} results"
        self.name = self.name.replace("lpips", "diversity", 1)

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return torch.stack([pairwise_lpips(*self._of(results)) for results in sample.results[:, : self.results]])

    def _of(self, results: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        maps = self.maps(results)
        return maps, self.heads_of(maps)
