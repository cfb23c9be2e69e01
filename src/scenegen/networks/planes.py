"""Planes that a generator sees beside its labels: a small picture of a prior, the texture of a style, instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.spade import SpadeGenerator
from scenegen.networks.layers.semantics import batch_semantics
from scenegen.networks.layers.spade import nearest

STEP = 32
"""Divisor of the sides of a prior's pictures."""


class Planes(nn.Module):
    """Base of the group's options: planes of a batch, of any size.

    Attributes:
        channels: of the planes.
        reads: fields of Batch without which there are none.
        is_picture: they are a picture, which loss.coarse compares with the real one.
    """

    channels: int
    reads: frozenset[str] = frozenset()
    is_picture: ClassVar[bool] = False

    def forward(self, batch: Batch) -> Tensor:
        """(b, channels, h', w')."""
        raise NotImplementedError  # every kind has its own


class Prior(Planes):
    """The picture of a small SPADE generator on the same labels, which is trained along.

    Args:
        num_classes: one-hot channels.
        height, width: of the generator's pictures.
        divisor: of both sides, which are then rounded to multiples of 32; 64 pixels of 512 are 8.
        ngf, hidden: its widths.

    Source: an idea of the contest log: "a micro GauGAN of 64 pixels, enlarged to 512, as a map beside the labels".
    """

    channels = 3
    is_picture: ClassVar[bool] = True

    def __init__(self, *, num_classes: int, height: int, width: int, divisor: int, ngf: int, hidden: int) -> None:
        super().__init__()
        if divisor < 1:
            raise Refusal(f"planes.prior.divisor={divisor} must be 1 or more; 8 makes 64 pixels of 512")
        self.num_classes = num_classes
        self.size = tuple(max(STEP, round(side / divisor / STEP) * STEP) for side in (height, width))
        rows, columns = self.size
        self.generator = SpadeGenerator(
            semantic_channels=num_classes, height=rows, width=columns, ngf=ngf, hidden=hidden, norm="batch"
        )

    def forward(self, batch: Batch) -> Tensor:
        """(b, 3, h', w') in [-1, 1] at the prior's own size."""
        dtype = self.generator.conv_img.weight.dtype
        labels = batch_semantics(batch, num_classes=self.num_classes, dtype=dtype)
        return self.generator(nearest(labels, (self.size[0], self.size[1])))


class Texture(Planes):
    """Local contrast of the exemplar: the deviation of its grey levels within squares around each pixel.

    Args:
        windows: sides of the squares in pixels, odd, one plane each.

    Source: Haralick 1979, statistical and structural approaches to texture (local variance).
    """

    reads: frozenset[str] = frozenset({"exemplar"})

    def __init__(self, *, windows: Sequence[int]) -> None:
        super().__init__()
        if not windows or any(side < 3 or side % 2 == 0 for side in windows):
            raise Refusal(f"planes.texture.windows={list(windows)} must be odd sides of 3 pixels or more, as [3,9]")
        self.windows = tuple(windows)
        self.channels = len(self.windows)

    def forward(self, batch: Batch) -> Tensor:
        """(b, len(windows), h, w), each in [0, 1]."""
        grey = batch.require("exemplar").float().mean(1, keepdim=True)  # (b, 1, h, w)
        return torch.cat([_deviation(grey, side) for side in self.windows], dim=1)


class Instances(Planes):
    """Place of each pixel within its instance: its way from the instance's middle, and the instance's size.

    Source: Cheng et al., CVPR 2020 (Panoptic-DeepLab), section 3.1 (offsets to the mass centre); instance maps as a
        generator's input: Wang et al. 2018, pix2pixHD, section 3.3.
    """

    channels = 3
    reads: frozenset[str] = frozenset({"instance"})

    def forward(self, batch: Batch) -> Tensor:
        """(b, 3, h, w): rows and columns from the middle as shares of the sides, and the square root of the area's."""
        ids = batch.require("instance")
        b, h, w = ids.shape
        samples = torch.arange(b, device=ids.device).view(b, 1, 1).expand_as(ids)
        pairs = torch.stack([samples, ids]).flatten(1)
        _, number = torch.unique(pairs, dim=1, return_inverse=True)  # (b h w,)
        area = torch.bincount(number).double()

        def offset(places: Tensor, side: int) -> Tensor:
            at = places.expand(b, h, w).flatten().double()
            middle = torch.bincount(number, weights=at) / area
            return (at - middle[number]) / side

        rows = offset(torch.arange(h, device=ids.device).view(1, h, 1), h)
        columns = offset(torch.arange(w, device=ids.device).view(1, 1, w), w)
        size = (area / (h * w)).sqrt()[number]
        return torch.stack([rows, columns, size]).view(3, b, h, w).transpose(0, 1).float()


def _deviation(grey: Tensor, side: int) -> Tensor:
    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, side, stride=1, padding=side // 2, count_include_pad=False)

    return (mean(grey.square()) - mean(grey).square()).clamp(min=0).sqrt()
