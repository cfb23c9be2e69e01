"""The quality mark of photographs: what a head on EfficientNet-Lite2 learned from distortions of photographs."""

from __future__ import annotations

from torch import Tensor, nn

from scenegen.base.refusal import Refusal
from scenegen.networks.frozen.quality import SMALLEST, Quality
from scenegen.scoring.judges.protocols import PHOTOGRAPHS, require_uint8


class QualityMark(nn.Module):
    """Freedom from noise, blur, JPEG, blocks, plaid and colour casts, in place of an aesthetic model.

    It says nothing of beauty, and a blank picture is no photograph to it. Pictures are read at their own size.

    Args:
        name: "landscapes" (shipped), or a file that benchmarks/judges/train_quality.py wrote.
        weights: of the frozen net: "published" or "random" (stamped as such).
        folder: where the files are looked for first.

    Attributes:
        name, stamp: for the score table and the protocol.
        stand_in: True; a total computed with it does not compare with contest numbers.
    """

    name = "quality"
    stand_in = True
    ranks = PHOTOGRAPHS

    def __init__(self, *, name: str, weights: str, folder: str | None) -> None:
        super().__init__()
        self.net = Quality(name, weights=weights, folder=folder)
        self.stamp = self.net.stamp

    def forward(self, image: Tensor) -> Tensor:
        """Mark of every picture.

        Args:
            image: (b, 3, h, w) uint8, sides of at least 32.

        Returns:
            (b,) float in [0, 10]: 8 is the mean of photographs.

        Raises:
            Refusal: not uint8, or too small.
        """
        require_uint8(image, what="a quality mark")
        if min(image.shape[-2:]) < SMALLEST:
            raise Refusal(
                f"aesthetic=quality needs pictures of at least {SMALLEST} pixels a side, got "
                f"{image.shape[-1]}x{image.shape[-2]}; choose aesthetic=standin for smaller ones"
            )
        return self.net(image.float().div(127.5).sub(1))
