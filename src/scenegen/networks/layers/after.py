"""Places behind a network's maps, where `attention=` may put layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn


class Place(NamedTuple):
    """A map that a layer may stand behind.

    Attributes:
        divisor: of the picture's sides.
        channels: of the map.
    """

    divisor: int
    channels: int


class After(nn.Module):
    """Layers behind some of a network's maps; none, and no keys, as published.

    Args:
        places: name of a map -> its place.
    """

    def __init__(self, places: Mapping[str, Place]) -> None:
        super().__init__()
        self.places = dict(places)
        self.layers = nn.ModuleDict()

    def forward(self, x: Tensor, name: str) -> Tensor:
        """A map (b, channels, h, w) through the layer behind it, where there is one."""
        return self.layers[name](x) if name in self.layers else x
