"""Layers of a frozen backbone, for the discriminators that read pictures with trained eyes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.frozen.extractors import Extractor

PROBE = 64
"""Side of the blank picture off which the layers' channels and strides are read."""

STORED = "stored"


class FrozenStages(nn.Module):
    """Layers of a backbone that never learns, each divided by its deviation over photographs.

    Nothing here is trained or in a state dict; gradients pass through to the picture.

    Args:
        backbone: a frozen feature network of the house.
        layers: of the backbone, fine to coarse, each coarser than the one before.
        deviations: one number > 0 per layer; "stored" takes those that the backbone brings, None divides by nothing.
            The raw linear maps of EfficientNet-Lite have deviations of 2.5 to 9.5, where a discriminator expects 1.

    Attributes:
        channels, strides: of the layers.

    Raises:
        Refusal: layers that the backbone lacks or that do not get coarser, deviations that do not fit them.
    """

    def __init__(self, backbone: Extractor, *, layers: Sequence[str], deviations: str | Sequence[float] | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.layers = tuple(layers)
        self.channels, self.strides = _measured(backbone, self.layers)
        self.deviations = _checked(deviations, backbone, self.layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(b, 3, h, w) in [-1, 1] to one map (b, c, ceil(h / stride), ceil(w / stride)) per layer."""
        found = self.backbone(image, self.layers)
        maps = [found[name] for name in self.layers]
        if self.deviations is None:
            return maps
        return [x / deviation for x, deviation in zip(maps, self.deviations, strict=True)]

    def refuse_small(self, height: int, width: int) -> None:
        """Refuse pictures smaller than one position of the coarsest layer."""
        if min(height, width) < self.strides[-1]:
            raise Refusal(
                f"a {height}x{width} picture is smaller than one position of layer {self.layers[-1]}, which needs "
                f"{self.strides[-1]} pixels a side; use larger pictures, or leave that layer out of "
                "discriminator.layers"
            )


@torch.no_grad()
def _measured(backbone: Extractor, names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Channels and strides of a backbone's layers."""
    if not names:
        raise Refusal(f"discriminator.layers is empty; choose some of {', '.join(backbone.layers)}")
    found = backbone(torch.zeros(1, 3, PROBE, PROBE), names)
    strides = [PROBE // found[name].shape[-1] for name in names]
    if any(coarse <= fine for fine, coarse in pairwise(strides)):
        listed = ", ".join(f"{name} {stride}" for name, stride in zip(names, strides, strict=True))
        raise Refusal(
            f"discriminator.layers must get coarser, but their strides are {listed}; reorder or leave some out"
        )
    return [found[name].shape[1] for name in names], strides


def _checked(
    deviations: str | Sequence[float] | None, backbone: Extractor, names: Sequence[str]
) -> tuple[float, ...] | None:
    if deviations is None:
        return None
    if isinstance(deviations, str):
        if deviations != STORED:
            raise Refusal(
                f"discriminator.deviations={deviations} is none of {STORED}, null and a list of one number per layer"
            )
        if missing := [name for name in names if backbone.own(name) not in backbone.deviations]:
            raise Refusal(
                f"no deviation is stored for layer {', '.join(missing)} of {backbone.stamp}; use "
                "discriminator.deviations=null for undivided layers, or a list of one number per layer"
            )
        return tuple(backbone.deviations[backbone.own(name)] for name in names)
    found = tuple(float(deviation) for deviation in deviations)
    if len(found) != len(names) or not all(0 < deviation < math.inf for deviation in found):
        raise Refusal(
            f"discriminator.deviations={list(deviations)} must be one number above 0 for each of the {len(names)} "
            f"layers {', '.join(names)}; or use {STORED}, or null"
        )
    return found
