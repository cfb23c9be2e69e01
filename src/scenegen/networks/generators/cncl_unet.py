"""The denoiser of log 003: CNCL's two branches as plain U-Nets, with attention in them and between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.generators.cncl import Separated, TwoBranches
from scenegen.networks.layers.after import After, Place
from scenegen.networks.layers.norm import Norm, affine_batch_norm, choose
from scenegen.networks.layers.transposed_attention import ChannelNorm, CrossAttention, CrossBlock, TransposedAttention

NORMS: dict[str, Norm] = {"batch": affine_batch_norm, "layer": lambda c: ChannelNorm(c, eps=1e-6, bias=True)}
ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "relu": (F.relu, 1),
    "gelu": (F.gelu, 1),
    "glu": (lambda x: F.glu(x, dim=1), 2),
}
"""Name -> the activation, and its channels in over out."""


@dataclass(frozen=True)
class Convolutions:
    """Layers of the U-Nets and of their fusion.

    Attributes:
        norm: "batch", or "layer" over the channels of each pixel.
        activation: "relu", "gelu" or "glu" (half of the channels gate the others).
        fusion_start: "drawn" as all weights are, or "mean" of both predictions.
    """

    norm: str
    activation: str
    fusion_start: str

    def __post_init__(self) -> None:
        if self.fusion_start not in ("drawn", "mean"):
            raise Refusal(f"model.layers.fusion_start={self.fusion_start} is not one of drawn, mean")


@dataclass(frozen=True)
class Exchange:
    """Attention of the branches.

    Attributes:
        squeeze: weigh the channels of each branch's last map by their averages ("ca" of the log).
        own: blocks of channel attention on each branch's last map ("mdta/n").
        cross: blocks of cross attention between both ("cross/n").
        heads: of both kinds.
        residual: cross attention under a layer norm and beside a residual; the log's table had neither.
        every_level: cross attention after every level of the decoders, not on the last maps alone.
    """

    squeeze: bool
    own: int
    cross: int
    heads: int
    residual: bool
    every_level: bool

    def __post_init__(self) -> None:
        if min(self.own, self.cross) < 0 or self.heads < 1:
            raise Refusal(f"model.exchange.own={self.own}, cross={self.cross} must be 0 or more, heads={self.heads} 1 "
                          "or more")  # fmt: skip
        if self.every_level and (not self.cross or self.own or self.squeeze or not self.residual):
            raise Refusal("model.exchange.every_level=true is cross attention with a residual after every decoder "
                          "level and nothing else; set model.exchange.cross=1 model.exchange.residual=true "
                          "model.exchange.own=0 model.exchange.squeeze=false")  # fmt: skip

    def crossing(self, channels: int) -> nn.Module:
        """A layer from two maps to two."""
        kind = CrossBlock if self.residual else CrossAttention
        return kind(channels, heads=self.heads)


class DoubleConv(nn.Module):
    """Two 3x3 convolutions without bias, each with norm and activation.

    Args:
        channels, between, out: of the input, between both and of the output.
        layers: see `Convolutions`.
    """

    def __init__(self, channels: int, between: int, out: int, *, layers: Convolutions) -> None:
        super().__init__()
        if layers.activation not in ACTIVATIONS:
            raise Refusal(f"model.layers.activation={layers.activation} is not one of {', '.join(ACTIVATIONS)}")
        self.activation, wider = ACTIVATIONS[layers.activation]
        norm = choose(layers.norm, NORMS)
        self.conv1 = nn.Conv2d(channels, wider * between, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(between, wider * out, 3, padding=1, bias=False)
        self.norm1 = norm(wider * between)
        self.norm2 = norm(wider * out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm1(self.conv1(x)))  # (b, between, h, w)
        return self.activation(self.norm2(self.conv2(x)))  # (b, out, h, w)


class Down(nn.Module):
    """Half of each side by the greatest of four, then `DoubleConv`."""

    def __init__(self, channels: int, out: int, *, layers: Convolutions) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(channels, out, out, layers=layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool_conv(x)


class Up(nn.Module):
    """Twice each side, bilinear, padded to the skip's size and laid behind it, then `DoubleConv`."""

    def __init__(self, channels: int, out: int, *, layers: Convolutions) -> None:
        super().__init__()
        self.conv = DoubleConv(channels, channels // 2, out, layers=layers)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = F.pad(x, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2))  # (b, c, h, w) as the skip
        return self.conv(torch.cat([skip, x], 1))


class Squeeze(nn.Module):
    """Channels weighed by a two-layer map of their averages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        between = channels // 2
        self.ca = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, between, 1), nn.ReLU(), nn.Conv2d(between, channels, 1),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.ca(x)


class Projection(nn.Module):
    """A convolution to one channel, below the name `conv`."""

    def __init__(self, channels: int, *, size: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, size, padding=size // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def _widths(ngf: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(channels in, out) of the four levels down and of the four up."""
    down = [(ngf, 2 * ngf), (2 * ngf, 4 * ngf), (4 * ngf, 8 * ngf), (8 * ngf, 8 * ngf)]
    return down, [(16 * ngf, 4 * ngf), (8 * ngf, 2 * ngf), (4 * ngf, ngf), (2 * ngf, ngf)]


class UNet(nn.Module):
    """One branch: (b, 1, h, w) to its last map (b, ngf, h, w) and its prediction (b, 1, h, w)."""

    def __init__(self, *, ngf: int, layers: Convolutions, squeeze: bool) -> None:
        super().__init__()
        down, up = _widths(ngf)
        self.inc = DoubleConv(1, ngf, ngf, layers=layers)
        for n, (channels, out) in enumerate(down, start=1):
            self.add_module(f"down{n}", Down(channels, out, layers=layers))
        for n, (channels, out) in enumerate(up, start=1):
            self.add_module(f"up{n}", Up(channels, out, layers=layers))
        self.se = Squeeze(ngf) if squeeze else nn.Identity()
        self.outc = Projection(ngf)
        self.after = After({f"{n}": Place(2 ** (4 - n), out) for n, (_, out) in enumerate(up, start=1)})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skips = [self.inc(x)]  # (b, ngf, h, w)
        for n in range(1, 5):
            skips.append(self.get_submodule(f"down{n}")(skips[-1]))  # (b, c, h / 2^n, w / 2^n)
        x = skips.pop()
        for n in range(1, 5):
            x = self.get_submodule(f"up{n}")(x, skips.pop())  # (b, c, h / 2^(4 - n), w / 2^(4 - n))
            x = self.after(x, f"{n}")
        x = self.se(x)
        return x, self.outc(x)


class TwoUNets(nn.Module):
    """Two U-Nets and the attention on their last maps; keys are those of log 003's files.

    Args:
        ngf: channels at full size, 64 in the log.
        layers, exchange: see these records.
        fusion: side of the convolution that fuses both predictions, 1 or 3.
    """

    def __init__(self, *, ngf: int, layers: Convolutions, exchange: Exchange, fusion: int) -> None:
        super().__init__()
        self.noise_encoder = UNet(ngf=ngf, layers=layers, squeeze=exchange.squeeze)
        self.content_encoder = UNet(ngf=ngf, layers=layers, squeeze=exchange.squeeze)
        self.attends = bool(exchange.own or exchange.cross)
        if self.attends:
            own, heads = exchange.own, exchange.heads
            self.noise_attn = nn.Sequential(*(TransposedAttention(ngf, heads=heads) for _ in range(own)))
            self.content_attn = nn.Sequential(*(TransposedAttention(ngf, heads=heads) for _ in range(own)))
            self.cross_attn = nn.ModuleList(exchange.crossing(ngf) for _ in range(exchange.cross))
            self.noise_pred = Projection(ngf)
            self.content_pred = Projection(ngf)
        self.fusion_layer = Projection(2, size=fusion)

    def forward(self, x: Tensor) -> Separated:
        noise_map, noise = self.noise_encoder(x)  # (b, ngf, h, w), (b, 1, h, w)
        content_map, content = self.content_encoder(x)  # (b, ngf, h, w), (b, 1, h, w)
        if self.attends:
            noise_map, content_map = self.noise_attn(noise_map), self.content_attn(content_map)
            for crossing in self.cross_attn:
                noise_map, content_map = crossing(noise_map, content_map)
            noise, content = self.noise_pred(noise_map), self.content_pred(content_map)  # each (b, 1, h, w)
        return Separated(content, noise, self.fusion_layer(torch.cat([x - noise, content], 1)))


class CrossedUNets(nn.Module):
    """Both U-Nets level by level, with cross attention after every level of the decoders.

    Args:
        ngf, layers, exchange: see `TwoUNets`.
    """

    def __init__(self, *, ngf: int, layers: Convolutions, exchange: Exchange) -> None:
        super().__init__()
        down, up = _widths(ngf)
        sides = ("content", "noise")
        for side in sides:
            self.add_module(f"{side}_inc", DoubleConv(1, ngf, ngf, layers=layers))
        for levels in ((1, 2, 3), (4,)):  # the files' order
            for side in sides:
                for n in levels:
                    self.add_module(f"{side}_down{n}", Down(*down[n - 1], layers=layers))
        for side in sides:
            for n, (channels, out) in enumerate(up, start=1):
                self.add_module(f"{side}_up{n}", Up(channels, out, layers=layers))
        for n, (_, out) in enumerate(up, start=1):
            self.add_module(f"cross_attn{n}", nn.ModuleList(exchange.crossing(out) for _ in range(exchange.cross)))
        self.content_outc = Projection(ngf)
        self.noise_outc = Projection(ngf)
        self.after = After({f"{side}{n}": Place(2 ** (4 - n), out)
                            for n, (_, out) in enumerate(up, start=1) for side in sides})  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(b, 1, h, w) to the predictions of content and noise, of the same shape."""
        content_maps, noise_maps = (self._encoded(x, side) for side in ("content", "noise"))
        content, noise = content_maps.pop(), noise_maps.pop()  # each (b, 8 ngf, h / 16, w / 16)
        for n in range(1, 5):
            content = self.get_submodule(f"content_up{n}")(content, content_maps.pop())
            noise = self.get_submodule(f"noise_up{n}")(noise, noise_maps.pop())  # (b, c, h / 2^(4 - n), w / 2^(4 - n))
            content, noise = self.after(content, f"content{n}"), self.after(noise, f"noise{n}")
            for crossing in self.get_submodule(f"cross_attn{n}").children():
                content, noise = crossing(content, noise)
        return self.content_outc(content), self.noise_outc(noise)

    def _encoded(self, x: Tensor, side: str) -> list[Tensor]:
        maps = [self.get_submodule(f"{side}_inc")(x)]
        for n in range(1, 5):
            maps.append(self.get_submodule(f"{side}_down{n}")(maps[-1]))
        return maps


class FullyCrossed(nn.Module):
    """`CrossedUNets` and the fusion of both predictions; keys are those of log 003's files."""

    def __init__(self, *, ngf: int, layers: Convolutions, exchange: Exchange, fusion: int) -> None:
        super().__init__()
        self.encoder = CrossedUNets(ngf=ngf, layers=layers, exchange=exchange)
        self.fusion_layer = Projection(2, size=fusion)

    def forward(self, x: Tensor) -> Separated:
        content, noise = self.encoder(x)  # each (b, 1, h, w)
        return Separated(content, noise, self.fusion_layer(torch.cat([x - noise, content], 1)))


class OneUNet(nn.Module):
    """One U-Net alone, against which two branches are measured.

    Args:
        ngf, layers: see `TwoUNets`.
        squeeze: see `Exchange`.
        finds: "content" predicts the clean slice; "noise" predicts what is taken away from the noisy one.
    """

    def __init__(self, *, ngf: int, layers: Convolutions, squeeze: bool, finds: str) -> None:
        super().__init__()
        self.encoder = UNet(ngf=ngf, layers=layers, squeeze=squeeze)
        self.finds = finds

    def forward(self, x: Tensor) -> Separated:
        _, found = self.encoder(x)  # (b, 1, h, w)
        content, noise = (found, x - found) if self.finds == "content" else (x - found, found)  # each (b, 1, h, w)
        return Separated(content, noise, content)


class CnclUnet(TwoBranches):
    """CNCL as log 003 built it.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the slices; those that are no multiples of 16 are reflected to the next.
        ngf: see `TwoUNets`.
        layers, exchange: see these records.
        fusion: side of the convolution that fuses both predictions, 1 or 3; or the one branch that there is, see
            `OneUNet`.
        judged, slice_levels, low: see `TwoBranches`.
    """

    keeps_start: ClassVar[bool] = True

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        ngf: int,
        layers: Convolutions,
        exchange: Exchange,
        fusion: int | str,
        judged: Sequence[str],
        slice_levels: int | None,
        low: float,
    ) -> None:
        generator = _branches(fusion, ngf=ngf, layers=layers, exchange=exchange)
        super().__init__(generator, judged=judged, slice_levels=slice_levels, low=low)
        for parameter in self.parameters():
            if parameter.dim() == 4:
                nn.init.xavier_uniform_(parameter)  # the log's start: every convolution, no temperature
        if layers.fusion_start == "mean" and isinstance(generator, TwoUNets | FullyCrossed):
            _start_as_mean(generator.fusion_layer.conv)


