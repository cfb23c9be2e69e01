"""Restormer: a U-shaped network whose attention goes between channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal, SceneModel, Shown, Synthesis
from scenegen.networks.layers.transposed_attention import RestormerBlock

STEP = 8
"""Divisor of both sides: three halvings."""


@dataclass(frozen=True)
class Window:
    """Numbers that a network of slices sees in the place of [-1, 1].

    Attributes:
        low: in the place of -1, below 1; 1 stays. 0 is what Restormer and log 003 were trained on.
    """

    low: float

    def __post_init__(self) -> None:
        if not -math.inf < self.low < 1:
            raise Refusal(f"model.low={self.low} must be a number below 1; 0 as published, -1 for [-1, 1] as it is")

    @property
    def middle(self) -> float:
        """Picture's number that becomes 0."""
        return (self.low + 1) / (self.low - 1)

    @property
    def spread(self) -> float:
        """Picture's numbers per number that the network sees."""
        return 2 / (1 - self.low)


class Denoiser(SceneModel):
    """Base of the models that denoise slices, `source` pictures of one channel, of any size.

    Attributes:
        step: divisor of both sides within the network; slices of other sides are reflected to the next multiple.
    """

    reads: frozenset[str] = frozenset({"source"})
    channels: int = 1
    step: ClassVar[int]


class RestormerNet(nn.Module):
    """(b, c, h, w) to the same, h and w multiples of 8; keys are those of the authors' files.

    Args:
        channels: of the pictures.
        dim: channels at full size.
        blocks: of the four levels, fine to coarse.
        refinement: blocks after the finest decoder level.
        heads: of the four levels.
        expansion, norm_bias: see `RestormerBlock`.

    Source: Zamir et al., CVPR 2022, section 3 and figure 2.
    """

    def __init__(
        self,
        *,
        channels: int,
        dim: int,
        blocks: Sequence[int],
        refinement: int,
        heads: Sequence[int],
        expansion: float,
        norm_bias: bool,
    ) -> None:
        super().__init__()
        if len(blocks) != 4 or len(heads) != 4 or min(*blocks, refinement) < 1:
            raise Refusal(f"model.blocks={list(blocks)} and model.heads={list(heads)} need four levels of 1 block or "
                          "more, and model.refinement too; [4, 6, 6, 8] and [1, 2, 4, 8] are published")  # fmt: skip

        def level(width: int, count: int, attention_heads: int) -> nn.Sequential:
            return nn.Sequential(*(
                RestormerBlock(width, heads=attention_heads, expansion=expansion, norm_bias=norm_bias)
                for _ in range(count)
            ))  # fmt: skip

        self.patch_embed = _Below(proj=_conv(channels, dim))
        self.encoder_level1 = level(dim, blocks[0], heads[0])
        self.down1_2 = _halving(dim)
        self.encoder_level2 = level(2 * dim, blocks[1], heads[1])
        self.down2_3 = _halving(2 * dim)
        self.encoder_level3 = level(4 * dim, blocks[2], heads[2])
        self.down3_4 = _halving(4 * dim)
        self.latent = level(8 * dim, blocks[3], heads[3])
        self.up4_3 = _doubling(8 * dim)
        self.reduce_chan_level3 = nn.Conv2d(8 * dim, 4 * dim, 1, bias=False)
        self.decoder_level3 = level(4 * dim, blocks[2], heads[2])
        self.up3_2 = _doubling(4 * dim)
        self.reduce_chan_level2 = nn.Conv2d(4 * dim, 2 * dim, 1, bias=False)
        self.decoder_level2 = level(2 * dim, blocks[1], heads[1])
        self.up2_1 = _doubling(2 * dim)
        self.decoder_level1 = level(2 * dim, blocks[0], heads[0])
        self.refinement = level(2 * dim, refinement, heads[0])
        self.output = _conv(2 * dim, channels)

    def forward(self, picture: Tensor) -> Tensor:
        one = self.encoder_level1(self.patch_embed(picture))  # (b, dim, h, w)
        two = self.encoder_level2(self.down1_2(one))  # (b, 2 dim, h / 2, w / 2)
        three = self.encoder_level3(self.down2_3(two))  # (b, 4 dim, h / 4, w / 4)
        x = self.latent(self.down3_4(three))  # (b, 8 dim, h / 8, w / 8)
        x = self.reduce_chan_level3(torch.cat([self.up4_3(x), three], 1))  # (b, 4 dim, h / 4, w / 4)
        x = self.decoder_level3(x)
        x = self.reduce_chan_level2(torch.cat([self.up3_2(x), two], 1))  # (b, 2 dim, h / 2, w / 2)
        x = self.decoder_level2(x)
        x = torch.cat([self.up2_1(x), one], 1)  # (b, 2 dim, h, w)
        x = self.refinement(self.decoder_level1(x))
        return self.output(x) + picture  # (b, c, h, w)


class Restormer(Denoiser):
    """`source` pictures of one channel to denoised ones.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures; those that are no multiples of 8 are reflected to the next.
        dim, blocks, refinement, heads, expansion, norm_bias: see `RestormerNet`.
        low: number that the network sees at the window's lower end, below 1.

    Source: Zamir et al., CVPR 2022.
    """

    keeps_start: ClassVar[bool] = True
    step: ClassVar[int] = STEP

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        dim: int,
        blocks: Sequence[int],
        refinement: int,
        heads: Sequence[int],
        expansion: float,
        norm_bias: bool,
        low: float,
    ) -> None:
        super().__init__()
        self.window = Window(low)
        self.generator = RestormerNet(
            channels=1, dim=dim, blocks=blocks, refinement=refinement, heads=heads, expansion=expansion,
            norm_bias=norm_bias,
        )  # fmt: skip

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The denoised picture."""
        source = batch.require("source")
        h, w = source.shape[-2:]
        seen = (to_multiple(source, step=STEP) - self.window.middle) / self.window.spread  # (b, 1, h', w')
        return Synthesis(image=(self.generator(seen) * self.window.spread + self.window.middle)[..., :h, :w])

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """Grey pictures as three equal channels, for any discriminator of pictures."""
        real = batch.require("image")
        return Shown(None, synthesis.image.expand(-1, 3, -1, -1), real.expand(-1, 3, -1, -1))


def to_multiple(x: Tensor, *, step: int) -> Tensor:
    """Both sides reflected to the next multiple of a number, at the right and below.

    Raises:
        Refusal: a side that is too short to be reflected so far.
    """
    h, w = x.shape[-2:]
    if min(h, w) <= step // 2:
        raise Refusal(f"slices of {w}x{h} are too small for a network that halves them down to 1/{step}; give sides of "
                      f"more than {step // 2} pixels")  # fmt: skip
    return F.pad(x, (0, -w % step, 0, -h % step), mode="reflect") if h % step or w % step else x


class _Below(nn.Module):
    """One layer below the name that the authors' files have for it."""

    def __init__(self, *, proj: nn.Module) -> None:
        super().__init__()
        self.proj = proj

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class _Rescaled(nn.Module):
    """A sequence below the name `body`."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def _conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1, bias=False)


def _halving(channels: int) -> nn.Module:
    return _Rescaled(_conv(channels, channels // 2), nn.PixelUnshuffle(2))


def _doubling(channels: int) -> nn.Module:
    return _Rescaled(_conv(channels, 2 * channels), nn.PixelShuffle(2))
