"""OASIS' discriminator: a U-Net that names the class of every pixel, one more class being "fake"."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.layers.halving import halved
from scenegen.networks.layers.norm import SpectralConv2d
from scenegen.networks.layers.semantics import named_classes

MULTIPLES = (2, 2, 4, 4, 8, 8)
"""Widths of the halving blocks' results, in units of ndf; published with ndf 64."""


class DownBlock(nn.Module):
    """Two convolutions and a halving, beside a halved shortcut.

    Args:
        channels, out: of input and result; where they differ the shortcut has a 1x1 convolution.
        first: no activation before the first convolution, because the input is the picture.

    Source: Sushko et al., ICLR 2021 (OASIS), appendix (table of the discriminator).
    """

    def __init__(self, channels: int, *, out: int, first: bool = False) -> None:
        super().__init__()
        entry = [] if first else [nn.LeakyReLU(0.2)]
        self.conv1 = nn.Sequential(*entry, SpectralConv2d(channels, out, 3, padding=1))
        self.conv2 = nn.Sequential(nn.LeakyReLU(0.2, inplace=True), SpectralConv2d(out, out, 3, padding=1))
        self.conv_s = SpectralConv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, out, h / 2, w / 2)."""
        main = halved(self.convolved(x))
        return self.conv_s(halved(x)) + main  # a 1x1 convolution and a mean commute: four times cheaper

    def convolved(self, x: Tensor) -> Tensor:
        """The main path in front of its halving, (b, out, h, w)."""
        return self.conv2(self.conv1(x))


class UpBlock(nn.Module):
    """A doubling and two convolutions, beside a doubled shortcut.

    Args:
        channels, out: of input and result; where they differ the shortcut has a 1x1 convolution.

    Source: Sushko et al., ICLR 2021 (OASIS), appendix (table of the discriminator).
    """

    def __init__(self, channels: int, *, out: int) -> None:
        super().__init__()
        up = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv1 = nn.Sequential(nn.LeakyReLU(0.2), up, SpectralConv2d(channels, out, 3, padding=1))
        self.conv2 = nn.Sequential(nn.LeakyReLU(0.2, inplace=True), SpectralConv2d(out, out, 3, padding=1))
        self.conv_s = SpectralConv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, out, 2 h, 2 w)."""
        shortcut = F.interpolate(self.conv_s(x), scale_factor=2, mode="nearest")  # as in DownBlock
        return shortcut + self.convolved(x)

    def convolved(self, x: Tensor) -> Tensor:
        """The main path, (b, out, 2 h, 2 w)."""
        return self.conv2(self.conv1(x))


class OasisDiscriminator(Discriminator):
    """Segments pictures into num_classes + 1 classes: 0 is "fake", c + 1 is class c.

    Pictures whose sides are not divisible by 64 get fewer halvings than the published six.

    Args:
        semantic_channels: of the planes beside the picture, whose first num_classes are one-hot.
        num_classes: of the labels, a class for "unknown" included.
        height, width: of the pictures, divisible by 2 to the depth.
        ndf: base width, 64 as published; the map before the logits has it.
        widths: of the halving blocks' results in units of ndf, six at most.
        depth: number of halvings; null: as many of the widths as the sides allow.

    Attributes:
        joint: false, since the published order of power steps is fake, real, mixed; nothing here looks across a
            batch.

    Source: Sushko et al., ICLR 2021 (OASIS), section 3.1 and appendix.
    """

    joint: ClassVar[bool] = False
    per_sample: bool = True
    offers: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    xavier_everywhere: ClassVar[bool] = True

    def __init__(
        self,
        *,
        semantic_channels: int,
        num_classes: int,
        height: int,
        width: int,
        ndf: int,
        widths: Sequence[int],
        depth: int | None,
    ) -> None:
        super().__init__()
        if not 1 <= num_classes <= semantic_channels or min(ndf, *widths) < 1:
            raise Refusal(
                "num_classes, ndf and widths must be positive and num_classes within the semantic_channels, "
                f"got {num_classes}, {ndf}, {list(widths)} and {semantic_channels}"
            )
        if depth is None:
            depth = min(len(widths), _halvings(height), _halvings(width))
        if not 1 <= depth <= len(widths) or height % 2**depth or width % 2**depth:
            raise Refusal(
                f"the segmenting discriminator halves {depth} times, at most {len(widths)} and at least 1, so height "
                f"and width must be divisible by {2 ** max(depth, 1)}, got {height}x{width}; "
                f"use sides divisible by {2 ** len(widths)}, or depth=null for fewer halvings"
            )
        self.condition_channels = semantic_channels
        self.num_classes = num_classes
        self.step = 2**depth
        down = [3, *(ndf * m for m in widths[:depth])]
        up = [*reversed(down[1:-1]), ndf]
        # from the second on they also read the halving block's result of their own size
        entering = [down[-1], *(2 * c for c in reversed(down[1:-1]))]
        self.body_up = nn.ModuleList(UpBlock(a, out=b) for a, b in zip(entering, up, strict=True))
        self.body_down = nn.ModuleList(DownBlock(a, out=b, first=i == 0) for i, (a, b) in enumerate(pairwise(down)))
        self.layer_up_last = nn.Conv2d(ndf, num_classes + 1, 1)

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Judge pictures pixel by pixel; the condition is only handed on, as the ids to find.

        Args:
            condition: (b, condition_channels, h, w), one-hot in the first num_classes channels.
            image: (b, 3, h, w) in [-1, 1]; sides divisible by 2 to the depth.

        Returns:
            One scale of logits (b, num_classes + 1, h, w), and the label (b, h, w); no features.

        Raises:
            Refusal: when the channels or the sizes differ, or do not halve so often.
        """
        h, w = image.shape[-2:]
        planes = self.planes(condition, image)
        if h % self.step or w % self.step:
            raise Refusal(f"this discriminator needs sides divisible by {self.step}, got {h}x{w}; resize the pictures")
        label = named_classes(planes[:, : self.num_classes])
        return Judgement(logits=(self.segment(image),), label=label)

    def segment(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) to logits (b, num_classes + 1, h, w)."""
        x, halved = image, []
        for block in self.body_down:
            x = block(x)
            halved.append(x)
        x = self.body_up[0](halved.pop())
        for block in self.body_up[1:]:
            x = block(torch.cat([halved.pop(), x], dim=1))
        return self.layer_up_last(x)


def _halvings(side: int) -> int:
    """Number of times that a side can be halved without a remainder."""
    return (side & -side).bit_length() - 1 if side > 0 else 0
