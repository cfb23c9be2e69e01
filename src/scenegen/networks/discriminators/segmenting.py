"""The segmenting discriminator: a light decoder on a frozen backbone names every pixel's class, or calls it fake."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.discriminators.stages import FrozenStages
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.layers.norm import SpectralConv2d
from scenegen.networks.layers.semantics import named_classes


class Merge(nn.Module):
    """A coarse map and a finer one to one map: both to the same channels, sum, 3x3.

    Args:
        coarse: channels of the coarse map; 0 where there is none.
        lateral: takes the finer map to `out` channels.
        out: channels of the result.
    """

    def __init__(self, coarse: int, *, lateral: nn.Module, out: int) -> None:
        super().__init__()
        self.narrow = SpectralConv2d(coarse, out, 1, bias=False) if coarse else None
        self.lateral = lateral
        self.mix = SpectralConv2d(out, out, 3, padding=1)

    def forward(self, x: Tensor | None, finer: Tensor, *, factor: int) -> Tensor:
        """Maps to one.

        Args:
            x: (b, coarse, h', w'), or None.
            finer: (b, c, h, w), h at most factor h'.
            factor: of the two resolutions.

        Returns:
            (b, out, h, w).
        """
        y = self.lateral(finer)
        if self.narrow is not None and x is not None:
            h, w = y.shape[-2:]
            # scaled and cut, never squeezed: pixels of odd sizes stay where they are
            y = y + F.interpolate(self.narrow(x), scale_factor=float(factor), mode="nearest")[..., :h, :w]
        y = F.leaky_relu(y, 0.2, inplace=True)
        return F.leaky_relu(self.mix(y), 0.2, inplace=True)


class SegmentingDiscriminator(Discriminator):
    """Segments pictures into num_classes + 1 classes, 0 being "fake", with trained eyes and a decoder that learns.

    The layers of a frozen backbone, each divided by its deviation, are merged from coarse to fine. A frozen layer of
    stride 2 is blind to faults of period 2 that its filters average out, so a small branch that learns reads the
    picture itself, and joins at full resolution. The backbone is in no state dict; gradients pass through it to the
    picture.

    Args:
        semantic_channels: of the planes beside the picture, whose first num_classes are one-hot.
        num_classes: of the labels, a class for "unknown" included.
        backbone: a frozen feature network of the house.
        height, width: of the pictures.
        layers: of the backbone, fine to coarse, each coarser than the one before.
        deviations: see `FrozenStages`.
        ndf: base width; that of the branch and of the map before the logits.
        widths: of the merged layers in units of ndf, fine to coarse.

    Source: Berrada et al., CVPR 2024 (DP-SIMS), section 3, for the frozen backbone with a decoder that segments (their
        code was never published; the decoder here is a feature pyramid, Lin et al., CVPR 2017); Sushko et al.,
        ICLR 2021 (OASIS), section 3.1, for the classes; Miyato et al., ICLR 2018, for the spectral norms.
    """

    per_sample: bool = True
    offers: ClassVar[frozenset[str]] = frozenset({"segmentation", "judgement.features"})

    def __init__(
        self,
        *,
        semantic_channels: int,
        num_classes: int,
        backbone: Extractor,
        height: int,
        width: int,
        layers: Sequence[str],
        deviations: str | Sequence[float] | None,
        ndf: int,
        widths: Sequence[int],
    ) -> None:
        super().__init__()
        if not 1 <= num_classes <= semantic_channels or min(ndf, *widths, ndf) < 1:
            raise Refusal(
                "num_classes, ndf and widths must be positive and num_classes within the semantic_channels, "
                f"got {num_classes}, {ndf}, {list(widths)} and {semantic_channels}"
            )
        self.stages = FrozenStages(backbone, layers=layers, deviations=deviations)
        if len(widths) != len(self.stages.channels):
            raise Refusal(
                f"discriminator.widths={list(widths)} must be one number for each of the {len(self.stages.channels)} "
                f"discriminator.layers {', '.join(self.stages.layers)}"
            )
        self.stages.refuse_small(height, width)
        self.condition_channels = semantic_channels
        self.num_classes = num_classes
        made = [ndf * m for m in widths]
        self.merges = nn.ModuleList(  # fine to coarse, as the layers
            Merge(coarse, lateral=SpectralConv2d(channels, out, 1), out=out)
            for coarse, channels, out in zip([*made[1:], 0], self.stages.channels, made, strict=True)
        )
        branch = nn.Sequential(
            SpectralConv2d(3, ndf, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            SpectralConv2d(ndf, ndf, 3, padding=1),
        )
        self.whole = Merge(made[0], lateral=branch, out=ndf)
        self.logits = nn.Conv2d(ndf, num_classes + 1, 1)
        self._factors = [b // a for a, b in pairwise([1, *self.stages.strides])]

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Judge pictures pixel by pixel; the condition is only handed on, as the ids to find.

        Args:
            condition: (b, condition_channels, h, w), one-hot in the first num_classes channels.
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            One scale of logits (b, num_classes + 1, h, w), the decoder's maps, coarse to fine, and the label (b, h, w).

        Raises:
            Refusal: when the channels or the sizes differ, or pictures are smaller than one coarsest position.
        """
        self.stages.refuse_small(*image.shape[-2:])
        label = named_classes(self.planes(condition, image)[:, : self.num_classes])
        found = self.stages(image)
        factors = [*self._factors[1:], 1]  # of each layer to the next one; the coarsest has none
        maps: list[Tensor] = []
        for merge, finer, factor in reversed(list(zip(self.merges, found, factors, strict=True))):
            maps.append(merge(maps[-1] if maps else None, finer, factor=factor))  # (b, widths ndf, h / s, w / s)
        maps.append(self.whole(maps[-1], image, factor=self._factors[0]))  # (b, ndf, h, w)
        return Judgement(logits=(self.logits(maps[-1]),), features=(tuple(maps),), label=label)
