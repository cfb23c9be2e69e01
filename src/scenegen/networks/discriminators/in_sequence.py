"""A judgement by one sequence of layers."""

from __future__ import annotations

from torch import Tensor, nn

from scenegen.base.records import Judgement


def judged_in_sequence(layers: nn.Sequential, image: Tensor) -> Judgement:
    """Scores (b, 1, h', w') of pictures (b, 3, h, w), and the maps after each LeakyReLU."""
    features, x = [], image
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            features.append(x)
    return Judgement(logits=(x,), features=(tuple(features),))
