"""SceneNet as a model: trained by `train task=segmentation`, to be read by losses (trunk) or by scores (scorer)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from scenegen.networks.frozen import netfile
from scenegen.networks.frozen.scenenet import FEATURE_LAYERS, SceneNet
from scenegen.networks.generators.label_reader import LabelReader, seeded

TOTAL_VARIANCE = 50.0
"""Total variance of each feature layer over the held-out pictures, of the order of Inception's features."""


class SceneNetModel(LabelReader):
    """A SceneNet in training, norms not yet folded.

    Args:
        num_classes: of the labels.
        edges: the data has instance maps; they are not read.
        role: "trunk" (read by losses) or "scorer" (read by scores); never the same net for both.
        seed: of the initial weights.
    """

    file: ClassVar[str] = "scenenet.safetensors"

    def __init__(self, *, num_classes: int, edges: bool, role: Literal["trunk", "scorer"], seed: int) -> None:
        super().__init__(seeded(lambda: SceneNet(classes=num_classes), seed), num_classes=num_classes)
        self.role = role
        self.used_by = {
            "trunk": "extractor=scenenet extractor.nets.scenenet.name={path}",
            "scorer": "segmenter=scenenet segmenter.name={path}",
        }[role]

    def save(
        self, folder: Path, *, classes: tuple[str, ...], pictures: Tensor, facts: Mapping[str, str]
    ) -> tuple[Path, str]:
        """Write the folded net in half precision; see `LabelReader.save`."""
        assert isinstance(self.net, SceneNet)
        net = self.net.folded().to("cpu")
        net.load_state_dict({k: v.half().float() for k, v in net.state_dict().items()})  # as the file will have it
        facts = {**facts, "feature_scale": json.dumps(feature_scale(net, pictures))}
        path = folder / self.file
        netfile.write(net.state_dict(), path, role=self.role, classes=classes, widths=net.widths, facts=facts)
        return path, f"scenenet-{self.role}:{netfile.read(path).digest[:12]}"


@torch.no_grad()
def feature_scale(net: SceneNet, pictures: Tensor, *, batch: int = 16) -> list[float]:
    """Per feature layer the factor that gives its pooled features a total variance of 50 over the pictures."""
    rows = []
    for image in pictures.split(batch):
        stages = net.stages(image)
        rows.append([stages[i].mean(dim=(2, 3)) for i in FEATURE_LAYERS])
    totals = [torch.cat(layer).var(dim=0).sum() for layer in zip(*rows, strict=True)]
    return [round((TOTAL_VARIANCE / total.clamp(min=1e-8)).sqrt().item(), 4) for total in totals]
