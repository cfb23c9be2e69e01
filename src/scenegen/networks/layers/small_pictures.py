"""Pictures of a generator at halves of its size: shown beside the whole one, or grown into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal, Synthesis
from scenegen.networks.layers.precision import at_least_float32

PARTS = 1 << 16
"""Of a fade, which is in checkpoints as a whole number."""


class SmallPictures(nn.Module):
    """A 1x1 convolution and tanh on the map before each of a generator's last doublings.

    Args:
        widths: channels of the map before each doubling of a pass, from the first to the last.
        count: pictures, at 1/2, 1/4, ... of the size.
        growing: the generator ends with one of them until it has grown; otherwise all are made beside the whole one.

    Attributes:
        level: halvings of the picture that the generator ends with; 0 is its own size.
        fade: share of that picture in the result, against the enlarged one of half its size.
        grown: (2,) level and fade in PARTS, in checkpoints.

    Raises:
        Refusal: more pictures than doublings, or none.

    Source: Karras et al., ICLR 2018 (progressive growing), section 2 and figure 2; Karnewar and Wang, CVPR 2020
        (MSG-GAN), section 2.1.
    """

    grown: Tensor

    def __init__(self, widths: Sequence[int], *, count: int, growing: bool) -> None:
        super().__init__()
        if not 1 <= count <= len(widths):
            raise Refusal(f"trick.small.count={count}, but this generator doubles its map {len(widths)} times; give 1 "
                          f"to {len(widths)} sizes below its own")  # fmt: skip
        self.doublings, self.count, self.growing = len(widths), count, growing
        self.to_picture = nn.ModuleList(nn.Conv2d(width, 3, 1) for width in reversed(widths[-count:]))
        self.register_buffer("grown", torch.tensor([0, PARTS]))
        self.level, self.fade = 0, 1.0
        self._made: list[Tensor] = []

    def set_grown(self, level: int, fade: float) -> None:
        """End with the picture of a level, of which a share is faded in."""
        parts = round(fade * PARTS)
        self.level, self.fade = level, parts / PARTS
        self.grown.copy_(torch.tensor([level, parts]))

    def forward(self, x: Tensor, place: int) -> Tensor | None:
        """The picture with which the generator ends before a doubling; None where it goes on.

        Args:
            x: (b, channels, h, w) the map before the doubling.
            place: number of the doubling within the pass.
        """
        if place == 0:
            self._made = []
        halvings = self.doublings - place
        if halvings > self.count or not self._wanted(halvings):
            return None
        picture = torch.tanh(at_least_float32(self.to_picture[halvings - 1](x)))  # (b, 3, h, w)
        if self.growing and halvings == self.level:
            return self.whole(picture)
        self._made.insert(0, picture)
        return None

    def _wanted(self, halvings: int) -> bool:
        if not self.growing:
            return self.training
        below = self.training or self.fade < 1
        return halvings == self.level or (halvings == self.level + 1 and below)

    def whole(self, image: Tensor) -> Tensor:
        """The pass's picture: faded in, and enlarged to the generator's own size where it does not train.

        Args:
            image: (b, 3, h, w) of the present level.
        """
        if self.growing and self.fade < 1 and self._made:
            image = torch.lerp(F.interpolate(self._made[0], scale_factor=2, mode="nearest"), image, self.fade)
        if self.level and not self.training:
            image = F.interpolate(image, scale_factor=2**self.level, mode="bilinear", align_corners=False)
        return image

    def beside(self, synthesis: Synthesis) -> Synthesis:
        """The synthesis with the smaller pictures of its pass; without any its own picture is the coarse one."""
        made, self._made = tuple(self._made), []
        return replace(synthesis, smaller=made, coarse=made[0] if made else synthesis.image)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *rest) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        level, parts = self.grown.tolist()
        self.level, self.fade = int(level), parts / PARTS


def stacked(image: Tensor, smaller: Sequence[Tensor]) -> Tensor:
    """A picture and smaller ones as planes of one size, (b, 3 (1 + n), h, w), which `apart` undoes."""
    enlarged = [F.interpolate(small, size=image.shape[-2:], mode="nearest") for small in smaller]
    return torch.cat([image, *enlarged], dim=1)


def apart(planes: Tensor, count: int) -> list[Tensor]:
    """The picture and its `count` smaller ones, at 1/2, 1/4, ... of its size, out of `stacked` planes."""
    return [part[..., :: 2**i, :: 2**i] for i, part in enumerate(planes.chunk(1 + count, dim=1))]


def halves(image: Tensor, count: int) -> list[Tensor]:
    """A picture at 1/2, 1/4, ... of its size, each pixel a mean."""
    return [F.avg_pool2d(image, 2**i) for i in range(1, count + 1)]
