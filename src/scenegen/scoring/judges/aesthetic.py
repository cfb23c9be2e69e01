"""How pleasant a picture looks, 0..10: NIMA with its published weights, and a stand-in that needs none."""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scenegen.networks.frozen.weights as pinned
from scenegen.base.records import Refusal
from scenegen.networks.frozen.extractors import IMAGENET_MEAN, IMAGENET_STD, VGG16_CONVOLUTIONS, Normalise, vgg

NIMA_VGG16 = pinned.WeightsFile(
    "nima_vgg16_ava",
    "NIMA_VGG16_ava-dc4e8265.pth",
    "https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights/NIMA_VGG16_ava-dc4e8265.pth",
)
LUMA = (0.299, 0.587, 0.114)  # Rec. 601


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

    def __init__(self, *, weights: str = "published", folder: str | Path | None = None) -> None:
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
        _require_uint8(image)
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


class StandIn(nn.Module):
    """NOT an aesthetic model: a smooth mark from four picture statistics, for machines without weights.

    mark = 10 exp(-(c^2 + k^2 + s^2 + e^2) / 2) with
    c = ln((colourfulness + 4) / 44) / 1.5,  k = ln((contrast + 0.023) / 0.253) / 0.8,
    s = ln((sharpness + 0.003) / 0.036) / 0.8,  e = (exposure - 0.47) / 0.25.
    The centres (40, 0.23, 0.033, 0.47) are those of ordinary daylight photographs, so grey, flat, blurred, noisy,
    dark and burnt pictures all lose; the top mark says "statistics of a photograph", not "beautiful".

    Attributes:
        name, stamp: for the score table and the protocol.
        stand_in: True; a total computed with it does not compare with contest numbers.

    Source: the statistics are those of `colourfulness`, `contrast`, `sharpness`, `exposure` below; the mapping is ours.
    """

    name = "stand-in"
    stamp = "stand-in (four picture statistics, not an aesthetic model)"
    stand_in = True

    def forward(self, image: Tensor) -> Tensor:
        """Mark of every picture.

        Args:
            image: (b, 3, h, w) uint8.

        Returns:
            (b,) float in [0, 10].

        Raises:
            Refusal: not uint8.
        """
        _require_uint8(image)
        x = image.float()
        c = _ratio(colourfulness(x), 40.0) / 1.5
        k = _ratio(contrast(x), 0.23) / 0.8
        s = _ratio(sharpness(x), 0.033) / 0.8
        e = (exposure(x) - 0.47) / 0.25
        return 10 * torch.exp(-(c.square() + k.square() + s.square() + e.square()) / 2)


def colourfulness(image: Tensor) -> Tensor:
    """How colourful a picture looks: 0 grey, about 60 a vivid photograph, above 100 garish.

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float, at least 0.

    Source: Hasler & Suesstrunk, Measuring colourfulness in natural images (2003), section 7.
    """
    r, g, b = image.float().flatten(2).unbind(1)
    rg, yb = r - g, 0.5 * (r + g) - b
    spread = (rg.var(1, unbiased=False) + yb.var(1, unbiased=False)).sqrt()
    return spread + 0.3 * (rg.mean(1).square() + yb.mean(1).square()).sqrt()


def contrast(image: Tensor) -> Tensor:
    """Standard deviation of the luma (RMS contrast).

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float in [0, 0.5].

    Source: Peli, Contrast in complex images (1990), eq. 3.
    """
    return _luma(image).flatten(1).std(1, unbiased=False)


def sharpness(image: Tensor) -> Tensor:
    """Mean length of the luma's gradient per pixel, over 2 x 2 pixels: 0.03 in a sharp photograph.

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float, at least 0.
    """
    luma = F.avg_pool2d(_luma(image)[:, None], 2, stride=1)
    dy = luma[..., 1:, :-1] - luma[..., :-1, :-1]
    dx = luma[..., :-1, 1:] - luma[..., :-1, :-1]
    return (dx.square() + dy.square()).sqrt().mean((1, 2, 3))


def exposure(image: Tensor) -> Tensor:
    """Mean luma.

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float in [0, 1].
    """
    return _luma(image).mean((1, 2))


def _luma(image: Tensor) -> Tensor:
    weights = torch.tensor(LUMA, device=image.device).view(1, 3, 1, 1)
    return (image.float() * weights).sum(1) / 255  # (b, h, w)


def _ratio(x: Tensor, centre: float) -> Tensor:
    floor = 0.1 * centre  # keeps a statistic of 0 finite
    return torch.log((x + floor) / (centre + floor))


def _require_uint8(image: Tensor) -> None:
    if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] != 3:
        raise Refusal(f"an aesthetic mark needs (b, 3, h, w) uint8, got {tuple(image.shape)} {image.dtype}")
