"""An encoder of styles on the maps of a backbone that knows photographs already."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.layers.precision import at_least_float32

GRID = 4
"""Side of the grid on which a map's means are taken, that of the map at the end of SPADE's encoder."""


class BackboneEncoder(nn.Module):
    """Picture to the posterior of its style, by the means of a backbone's maps.

    Args:
        backbone: (b, 3, side, side) in [-1, 1] -> maps.
        channels: of each map.
        side: of the backbone's input.
        latent: length of mu and logvar.

    Source: Park et al. 2019, SPADE, section 3.2, with another network in front of the two linear maps.
    """

    def __init__(self, backbone: nn.Module, *, channels: Sequence[int], side: int, latent: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.side = side
        width = sum(channels) * GRID * GRID
        self.fc_mu = nn.Linear(width, latent)
        self.fc_var = nn.Linear(width, latent)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures of any size.

        Args:
            image: (b, 3, h, w) in [-1, 1]; another size than (side, side) is squashed to it, bilinear.

        Returns:
            mu and logvar, each (b, latent), float32 also under autocast.
        """
        if image.shape[-2:] != (self.side, self.side):
            image = F.interpolate(image, size=(self.side, self.side), mode="bilinear", align_corners=False)
        maps = [F.adaptive_avg_pool2d(x, GRID).flatten(1) for x in self.backbone(image)]
        x = torch.cat(maps, dim=1)  # (b, channels * 4 * 4)
        return at_least_float32(self.fc_mu(x)), at_least_float32(self.fc_var(x))
