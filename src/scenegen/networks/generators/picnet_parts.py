"""PICNet's encoder and generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Gaussian, Refusal
from scenegen.networks.layers.after import After, Place
from scenegen.networks.layers.attentive_norm import AttentiveNorm
from scenegen.networks.layers.picnet import (
    NORMS,
    Convolutions,
    Doubled,
    DoublingBlock,
    FirstBlock,
    OutputBlock,
    ResidualBlock,
    ShortLongAttention,
    widths,
)
from scenegen.networks.layers.self_attention import SimAM

LAYERS = 5
"""Halvings of the encoder and doublings of the generator."""

ENCODED = 2
"""Number of the encoder's map that the generator's attention reads, an eighth of the picture."""

ATTENDED = 1
"""Number of the doubling after which it stands, at the same size."""


@dataclass(frozen=True)
class Widths:
    """Widths of encoder and generator.

    Attributes:
        ngf: channels after the first halving.
        widest: most channels, 4 ngf as published: the attention needs equal widths on both sides.
        z: channels of the latent map.
    """

    ngf: int
    widest: int
    z: int

    def __post_init__(self) -> None:
        if self.widest != 4 * self.ngf or min(self.ngf, self.z) < 1:
            raise Refusal(
                f"model.sizes.widest={self.widest} must be 4 model.sizes.ngf={self.ngf}, so that the attention "
                f"reads maps of one width, and model.sizes.z={self.z} 1 or more"
            )


class PicnetEncoder(Doubled):
    """Maps of a picture at each halving, and Gaussians of what is missing.

    Args:
        sizes: of its layers.
        blocks: residual blocks between the visible half's map and its Gaussian; 6 as published.
        convolutions: how they are made.

    Source: Zheng et al., CVPR 2019 (PICNet), section 3.2 and supplement; keys of the released net_E.
    """

    def __init__(self, *, sizes: Widths, blocks: int, convolutions: Convolutions) -> None:
        super().__init__()
        options: dict[str, Any] = {"convolutions": convolutions}
        channels = widths(sizes.ngf, sizes.widest, LAYERS)
        deep = channels[-1]
        self.block0 = FirstBlock(3, channels[0], **options)
        for i, (a, b) in enumerate(pairwise(channels)):
            self.add_module(f"encoder{i}", ResidualBlock(a, a, b, halves=True, **options))
        for i in range(blocks):
            self.add_module(f"infer_prior{i}", ResidualBlock(deep, deep, deep, **options))
        self.posterior = ResidualBlock(deep, deep, 2 * sizes.z, **options)
        self.prior = ResidualBlock(deep, deep, 2 * sizes.z, **options)
        self.blocks = blocks

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps at 1/2, 1/4, ..., 1/32 of pictures (b, 3, h, w) that are 0 where nothing is known."""
        maps = [self.block0(image)]  # (b, ngf, h/2, w/2)
        for i in range(LAYERS - 1):
            maps.append(self.get_submodule(f"encoder{i}")(maps[-1]))
        return maps

    def of_visible(self, deepest: Tensor) -> Gaussian:
        """Gaussian of the latent as the visible half lets expect it, per place."""
        for i in range(self.blocks):
            deepest = self.get_submodule(f"infer_prior{i}")(deepest)
        return _gaussian(self.prior(deepest))

    def of_hole(self, deepest: Tensor) -> Gaussian:
        """Gaussian of the latent that the missing half itself shows."""
        return _gaussian(self.posterior(deepest))


class PicnetGenerator(Doubled):
    """Pictures of four sizes of a latent map and the encoder's maps of the visible half.

    Args:
        sizes: of its layers.
        norm: a key of NORMS, in the doubling blocks.
        attention: short and long attention behind the second doubling.
        simam: lambda of SimAM in front of it (the log's seed 000); None is without.
        attentive: regions of an attentive normalisation in front of both (the log's plans); None is without.
        convolutions: how they are made.

    Source: Zheng et al., CVPR 2019 (PICNet), section 3.2, 3.3 and supplement; keys of the released net_G.
    """

    def __init__(
        self,
        *,
        sizes: Widths,
        norm: str,
        attention: bool,
        simam: float | None,
        attentive: int | None,
        convolutions: Convolutions,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise Refusal(f"model.norm={norm} is not one of {', '.join(NORMS)}")
        options: dict[str, Any] = {"convolutions": convolutions}
        channels = widths(sizes.ngf, sizes.widest, LAYERS)[::-1]
        self.generator = ResidualBlock(sizes.z, channels[0], channels[0], **options)
        before = channels[0]
        for i, out in enumerate(channels):
            self.add_module(f"decoder{i}", DoublingBlock(before, out, norm=norm, **options))
            if i >= ATTENDED:
                self.add_module(f"out{i}", OutputBlock(out, **options))
            if i == ATTENDED:
                self.attentive = None if attentive is None else AttentiveNorm(out, regions=attentive)
                self.attn1 = ShortLongAttention(out, **options) if attention else None
            before = out + 3 if i >= ATTENDED else out  # each picture goes on into the next doubling
        self.simam = None if simam is None else SimAM(lambda_=simam)
        self.after = After({f"{i}": Place(2 ** (LAYERS - 1 - i), out) for i, out in enumerate(channels)})

    def forward(self, z: Tensor, deepest: Tensor, encoded: Tensor, visible: Tensor) -> list[Tensor]:
        """Paint.

        Args:
            z: (b, z, h/32, w/32) the latent map.
            deepest: (b, widest, h/32, w/32) the encoder's last map of the visible half.
            encoded: (b, widest, h/8, w/8) its map number 2.
            visible: (b, 1, h/8, w/8) 1 where the picture is known; between 0 and 1 at borders.

        Returns:
            Pictures (b, 3, h', w') in [-1, 1] at 1/8, 1/4, 1/2 and 1 of the size.
        """
        pictures: list[Tensor] = []
        x, picture = self.generator(z) + deepest, None  # (b, widest, h/32, w/32)
        for i in range(LAYERS):
            x = self.get_submodule(f"decoder{i}")(x, picture)  # (b, channels of i, h 2^(i-4), w 2^(i-4))
            if i == ATTENDED and self.attentive is not None:
                x = self.attentive(x)
            if i == ATTENDED and self.simam is not None:
                x = self.simam(x)
            x = self.after(x, f"{i}")
            if i == ATTENDED and self.attn1 is not None:
                x = self.attn1(x, encoded, visible)
            if i >= ATTENDED:
                picture = self.get_submodule(f"out{i}")(x)
                pictures.append(picture)
        return pictures


def resized(picture: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear with aligned corners, as PICNet resizes pictures and masks; a mask gets values between 0 and 1."""
    return F.interpolate(picture, size=tuple(size), mode="bilinear", align_corners=True)


def _gaussian(both: Tensor) -> Gaussian:
    mu, spread = both.chunk(2, 1)
    return Gaussian(mu, F.softplus(spread))
