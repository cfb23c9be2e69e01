"""Attention layers of the log, each `channels -> layer` on a map: SAGAN's, DANet's two, DAGAN's two, SimAM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.attention import attend, reduced
from scenegen.networks.layers.norm import SpectralConv2d


class SelfAttention(nn.Module):
    """x + gamma V softmax(q_i . k_j): every position reads from all; gamma starts at 0.

    Args:
        channels: of the map, at least 8.
        spectral: normalise the three 1x1 convolutions' weights spectrally.
        fused: never hold the matrix of weights; false can be differentiated twice.

    Source: Zhang et al., ICML 2019 (SAGAN), equations 1 to 3; Fu et al., CVPR 2019 (DANet), equation 1 (position).
    """

    def __init__(self, channels: int, *, spectral: bool = True, fused: bool = True) -> None:
        super().__init__()
        conv, width = SpectralConv2d if spectral else nn.Conv2d, reduced(channels)
        self.query_conv = conv(channels, width, 1)
        self.key_conv = conv(channels, width, 1)
        self.value_conv = conv(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        query, key, value = (conv(x).flatten(2).mT for conv in (self.query_conv, self.key_conv, self.value_conv))
        read = attend(query, key, value) if self.fused else (query @ key.mT).softmax(-1) @ value  # (b, h w, c)
        return torch.addcmul(x, self.gamma, read.mT.unflatten(2, x.shape[-2:]))


class ChannelSelfAttention(nn.Module):
    """x + gamma A F with A = softmax(rowmax(E) - E), E = F F^T between channels; gamma starts at 0.

    Source: Fu et al., CVPR 2019 (DANet), equation 3; the row's maximum as in the authors' release.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same."""
        rows = x.flatten(2)  # (b, c, h w)
        energy = rows @ rows.mT  # (b, c, c)
        weights = (energy.amax(-1, keepdim=True) - energy).softmax(-1)
        return torch.addcmul(x, self.gamma, (weights @ rows).unflatten(2, x.shape[-2:]))


class PositionAndChannel(nn.Module):
    """The sum of DANet's two branches without the head's convolutions, so that it starts as the identity.

    Args:
        channels, spectral, fused: see `SelfAttention`.

    Source: Fu et al., CVPR 2019 (DANet), section 3.4.
    """

    def __init__(self, channels: int, *, spectral: bool = True, fused: bool = True) -> None:
        super().__init__()
        self.position = SelfAttention(channels, spectral=spectral, fused=fused)
        self.channel = ChannelSelfAttention()

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        return self.position(x) + self.channel(x) - x


class SimAM(nn.Module):
    """Each value scaled by a sigmoid of its distance from its channel's mean; no parameters.

    Args:
        lambda_: added to the variance.

    Source: Yang et al., ICML 2021 (SimAM), equation 5.
    """

    def __init__(self, *, lambda_: float) -> None:
        super().__init__()
        if not lambda_ > 0:
            raise Refusal(f"attention.lambda_={lambda_} must be above 0; the paper's is 0.0001")
        self.lambda_ = lambda_

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w), h w > 1, to the same."""
        h, w = x.shape[-2:]
        if h * w == 1:
            raise Refusal("SimAM compares the positions of a map, but this map has one; choose a smaller attention.at "
                          "or larger pictures")  # fmt: skip
        distance = (x - x.mean((2, 3), keepdim=True)).square()
        variance = distance.sum((2, 3), keepdim=True) / (h * w - 1)
        return x * torch.sigmoid(distance / (4 * (variance + self.lambda_)) + 0.5)


class SpatialGate(nn.Module):
    """x sigmoid(conv([mean over channels, maximum over channels])).

    Args:
        kernel: of the convolution, odd.

    Source: Tang et al., ACM MM 2020 (DAGAN), section 3.2 (spatial attention).
    """

    def __init__(self, *, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same."""
        return x * self.conv(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)).sigmoid()


class ChannelGate(nn.Module):
    """high + s low, s a sigmoid per channel of the averages of both maps.

    Args:
        channels: of each map.

    Source: Tang et al., ACM MM 2020 (DAGAN), section 3.2 (channel attention).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2 * channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        """Two maps (b, channels, h, w) to one."""
        averages = torch.cat([high, low], dim=1).mean((2, 3), keepdim=True)
        return torch.addcmul(high, self.conv2(self.conv1(averages).relu()).sigmoid(), low)


class DualGate(nn.Module):
    """Both of DAGAN's gates behind a generator's last block, of which they see input and result.

    Args:
        channels: of the block's input.
        out: of its result.
        kernel: of the spatial gate.

    Source: Tang et al., ACM MM 2020 (DAGAN), figure 2.
    """

    def __init__(self, channels: int, *, out: int, kernel: int) -> None:
        super().__init__()
        self.entry = nn.Conv2d(channels, out, 3, padding=1)
        self.channel = ChannelGate(out)
        self.spatial = SpatialGate(kernel=kernel)

    def forward(self, entering: Tensor, x: Tensor) -> Tensor:
        """(b, channels, h, w) and (b, out, h, w) to (b, out, h, w)."""
        return self.channel(self.entry(entering), x) + self.spatial(x)
