"""Style error of made pictures: their texture beside that of their style pictures."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from scenegen.metrics.texture import gram_error
from scenegen.networks.frozen.extractors import Extractor
from scenegen.scoring.inputs import Samples
from scenegen.scoring.measures import PictureMeasure, is_random


class StyleError(PictureMeasure):
    """Mean of `gram_error` to the style picture; 0 for its own texture.

    Args:
        extractor: the trunk; never one that a loss or a post reads.
        layers: its maps that are compared.
    """

    needs = frozenset({"style"})
    better = "lower"

    def __init__(self, *, extractor: Extractor, layers: Sequence[str]) -> None:
        self.extractor, self.layers = extractor, tuple(layers)
        extractor.require(self.layers)
        self.stamp = f"Gram matrices of {extractor.stamp} at {', '.join(self.layers)}"
        self.name = f"style_error{'(RANDOM WEIGHTS)' * is_random(self)}"

    def to(self, device: str) -> None:
        self.extractor.to(device)

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        """(b,) float64 >= 0."""
        return gram_error(self._maps(made), self._maps(sample.style))

    def _maps(self, picture: Tensor) -> list[Tensor]:
        found = self.extractor(picture.float() / 127.5 - 1, self.layers)
        return [found[layer] for layer in self.layers]
