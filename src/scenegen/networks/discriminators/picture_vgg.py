"""The VGG-shaped discriminator of super-resolution, on pictures without a condition."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.discriminators.in_sequence import judged_in_sequence

STAGES = 4


class PictureVggDiscriminator(Discriminator):
    """Four stages of a 3x3 convolution and one that halves, batch norm on all but the first; keys are the port's.

    Batch norms see generated and real pictures in passes of their own.

    Args:
        semantic_channels: 0; it judges pictures alone.
        ndf: channels of the first stage; each next one has twice as many.

    Source: Ledig et al., CVPR 2017 (SRGAN), figure 4, with a score map in place of the dense layers, as the contest
    log's ESRGAN has it.
    """

    joint: ClassVar[bool] = False
    keeps_start: ClassVar[bool] = True

    def __init__(self, *, semantic_channels: int, ndf: int) -> None:
        super().__init__()
        if semantic_channels:
            raise Refusal("discriminator=picture_vgg judges pictures alone, but the model shows a condition; use "
                          "discriminator=patch")  # fmt: skip
        parts: list[nn.Module] = []
        before = 3
        for stage in range(STAGES):
            width = ndf * 2**stage
            parts.append(nn.Conv2d(before, width, 3, padding=1))
            parts += [nn.BatchNorm2d(width)] if stage else []
            parts += [nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, stride=2, padding=1), nn.BatchNorm2d(width)]
            parts.append(nn.LeakyReLU(0.2))
            before = width
        self.model = nn.Sequential(*parts, nn.Conv2d(before, 1, 3, padding=1))

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Scores (b, 1, h/16, w/16) of pictures (b, 3, h, w), and the maps after each stage."""
        return judged_in_sequence(self.model, image)
