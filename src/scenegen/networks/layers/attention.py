"""Non-local attention, as in self-attention GANs: every position reads from all others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.norm import SpectralConv2d

REDUCTION = 8


class NonLocal(nn.Module):
    """x + gamma * o(attention of theta(x) on the 2x2-pooled phi(x) and g(x)); gamma starts at 0.

    Args:
        channels: of the features, at least 8.
        spectral: normalise the four 1x1 convolutions' weights spectrally.
        fused: never hold the matrix of weights; false keeps it and can be differentiated twice, as penalties on
            a discriminator's slope need.

    Source: Zhang et al., ICML 2019 (SAGAN), equations 1 to 3; pooled keys as in BigGAN.
    """

    def __init__(self, channels: int, *, spectral: bool = True, fused: bool = True) -> None:
        super().__init__()
        conv, width = SpectralConv2d if spectral else nn.Conv2d, reduced(channels)
        self.theta = conv(channels, width, 1, bias=False)
        self.phi = conv(channels, width, 1, bias=False)
        self.g = conv(channels, channels // 2, 1, bias=False)
        self.o = conv(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Args:
            x: (b, channels, h, w), both sides even.

        Returns:
            (b, channels, h, w).

        Raises:
            Refusal: for an odd side.
        """
        h, w = x.shape[-2:]
        if h % 2 or w % 2:
            raise Refusal(
                f"attention halves the map it reads from, but the map is {h}x{w}; "
                "choose a picture size that keeps both sides even there, or switch attention off"
            )
        query = self.theta(x).flatten(2).mT  # (b, h w, c / 8)
        key = F.max_pool2d(self.phi(x), 2).flatten(2).mT  # (b, h w / 4, c / 8)
        value = F.max_pool2d(self.g(x), 2).flatten(2).mT  # (b, h w / 4, c / 2)
        read = attend(query, key, value) if self.fused else (query @ key.mT).softmax(-1) @ value
        return torch.addcmul(x, self.gamma, self.o(read.mT.unflatten(2, (h, w))))


def reduced(channels: int) -> int:
    """Channels of queries and keys, an eighth of the map's.

    Raises:
        Refusal: for a map of fewer than eight.
    """
    if channels < REDUCTION:
        raise Refusal(
            f"attention divides its channels by {REDUCTION}, got {channels}; choose a base width (width.ngf, "
            f"width.ndf) that makes them at least {REDUCTION}, or switch attention off (attention=none, "
            "model.adaptor.attention=false)"
        )
    return channels // REDUCTION


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(query key^T) value without the matrix; (b, n, c), (b, m, c) and (b, m, v), c at most v -> (b, n, v)."""
    # the fused kernels need one width for all three, and contiguous rows; zeros change no product
    missing = value.shape[-1] - query.shape[-1]
    query, key = F.pad(query, (0, missing)).contiguous(), F.pad(key, (0, missing)).contiguous()
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value.contiguous()[:, None], scale=1.0)[:, 0]
