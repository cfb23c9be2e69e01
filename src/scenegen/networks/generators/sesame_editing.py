"""SESAME's editing generator: it fills a hole in a photograph as the label map says; sesame_editor.py trains it."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.norm import PARAMETER_FREE, choose, instance_norm
from scenegen.networks.layers.precision import at_least_float32
from scenegen.networks.layers.semantics import semantics
from scenegen.networks.layers.spade import SPADE, SPADEBlock, nearest


class SesameEditor(nn.Module):
    """Encoder, dilated residual blocks, dilated SPADE blocks, decoder; the hole is one of the input channels.

    Args:
        semantic_channels: of the semantics, the hole mask included as their last.
        ngf: base width.
        hidden: width inside each SPADE layer, 128 as published.
        downsamplings: halvings of the encoder (2 as published).
        residuals: residual blocks at the smallest size (4).
        modulated: SPADE blocks at the smallest size (5).
        skips: hand the encoder's maps to the decoder; off in the published recipes.
        wide: twice the width between the first residual and the last SPADE block; not with `skips`.
        norm: a key of PARAMETER_FREE, under the modulation.
        spectral: spectral norm on the SPADE blocks' convolutions.
        kernel: of the SPADE convolutions.

    Source: Ntavelis et al., ECCV 2020 (SESAME), section 3.1.
    """

    def __init__(
        self,
        *,
        semantic_channels: int,
        ngf: int = 64,
        hidden: int = 128,
        downsamplings: int = 2,
        residuals: int = 4,
        modulated: int = 5,
        skips: bool = False,
        wide: bool = False,
        norm: str = "batch",
        spectral: bool = True,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        if min(semantic_channels, ngf, hidden, downsamplings, residuals, modulated) < 1:
            raise Refusal(
                "semantic_channels, ngf, hidden, downsamplings, residuals and modulated must be positive, "
                f"got {semantic_channels}, {ngf}, {hidden}, {downsamplings}, {residuals}, {modulated}"
            )
        if skips and wide:
            raise Refusal("wide blocks do not fit the maps that skips hand over; use skips=false or wide=false")
        make = choose(norm, PARAMETER_FREE)

        def modulation(channels: int) -> SPADE:
            return SPADE(
                channels, condition_channels=semantic_channels, norm=make(channels), hidden=hidden, kernel=kernel
            )

        def block(channels: int, out: int, dilation: int = 1) -> SPADEBlock:
            return SPADEBlock(channels, out=out, modulation=modulation, spectral=spectral, dilation=dilation)

        self.semantic_channels = semantic_channels
        self.skips = skips
        inputs = semantic_channels + 3
        widths = [ngf * 2**i for i in range(downsamplings + 1)]  # of the encoder's maps, large to small
        deep = widths[-1]
        core = 2 * deep if wide else deep
        self.init_block = nn.Sequential(
            nn.ReflectionPad2d(3), _normalised(nn.Conv2d(inputs, ngf, 7, bias=False)), nn.ReLU(inplace=True)
        )
        self.downlayers = nn.Sequential(*(_down(a, b) for a, b in pairwise(widths)))
        self.resnet_core = nn.Sequential(
            *(ResidualBlock(core if i else deep, out=core, dilation=2 if i else 1) for i in range(residuals))
        )
        self.spade_core = nn.ModuleList(
            [*(block(core, core, dilation=2) for _ in range(modulated - 1)), block(core + deep * skips, deep)]
        )
        self.uplayers = nn.ModuleList(block(b + a * skips, a) for a, b in reversed([*pairwise(widths)]))
        self.conv_img = nn.Conv2d(ngf + inputs * skips, 3, 3, padding=1)

    def forward(self, masked: Tensor, semantics: Tensor) -> Tensor:
        """Paint the whole picture; `layers.holes.composite` keeps the photograph outside the hole.

        Args:
            masked: (b, 3, h, w) the photograph, zero in the hole; see `layers.holes.masked`.
            semantics: (b, semantic_channels, h, w); see `editing_semantics`.

        Returns:
            (b, 3, h, w) in [-1, 1], float32 also under autocast.

        Raises:
            Refusal: for other channels, unlike sizes, or sides not divisible by 2 to the halvings.
        """
        self._check(masked, semantics)
        entered = torch.cat([masked, semantics.to(masked.dtype)], dim=1)
        encoded = [self.init_block(entered)]
        for layer in self.downlayers:
            encoded.append(layer(encoded[-1]))
        condition = nearest(semantics, encoded[-1].shape[-2:])
        x = self.resnet_core(encoded[-1])
        for layer in self.spade_core[:-1]:
            x = layer(x, condition)
        x = self.spade_core[-1](self._beside(x, encoded.pop()), condition)
        for layer in self.uplayers:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = layer(self._beside(x, encoded.pop()), nearest(semantics, x.shape[-2:]))
        x = self.conv_img(F.leaky_relu(self._beside(x, entered), 0.2))
        return torch.tanh(at_least_float32(x))

    def _beside(self, x: Tensor, encoded: Tensor) -> Tensor:
        return torch.cat([x, encoded], dim=1) if self.skips else x

    def _check(self, masked: Tensor, semantics: Tensor) -> None:
        h, w = masked.shape[-2:]
        if semantics.shape[1] != self.semantic_channels or semantics.shape[-2:] != (h, w) or masked.shape[1] != 3:
            raise Refusal(
                f"the editor needs a photograph (b, 3, h, w) and semantics (b, {self.semantic_channels}, h, w), "
                f"got {tuple(masked.shape)} and {tuple(semantics.shape)}"
            )
        step = 2 ** len(self.downlayers)
        if h % step or w % step:
            raise Refusal(
                f"the editor needs height and width divisible by {step}, got {h}x{w}; "
                f"crop to {h // step * step}x{w // step * step}"
            )


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions and a shortcut, nothing after the sum.

    Args:
        channels, out: of input and result; the second convolution changes the width, and where it does the shortcut is
            a 1x1 convolution.
        dilation: of both convolutions.

    Source: Ntavelis et al., ECCV 2020 (SESAME), section 3.1.
    """

    def __init__(self, channels: int, *, out: int, dilation: int) -> None:
        super().__init__()

        def conv(outputs: int) -> nn.Module:
            return _normalised(nn.Conv2d(channels, outputs, 3, dilation=dilation, bias=False))

        def pad() -> nn.Module:
            return nn.ReflectionPad2d(dilation)

        self.conv_block = nn.Sequential(pad(), conv(channels), nn.ReLU(inplace=True), pad(), conv(out))
        self.shortcut = nn.Conv2d(channels, out, 1, bias=False) if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.conv_block(x)


def editing_semantics(label: Tensor, hole: Tensor, *, num_classes: int, inside: bool = False) -> Tensor:
    """One-hot classes, then the hole.

    Args:
        label: (b, h, w) integer class ids.
        hole: (b, 1, h, w), 1 where the picture is to be generated.
        num_classes: number of one-hot channels.
        inside: give the labels inside the hole only (the published Cityscapes recipe).

    Returns:
        (b, num_classes + 1, h, w), zeros and ones, in the dtype of `hole`.

    Source: Ntavelis et al., ECCV 2020 (SESAME), section 3.
    """
    planes = semantics(label, num_classes=num_classes, dtype=hole.dtype)
    return torch.cat([planes * hole if inside else planes, hole], dim=1)


def _normalised(conv: nn.Conv2d) -> nn.Module:
    return nn.Sequential(conv, instance_norm(conv.out_channels))


def _down(channels: int, out: int) -> nn.Module:
    conv = nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(_normalised(conv), nn.ReLU(inplace=True))