@torch.no_grad()
def _start_as_mean(fusion: nn.Conv2d) -> None:
    """A fusing convolution that gives the mean of both predictions."""
    middle = fusion.kernel_size[0] // 2
    nn.init.zeros_(fusion.weight)
    fusion.weight[..., middle, middle] = 1 / fusion.in_channels
    assert fusion.bias is not None
    nn.init.zeros_(fusion.bias)


def _branches(fusion: int | str, *, ngf: int, layers: Convolutions, exchange: Exchange) -> nn.Module:
    """The network behind `CnclUnet`, noisy slices to `Separated`."""
    if isinstance(fusion, str) and fusion in ("content", "noise"):
        if exchange.own or exchange.cross:
            raise Refusal(f"model.fusion={fusion} leaves one branch, which has none to attend to; set "
                          "model.exchange.own=0 model.exchange.cross=0")  # fmt: skip
        return OneUNet(ngf=ngf, layers=layers, squeeze=exchange.squeeze, finds=fusion)
    if fusion not in (1, 3):
        raise Refusal(f"model.fusion={fusion} is the side of the fusing convolution, 1 or 3, or the only branch, "
                      "content or noise")  # fmt: skip
    kind = FullyCrossed if exchange.every_level else TwoUNets
    return kind(ngf=ngf, layers=layers, exchange=exchange, fusion=int(fusion))
