"""Terms whose target does not change from step to step, so that a network looks at it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.losses.features import checked_layers, full_precision
from scenegen.losses.objective import Classes, Evidence, Term
from scenegen.losses.style import gram
from scenegen.networks.frozen.extractors import Extractor
from scenegen.posts.style import Style


class FixedContent(Term):
    """Weighted sum over layers of the mean square difference of features.

    Args:
        picture: (b, 3, h, w) in [-1, 1], the target.
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        relative: divide each layer by the mean square of its target.

    Source: Gatys, Ecker and Bethge, CVPR 2016, eq. 1, as a mean.
    """

    def __init__(self, picture: Tensor, *, extractor: str, layers: Mapping[str, float], relative: bool) -> None:
        super().__init__()
        self.layers = checked_layers(layers, term="content")
        self.reads = {extractor: tuple(self.layers)}
        self.picture, self.extractor, self.relative = picture, extractor, relative
        self.targets: dict[str, Tensor] = {}

    @torch.no_grad()
    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        self.targets = features(extractors[self.extractor], self.picture, self.layers)

    def forward(self, evidence: Evidence) -> Tensor:
        x = evidence.features.get("fake", self.extractor)
        values = [weight * self._distance(x[layer], self.targets[layer]) for layer, weight in self.layers.items()]
        return torch.stack(values).sum()

    def _distance(self, x: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(x, y) / (mean_square(y) if self.relative else 1)


class FixedStyle(Term):
    """Weighted sum over layers of the mean square difference of Gram matrices, each by its own picture's size.

    Args:
        styles: pictures of any sizes with weights that sum to 1.
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        relative: divide each layer by the mean square of its target.
        mix: several styles' "losses" are averaged, or their "grams".

    Source: Gatys, Ecker and Bethge, CVPR 2016, eqs. 3-5, with Grams divided by channels and positions.
    """

    def __init__(
        self, styles: Sequence[Style], *, extractor: str, layers: Mapping[str, float], relative: bool, mix: str
    ) -> None:
        super().__init__()
        self.layers = checked_layers(layers, term="style")
        self.reads = {extractor: tuple(self.layers)}
        self.styles, self.extractor, self.relative, self.mix = styles, extractor, relative, mix
        self.targets: list[tuple[float, dict[str, Tensor]]] = []

    @torch.no_grad()
    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        net = extractors[self.extractor]
        found = [(s.weight, features(net, s.picture, self.layers)) for s in self.styles]
        grams = [(weight, {layer: gram(x) for layer, x in maps.items()}) for weight, maps in found]
        mixed = {layer: sum((weight * own[layer] for weight, own in grams), torch.zeros(())) for layer in self.layers}
        self.targets = grams if self.mix == "losses" else [(1.0, mixed)]

    def forward(self, evidence: Evidence) -> Tensor:
        maps = evidence.features.get("fake", self.extractor)
        own = {layer: gram(maps[layer]) for layer in self.layers}
        values = [
            share * weight * self._distance(own[layer], wanted[layer].expand_as(own[layer]))
            for share, wanted in self.targets
            for layer, weight in self.layers.items()
        ]
        return torch.stack(values).sum()

    def _distance(self, x: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(x, y) / (mean_square(y) if self.relative else 1)


def features(net: Extractor, picture: Tensor, layers: Mapping[str, float]) -> dict[str, Tensor]:
    """Layer -> features of a picture, float32 or wider, on the picture's device."""
    return {layer: full_precision(x) for layer, x in net(full_precision(picture), tuple(layers)).items()}


def mean_square(y: Tensor) -> Tensor:
    """Mean of the squares, kept off zero for a layer that is silent on its target."""
    return y.square().mean().clamp(min=1e-12)
