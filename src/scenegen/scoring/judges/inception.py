"""The Inception features of the published FID: pytorch-fid's network and weights, under two protocols of resize."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scenegen.networks.frozen.weights as pinned
from scenegen.base.refusal import Refusal
from scenegen.networks.frozen.inception import INCEPTION, assembled, fold, randomise
from scenegen.networks.frozen.inception_blocks import quicken
from scenegen.scoring.judges.protocols import BOTH, require_uint8

MIXED = 7
"""Layers before the first mixed block, whose maps are large."""
FEW = 4
"""Pictures that go through them at a time on a CPU, so that their memory is used again."""


class InceptionFeatures(nn.Module):
    """Pool3 features (2048) of pytorch-fid's InceptionV3, fed uint8 pictures.

    Args:
        weights: "published" or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.

    Attributes:
        name, title, stamp: for the score table and the protocol.
        resize: the way of bringing pictures to 299 x 299.
        stand_in: False, the network of the published FID.

    Source: Heusel et al. (2017); Seitzer, pytorch-fid 0.3.0.
    """

    name = "inception"
    title = "FID"
    resize = "bilinear to 299x299 without antialias (pytorch-fid)"
    stand_in = False
    ranks = BOTH

    def __init__(self, *, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        if weights not in ("published", "random"):
            raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
        self.net = assembled()
        if weights == "published":
            state = torch.load(_located(folder), map_location="cpu", weights_only=True)
            own = self.net.state_dict()  # the file also holds the classifier, which FID does not use
            self.net.load_state_dict({key: value for key, value in state.items() if key in own})
            self.stamp = f"{INCEPTION.network}-{INCEPTION.sha256_prefix}"
        else:
            randomise(self.net)
            self.stamp = f"{INCEPTION.network} {pinned.RANDOM_STAMP}"
        self.net.requires_grad_(False).eval()
        fold(self.net)
        quicken(self.net)
        # Channels last: 1.9 times faster on a CPU, the same FID to 5e-7.
        self.net.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Features of a batch.

        Args:
            image: (b, 3, h, w) uint8.

        Returns:
            (b, 2048) float.

        Raises:
            Refusal: not uint8.
        """
        require_uint8(image, what="FID")
        image = image.contiguous(memory_format=torch.channels_last)
        few = image.split(FEW if image.device.type == "cpu" else len(image))
        maps = [self.net[:MIXED](self.prepare(part.float())) for part in few]
        return self.net[MIXED:](torch.cat(maps)).flatten(1)

    def prepare(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 255] -> (b, 3, 299, 299) as the network takes it."""
        x = F.interpolate(image / 255, size=(299, 299), mode="bilinear", align_corners=False)
        return 2 * x - 1


class CleanInceptionFeatures(InceptionFeatures):
    """The same network under clean-fid's protocol: a bicubic resize that filters, and its input scale.

    clean-fid resizes with PIL on floats; torch's antialiased bicubic equals that to 0.005 grey levels.

    Source: Parmar, Zhang & Zhu, On aliased resizing and surprising subtleties in GAN evaluation (2022);
        clean-fid 0.1.35.
    """

    name = "inception-clean"
    title = "FID(clean)"
    resize = "bicubic to 299x299 with antialias, clipped to 0..255 (clean-fid)"

    def prepare(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 255] -> (b, 3, 299, 299) as the network takes it."""
        x = F.interpolate(image, size=(299, 299), mode="bicubic", align_corners=False, antialias=True)
        return (x.clamp(0, 255) - 128) / 128


def _located(folder: str | Path | None) -> Path:
    try:
        return pinned.locate(INCEPTION, folder)
    except Refusal as error:
        raise Refusal(
            str(error).replace("extractor=scenenet uses this project's own network", "fid=scenenet uses its features")
        ) from error
