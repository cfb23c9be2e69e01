"""The VAE's image encoder: a style picture becomes mu and logvar."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.norm import spectral_layer
from scenegen.networks.layers.precision import at_least_float32

PUBLISHED_SIDE = 256
FEWEST_PIXELS = 16
END = 4
WIDTHS = (1, 2, 4, 8, 8, 8)


class ImageEncoder(nn.Module):
    """Picture to the posterior of its style; six halvings at the published input side of 256.

    Smaller generators get a smaller input side and fewer layers, always ending in a 4x4 map: the official
    encoder is hard-wired to 256 and cannot be built for them.

    Args:
        height, width: of the generator's pictures.
        ngf: base width (the generator's).
        latent: length of mu and logvar.
        norm: a key of norm.AFTER_CONVOLUTION.

    Source: Park et al. 2019, SPADE, section 3.2 and appendix A (image encoder).
    """

    def __init__(self, *, height: int, width: int, ngf: int, latent: int, norm: str) -> None:
        super().__init__()
        if min(ngf, latent) < 1:
            raise Refusal(f"ngf and latent must be positive, got {ngf} and {latent}")
        self.side = input_side(height, width)
        self.depth = (self.side // END).bit_length() - 1
        channels = 3
        for i in range(self.depth):
            out = WIDTHS[i] * ngf
            layer = spectral_layer(channels, out=out, kernel=3, stride=2, padding=1, norm=norm)
            self.add_module(f"layer{i + 1}", layer)
            channels = out
        self.fc_mu = nn.Linear(channels * END * END, latent)
        self.fc_var = nn.Linear(channels * END * END, latent)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures of any size.

        Args:
            image: (b, 3, h, w) in [-1, 1]; another size than (side, side) is squashed to it, bilinear.

        Returns:
            mu and logvar, each (b, latent), float32 also under autocast.
        """
        x = image
        if x.shape[-2:] != (self.side, self.side):
            x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False)
        for i in range(self.depth):
            x = self.get_submodule(f"layer{i + 1}")(x if i == 0 else F.leaky_relu_(x, 0.2))
        x = F.leaky_relu_(x, 0.2).flatten(1)  # (b, channels * 4 * 4)
        return at_least_float32(self.fc_mu(x)), at_least_float32(self.fc_var(x))


def input_side(height: int, width: int) -> int:
    """The square input: 256, or for smaller pictures the largest power of two within the longer side."""
    longer = max(height, width)
    if longer < FEWEST_PIXELS:
        raise Refusal(f"the encoder needs pictures of at least {FEWEST_PIXELS} pixels, got {height}x{width}")
    return min(PUBLISHED_SIDE, 1 << (longer.bit_length() - 1))
