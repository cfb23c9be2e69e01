"""The patch discriminator of CycleGAN and CUT, on pictures without a condition."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.discriminators.in_sequence import judged_in_sequence
from scenegen.networks.layers.blur import BlurDown


class PicturePatchDiscriminator(Discriminator):
    """4x4 convolutions, instance norm on all but the first and last; keys are those of the authors' files.

    Args:
        semantic_channels: 0; it judges pictures alone.
        ndf: channels of the first layer; doubled up to eight times as many.
        layers: halvings; 3 judges patches of 70x70 pixels.
        antialias: halve through a binomial filter (CUT) instead of strides (CycleGAN).

    Source: Isola et al., CVPR 2017 (pix2pix), appendix 6.1.2; Zhu et al., ICCV 2017; Park et al., ECCV 2020.
    """

    joint: ClassVar[bool] = False
    per_sample: bool = True
    normal_start: bool

    def __init__(self, *, semantic_channels: int, ndf: int, layers: int, antialias: bool) -> None:
        super().__init__()
        if semantic_channels:
            raise Refusal("discriminator=picture_patch and two_way judge pictures alone, but the model shows a "
                          "condition; use discriminator=patch")  # fmt: skip
        if not 1 <= layers <= 6:
            raise Refusal(f"discriminator.layers={layers} must lie in 1..6; 3 is as published")
        widths = [ndf * min(2**n, 8) for n in range(layers + 1)]
        parts: list[nn.Module] = []
        for n, width in enumerate(widths):
            halves = n < layers
            stride = 2 if halves and not antialias else 1
            parts.append(nn.Conv2d(3 if n == 0 else widths[n - 1], width, 4, stride=stride, padding=1))
            parts += [nn.InstanceNorm2d(width)] if n else []
            parts.append(nn.LeakyReLU(0.2))
            parts += [BlurDown(width)] if halves and antialias else []
        self.model = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.normal_start = not antialias  # CycleGAN's N(0, 0.02), CUT's Xavier

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Scores (b, 1, h', w') of pictures (b, 3, h, w), and the maps after each activation."""
        return judged_in_sequence(self.model, image)
