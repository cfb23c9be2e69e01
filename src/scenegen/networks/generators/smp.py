"""Segmenters of segmentation_models.pytorch as models: trained by `train task=segmentation`, read by segmenter=smp."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from scenegen.networks.frozen.smp import Card, SmpNet, write
from scenegen.networks.generators.label_reader import LabelReader, seeded


class SmpModel(LabelReader):
    """A net of segmentation_models.pytorch in training.

    Args:
        num_classes: of the labels.
        edges: the data has instance maps; they are not read.
        arch, encoder: names of that library, e.g. "unet" and "resnet34".
        encoder_weights: "imagenet" starts from the encoder's published weights (a download), None from nothing.
        seed: of the initial weights.
    """

    file: ClassVar[str] = "smp.safetensors"
    used_by: str = "segmenter=smp segmenter.name={path}"

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        arch: str,
        encoder: str,
        encoder_weights: Literal["imagenet"] | None,
        seed: int,
    ) -> None:
        options = {"arch": arch, "encoder": encoder, "encoder_weights": encoder_weights}
        super().__init__(seeded(lambda: SmpNet(classes=num_classes, **options), seed), num_classes=num_classes)
        self.arch, self.encoder, self.encoder_weights = arch, encoder, encoder_weights

    def save(
        self, folder: Path, *, classes: tuple[str, ...], pictures: Tensor, facts: Mapping[str, str]
    ) -> tuple[Path, str]:
        """Write the weights and, beside them, the card as JSON; see `LabelReader.save`."""
        assert isinstance(self.net, SmpNet)
        height, width = pictures.shape[-2:]
        library = importlib.metadata.version("segmentation-models-pytorch")
        facts = {**facts, "encoder_weights": str(self.encoder_weights), "segmentation_models_pytorch": library}
        net = self.net.to("cpu", memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        card = write(net, folder / self.file, Card(self.arch, self.encoder, classes, height, width, facts))
        return folder / self.file, f"smp-{self.arch}-{self.encoder}:{card.sha256[:12]}"
