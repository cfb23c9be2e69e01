"""PICNet's discriminators: one judges generated, the other reconstructed pictures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.discriminators.patch_minibatch import Deviation, Likeness
from scenegen.networks.layers.picnet import (
    SLOPE,
    Convolutions,
    Doubled,
    FirstBlock,
    ResidualBlock,
    ShortLongAttention,
    widths,
)
from scenegen.networks.layers.self_attention import SimAM

MOST_LAYERS = 5
ATTENDED = 2
"""Number of the halving in front of which the attention stands."""


class ResidualJudge(Doubled):
    """Residual blocks that halve, attention inside, and a 3x3 convolution without padding to scores.

    Args:
        ndf: channels after the first halving.
        widest: most channels.
        layers: halvings; 5 as published takes pictures of 96 pixels and more.
        attention: short attention before the third halving.
        simam: lambda of SimAM in front of it; None is without.
        statistics: of the batch, beside the last map; None as published.
        convolutions: how they are made.

    Source: Zheng et al., CVPR 2019 (PICNet), supplement; keys of the released net_D.
    """

    def __init__(
        self,
        *,
        ndf: int,
        widest: int,
        layers: int,
        attention: bool,
        simam: float | None,
        statistics: Deviation | Likeness | None = None,
        convolutions: Convolutions,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"convolutions": convolutions}
        channels = widths(ndf, widest, layers)
        self.layers = layers
        self.block0 = FirstBlock(3, channels[0], **options)
        for i, (a, b) in enumerate(pairwise(channels)):
            if i == ATTENDED and attention:
                self.attn2 = ShortLongAttention(a, **options)
                # the release registers the long part and never runs it
                self.attn2.model.requires_grad_(False)
                self.attn2.alpha.requires_grad_(False)
            self.add_module(f"encoder{i}", ResidualBlock(a, a, b, halves=True, **options))
        self.block1 = ResidualBlock(channels[-1], channels[-1], channels[-1], **options)
        layer = None if statistics is None else statistics.layer(channels[-1])
        self.statistics = layer
        self.conv = convolutions.valid(channels[-1] + (0 if layer is None else layer.planes), 1, 3)
        self.attention = attention and layers > ATTENDED + 1
        self.simam = None if simam is None else SimAM(lambda_=simam)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores (b, 1, h', w') of pictures (b, 3, h, w), and the maps before."""
        maps = [self.block0(image)]  # (b, ndf, h/2, w/2)
        for i in range(self.layers - 1):
            x = maps[-1]
            if i == ATTENDED:
                x = x if self.simam is None else self.simam(x)
                x = self.attn2(x) if self.attention else x
            maps.append(self.get_submodule(f"encoder{i}")(x))
        maps.append(self.block1(maps[-1]))
        x = F.leaky_relu(maps[-1], SLOPE)
        return self.conv(x if self.statistics is None else self.statistics(x)), maps


