"""CNCL's discriminator: patches of content, noise and the noisy slice side by side."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.discriminators.in_sequence import judged_in_sequence


class CnclDiscriminator(Discriminator):
    """4x4 convolutions with bias, instance norm on all but the first; keys are those of the authors' file.

    The biases start at zero here; the authors left them at torch's draw.

    Args:
        semantic_channels: 0; the model lays everything that is judged into the pictures.
        ndf: channels of the first layer; eight times as many in the last.

    Source: Geng et al., IEEE Journal of Biomedical and Health Informatics 2022 (CNCL), section III.C.
    """

    joint: ClassVar[bool] = False
    per_sample: bool = True
    normal_start: ClassVar[bool] = True

    def __init__(self, *, semantic_channels: int, ndf: int) -> None:
        super().__init__()
        if semantic_channels:
            raise Refusal("discriminator=cncl judges slices alone, but the model shows a condition; use "
                          "discriminator=patch")  # fmt: skip
        parts: list[nn.Module] = [nn.Conv2d(3, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for wide in (ndf, 2 * ndf, 4 * ndf):
            parts += [nn.Conv2d(wide, 2 * wide, 4, stride=2, padding=1), nn.InstanceNorm2d(2 * wide), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(
            *parts, nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(8 * ndf, 1, 4, padding=1, bias=False)
        )  # fmt: skip

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Scores (b, 1, h / 16, w / 16) of three planes (b, 3, h, w), and the maps after each activation."""
        if image.shape[1] != 3:
            raise Refusal(f"discriminator=cncl judges three planes side by side, got {image.shape[1]}; use it with "
                          "model=cncl")  # fmt: skip
        return judged_in_sequence(self.model, image)
