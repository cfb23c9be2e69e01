"""The residual generator of CycleGAN and CUT: two halvings, residual blocks, two doublings."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.blur import BlurDown, BlurUp

SMALLEST = 24
"""Pixels of a side below which the patch discriminator beside this generator has nothing left to judge."""


class ResnetBlock(nn.Module):
    """Two 3x3 convolutions with instance norm on reflected borders, added to their input.

    Args:
        channels: of input and output.
        dropout: half of the maps are dropped between the two in training (pix2pix's default, not CycleGAN's).

    Attributes:
        after: a layer behind the sum (attention); None as published.
    """

    channels: int
    after: nn.Module | None

    def __init__(self, channels: int, *, dropout: bool) -> None:
        super().__init__()
        between = [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(),
            *between,
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels),
        )  # fmt: skip
        self.channels = channels
        self.register_module("after", None)

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.conv_block(x)
        return y if self.after is None else self.after(y)


class ResnetGenerator(nn.Module):
    """(b, 3, h, w) in [-1, 1] to the same; keys are those of the authors' files.

    Args:
        ngf: channels at full size; four times as many at a quarter of it.
        blocks: residual blocks, 9 as published for 256 pixels, 6 for 128.
        antialias: halve and double through a binomial filter (CUT) instead of strides (CycleGAN).
        dropout: see `ResnetBlock`.

    Source: Zhu et al., ICCV 2017 (CycleGAN), appendix 7.2; Park et al., ECCV 2020 (CUT), released code.
    """

    def __init__(self, *, ngf: int, blocks: int, antialias: bool, dropout: bool) -> None:
        super().__init__()
        if blocks < 1:
            raise Refusal(f"model.blocks={blocks} must be 1 or more; 9 is as published for 256 pixels")
        wide = 4 * ngf
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7), nn.InstanceNorm2d(ngf), nn.ReLU(),
            *_halving(ngf, antialias), *_halving(2 * ngf, antialias),
            *(ResnetBlock(wide, dropout=dropout) for _ in range(blocks)),
            *_doubling(wide, antialias), *_doubling(2 * ngf, antialias),
            nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        (made,) = self.features(x, [len(self.model) - 1])
        return made[..., :h, :w]

    def features(self, x: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Outputs of some layers of the sequence, in order; layer 0 is the picture with its reflected border.

        Args:
            x: (b, 3, h, w) in [-1, 1].
            layers: numbers of the sequence, rising.
        """
        found, x, start = [], _to_fours(x), 0
        for number, layer in enumerate(self.model[: layers[-1] + 1]):
            if number in layers or isinstance(layer, ResnetBlock | nn.Conv2d | nn.ConvTranspose2d):
                x = self.stretch(self.model[start : number + 1], x)
                start = number + 1
            if number in layers:
                found.append(x)
        return found

    def stretch(self, layers: nn.Sequential, x: Tensor) -> Tensor:
        """The map behind some layers that follow each other, up to a convolution, a block or a layer that is read."""
        return layers(x)

    def channels(self, layer: int) -> int:
        """Channels of a layer's output.

        Raises:
            Refusal: where the sequence has no such layer.
        """
        if not 0 <= layer < len(self.model):
            raise Refusal(f"model.layers names {layer}, but the generator has the layers 0 to {len(self.model) - 1}")
        found = 3
        for part in self.model[: layer + 1]:
            convs = [m for m in part.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
            found = convs[-1].out_channels if convs else found
        return found


def require_sides(height: int, width: int) -> None:
    """Refuse pictures that are too small for two halvings and a patch discriminator."""
    if min(height, width) < SMALLEST:
        raise Refusal(f"pictures of {height}x{width} are too small to translate; give sides of {SMALLEST} pixels and "
                      "more, such as size=tiny")  # fmt: skip


def _halving(channels: int, antialias: bool) -> list[nn.Module]:
    conv = nn.Conv2d(channels, 2 * channels, 3, stride=1 if antialias else 2, padding=1)
    blur = [BlurDown(2 * channels)] if antialias else []
    return [conv, nn.InstanceNorm2d(2 * channels), nn.ReLU(), *blur]


def _doubling(channels: int, antialias: bool) -> list[nn.Module]:
    half = channels // 2
    if antialias:
        first: list[nn.Module] = [BlurUp(channels), nn.Conv2d(channels, half, 3, padding=1)]
    else:
        first = [nn.ConvTranspose2d(channels, half, 3, stride=2, padding=1, output_padding=1)]
    return [*first, nn.InstanceNorm2d(half), nn.ReLU()]


def _to_fours(x: Tensor) -> Tensor:
    """Both sides reflected to the next multiple of 4, at the right and below."""
    h, w = x.shape[-2:]
    return F.pad(x, (0, -w % 4, 0, -h % 4), mode="reflect") if h % 4 or w % 4 else x
