"""CycleGAN's two discriminators as one: each net is a scale of the judgement."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.discriminators.picture_patch import PicturePatchDiscriminator


class TwoWayDiscriminator(Discriminator):
    """Judges the first three channels as pictures of the target domain, the last three as pictures of the source's.

    Args:
        semantic_channels, ndf, layers, antialias: see `PicturePatchDiscriminator`.

    Source: Zhu et al., ICCV 2017 (CycleGAN), section 3.1; released as D_A (judges B) and D_B (judges A).
    """

    domains: ClassVar[int] = 2
    joint: ClassVar[bool] = False
    per_sample: bool = True
    normal_start: bool

    def __init__(self, *, semantic_channels: int, ndf: int, layers: int, antialias: bool) -> None:
        super().__init__()
        options = {"semantic_channels": semantic_channels, "ndf": ndf, "layers": layers, "antialias": antialias}
        self.of_target = PicturePatchDiscriminator(**options)
        self.of_source = PicturePatchDiscriminator(**options)
        self.normal_start = self.of_target.normal_start

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Scores of both nets as two scales.

        Args:
            condition: None.
            image: (b, 6, h, w), translations there beside translations back.
        """
        if image.shape[1] != 6:
            raise Refusal(f"discriminator=two_way judges pictures of two domains side by side (6 channels), got "
                          f"{image.shape[1]}; use it with model=cyclegan")  # fmt: skip
        target, source = self.of_target(None, image[:, :3]), self.of_source(None, image[:, 3:])
        return Judgement(logits=target.logits + source.logits, features=target.features + source.features)
