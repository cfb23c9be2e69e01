"""Families of frozen networks: a judge of the family that a loss read flatters what was trained against it."""

from __future__ import annotations

import re

FAMILIES = {
    "scenenet": "scenenet",
    "efficientnet": "efficientnet",
    "lite-reader": "efficientnet",
    "vgg": "vgg",
    "alexnet": "alexnet",
    "squeezenet": "squeezenet",
    "inception": "inception",
    "resnet": "resnet",
    "mit": "segformer",
    "segformer": "segformer",
    "clip": "clip",
}
"""Beginning of a word of a stamp -> family."""

_WORD = re.compile("|".join(rf"(?<![a-z]){word}" for word in FAMILIES))


def family_of(stamp: str) -> str | None:
    """The family of networks that a judge's or an extractor's stamp names.

    Args:
        stamp: e.g. "efficientnet-lite0-57934424", "scenenet-scorer:1f2e3d4c5b6a", "smp-unet-resnet34:1f2e3d4c5b6a".

    Returns:
        "efficientnet", "scenenet", "vgg", ...; None for a stamp of no network, and for one that is not known here. The
        reader on EfficientNet-Lite2 is an efficientnet, one of segmentation_models.pytorch is of its encoder's.
    """
    words = _WORD.findall(stamp.lower().removeprefix("smp-segformer-"))
    return FAMILIES[words[0]] if words else None
