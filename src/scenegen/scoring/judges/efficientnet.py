"""EfficientNet-Lite2 as a judge of photographs: it describes them for the distances, and no loss ever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from scenegen.base.refusal import Refusal
from scenegen.networks.frozen import efficientnet
from scenegen.scoring.judges.protocols import PHOTOGRAPHS, require_uint8

MAPS = ("bottleneck_s8", "bottleneck_s16", "bottleneck_s32")


class EfficientNetFeatures(nn.Module):
    """Spatial means of Lite2's bottlenecks at strides 8, 16 and 32: a Frechet distance of its own.

    Shown as `FID(efficientnet-lite2)`, never as plain FID. Noise, blur, JPEG and displaced parts raise it; a slight
    colour cast hardly does.

    Args:
        scale: factors of the three stages, which bring distances into the range that a contest's total reads, and are
            shown as `FID(efficientnet-lite2, scaled)`; None leaves the features as they are.
        weights: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where the weight file is looked for first; None is the installed package alone.
    """

    stand_in = True
    ranks = PHOTOGRAPHS
    resize = "none"

    def __init__(self, *, scale: Sequence[float] | None, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        if scale is not None and not (len(scale) == len(MAPS) and min(scale) > 0):
            raise Refusal(f"fid.scale={list(scale)} must be {len(MAPS)} numbers above 0, or null")
        net, taps, self.stamp = efficientnet.load("lite2", weights=weights, folder=folder)
        self.name = "efficientnet-lite2" + ("" if scale is None else "-scaled")
        self.title = "FID(efficientnet-lite2" + (")" if scale is None else ", scaled)")
        self.scale = scale or (1.0,) * len(MAPS)
        if scale is not None:
            self.stamp += f", stages times {', '.join(f'{factor:g}' for factor in scale)}"
        self.net = net[: taps[MAPS[-1]] + 1].requires_grad_(False)
        self.treatment = efficientnet.ToTensorFlow()
        self._read = tuple(taps[name] for name in MAPS)
        self.net.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Features of a batch.

        Args:
            image: (b, 3, h, w) uint8.

        Returns:
            (b, 520) float: 48 + 120 + 352 means.

        Raises:
            Refusal: not uint8.
        """
        require_uint8(image, what=self.title)
        x = self.treatment(image.float().div(127.5).sub(1)).contiguous(memory_format=torch.channels_last)
        means = []
        for index, layer in enumerate(self.net):
            x = layer(x)
            if index in self._read:
                means.append(x.mean((2, 3)))
        return torch.cat([mean * factor for mean, factor in zip(means, self.scale, strict=True)], 1)  # (b, 520)