class PatchJudge(Doubled):
    """4x4 convolutions without bias, three of them halving.

    Args:
        ndf, widest: see `ResidualJudge`.
        layers: halvings, 3 as published.
        convolutions: how they are made.

    Source: Zheng et al., CVPR 2019 (PICNet), released PatchDis.
    """

    def __init__(self, *, ndf: int, widest: int, layers: int, convolutions: Convolutions) -> None:
        super().__init__()
        channels = [3, *widths(ndf, widest, layers + 1), 1]
        self.model = nn.ModuleDict()
        for i, (a, b) in enumerate(pairwise(channels)):
            self.model[str(2 * i)] = convolutions.strided(a, b, stride=2 if i < layers else 1)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores (b, 1, h', w') of pictures (b, 3, h, w), and the maps before."""
        *inner, last = self.model.values()
        maps: list[Tensor] = []
        x = image
        for conv in inner:
            maps.append(F.leaky_relu(conv(x), SLOPE))
            x = maps[-1]
        return last(x), maps


class PicnetDiscriminator(Discriminator):
    """Judges the first three channels as generated pictures, the last three as reconstructed ones.

    Args:
        semantic_channels: 0; it judges pictures alone.
        height, width: of the pictures.
        ndf, widest, attention, simam: see `ResidualJudge`.
        layers: halvings; None takes as many as leave scores, 5 at most for residual and 3 for patch ones.
        patch: `PatchJudge` in place of `ResidualJudge`.
        statistics: see `ResidualJudge`; a patch judge has none.
        eval_steps: see `SteppingSpectral`.

    Source: Zheng et al., CVPR 2019 (PICNet), section 3.4; released as D and D_rec.
    """

    domains: ClassVar[int] = 2
    partner: ClassVar[str] = "model=picnet"
    joint: ClassVar[bool] = False
    per_sample: bool = True
    keeps_start: ClassVar[bool] = True

    def __init__(
        self,
        *,
        semantic_channels: int,
        height: int,
        width: int,
        ndf: int,
        widest: int,
        layers: int | None,
        patch: bool,
        attention: bool,
        simam: float | None,
        statistics: Deviation | Likeness | None,
        eval_steps: bool,
    ) -> None:
        super().__init__()
        if semantic_channels:
            raise Refusal("discriminator=picnet judges pictures alone, but the model shows a condition; use "
                          "discriminator=sesame or patch")  # fmt: skip
        count = _layers(layers, side=min(height, width), patch=patch)
        convolutions = Convolutions(kind="plain", eval_steps=eval_steps)

        def judge() -> ResidualJudge | PatchJudge:
            if patch:
                return PatchJudge(ndf=ndf, widest=widest, layers=count, convolutions=convolutions)
            return ResidualJudge(
                ndf=ndf,
                widest=widest,
                layers=count,
                attention=attention,
                simam=simam,
                statistics=statistics,
                convolutions=convolutions,
            )

        if patch and statistics is not None:
            raise Refusal("discriminator.statistics stands in residual discriminators alone; use "
                          "discriminator.patch=false")  # fmt: skip
        self.per_sample = statistics is None
        self.discriminator = judge()
        self.of_reconstructed = judge() if self.domains == 2 else None

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Scores of each net as a scale.

        Args:
            condition: None.
            image: (b, 3 * domains, h, w), generated beside reconstructed pictures.
        """
        if image.shape[1] != 3 * self.domains:
            told = "discriminator=picnet judges generated and reconstructed pictures side by side (6 channels)"
            raise Refusal(f"{told if self.domains == 2 else 'discriminator=picnet_one judges pictures of 3 channels'}, "
                          f"got {image.shape[1]}; use it with {self.partner}")  # fmt: skip
        nets = [net for net in (self.discriminator, self.of_reconstructed) if net is not None]
        scores, maps = zip(
            *(net(part) for net, part in zip(nets, image.chunk(self.domains, 1), strict=True)), strict=True
        )
        return Judgement(logits=tuple(scores), features=tuple(tuple(found) for found in maps))


class PicnetOneDiscriminator(PicnetDiscriminator):
    """PICNet's discriminator of generated pictures alone; see `PicnetDiscriminator` for the arguments."""

    domains: ClassVar[int] = 1
    partner: ClassVar[str] = "model=picnet_spdnorm"


def _layers(asked: int | None, *, side: int, patch: bool) -> int:
    """Number of halvings of a discriminator for pictures of that smaller side: each leaves 3 places or more."""
    fitting = next((n for n in range(3 if patch else MOST_LAYERS, 0, -1) if side // 2**n >= 3), 0)
    count = fitting if asked is None else asked
    if not 1 <= count <= fitting:
        raise Refusal(f"discriminator.layers={asked} leaves no scores of pictures of {side} pixels a side; give 1 to "
                      f"{fitting}, or null for {fitting}")  # fmt: skip
    return count
