"""Aesthetic marks of pictures, 0..10: NIMA with its published weights."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn

import scenegen.networks.frozen.weights as pinned
from scenegen.base.refusal import Refusal
from scenegen.networks.frozen.extractors import IMAGENET_MEAN, IMAGENET_STD, Normalise
from scenegen.networks.frozen.vgg import VGG16_CONVOLUTIONS, vgg
from scenegen.scoring.judges.protocols import BOTH, require_uint8

NIMA_VGG16 = pinned.WeightsFile(
    "nima_vgg16_ava",
    "NIMA_VGG16_ava-dc4e8265.pth",
    "https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights/NIMA_VGG16_ava-dc4e8265.pth",
)


class Nima(nn.Module):
    """Mean opinion of the AVA photographers: VGG16, global average, a distribution over the marks 1..10.

    Pictures go in at their own size, as pyiqa does, whose weights these are.

    Args:
        weights: "published" or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.

    Attributes:
        name, stamp: for the score table and the protocol.
        stand_in: False, a published aesthetic model.

    Source: Talebi & Milanfar, NIMA: Neural Image Assessment (2018), section III.
    """

    name = "nima"
    stand_in = False
    ranks = BOTH

    def __init__(self, *, weights: str, folder: str | Path | None) -> None:
        super().__init__()
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.features, _ = vgg(VGG16_CONVOLUTIONS, pool=lambda channels: nn.MaxPool2d(2))
        self.features.append(nn.MaxPool2d(2))  # the fifth pool, whose result NIMA averages
        self.head = nn.Linear(512, 10)
        self.register_buffer("marks", torch.arange(1.0, 11.0))
        if weights == "random":
            pinned.randomise(self)
            self.stamp = f"{NIMA_VGG16.network} {pinned.RANDOM_STAMP}"
        elif weights == "published":
            self._read(self._locate(folder))
            self.stamp = f"{NIMA_VGG16.network}-{NIMA_VGG16.sha256_prefix}"
        else:
            raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> Tensor:
        """Mean mark of every picture.

        Args:
            image: (b, 3, h, w) uint8, sides of at least 32.

        Returns:
            (b,) float in [1, 10].

        Raises:
            Refusal: not uint8, or too small for five poolings.
        """
        require_uint8(image, what="an aesthetic mark")
        if min(image.shape[-2:]) < 32:
            raise Refusal(f"NIMA needs pictures of at least 32 pixels a side, got {tuple(image.shape[-2:])}")
        x = self.normalise(image.float() / 127.5 - 1)
        pooled = self.features(x).mean((2, 3))  # (b, 512)
        return self.head(pooled).softmax(1) @ self.marks

    def _locate(self, folder: str | Path | None) -> Path:
        try:
            return pinned.locate(NIMA_VGG16, folder)
        except Refusal as error:
            raise Refusal(
                str(error).replace("extractor=scenenet uses this project's own network", "aesthetic=standin needs none")
            ) from error

    def _read(self, path: Path) -> None:
        """Take pyiqa's names: base_model.features_N.* is torchvision's features.N.*, classifier.2.* the head."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("params", state)
        renamed = {
            re.sub(r"^classifier\.2\.", "head.", re.sub(r"^base_model\.features_(\d+)\.", r"features.\1.", key)): value
            for key, value in state.items()
        }
        own = {key for key in self.state_dict() if key.startswith(("features.", "head."))}
        if missing := sorted(own - renamed.keys()):
            raise Refusal(f"{path} is no NIMA VGG16: it lacks {', '.join(missing[:4])} ({len(missing)} of {len(own)})")
        self.load_state_dict({key: renamed[key] for key in own}, strict=False)
