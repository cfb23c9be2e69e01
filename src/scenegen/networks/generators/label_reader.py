"""Networks that read label maps off pictures, as models of the task segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, SceneModel, Synthesis


class LabelReader(SceneModel):
    """Base of the segmenters: the picture goes in, class scores come out.

    Args:
        net: pictures (b, 3, h, w) in [-1, 1] -> class scores (b, num_classes, h, w).
        num_classes: of the labels.

    Attributes:
        file: name of the file that `save` writes into a run's folder.
        used_by: the option that takes the file, with {path} in it.
    """

    file: ClassVar[str]
    used_by: str
    keeps_start: ClassVar[bool] = True
    reads = frozenset({"image", "label"})
    offers = frozenset({"logits"})

    def __init__(self, net: nn.Module, *, num_classes: int) -> None:
        super().__init__()
        self.net = net
        self.num_classes = num_classes

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The batch's pictures as they are, and the class scores (b, num_classes, h, w) that are read off them."""
        image = batch.require("image")
        return Synthesis(image=image, logits=self.net(image))

    def save(
        self, folder: Path, *, classes: tuple[str, ...], pictures: Tensor, facts: Mapping[str, str]
    ) -> tuple[Path, str]:
        """Write the net's file into a run's folder, whole or not at all, to be named by segmenter= or extractor=.

        Args:
            folder: of the run.
            classes: class names in id order.
            pictures: (n, 3, h, w) held-out pictures in [-1, 1], for the statistics that the file holds.
            facts: entries of its header: command, seed, steps, held-out figures.

        Returns:
            The file, and the stamp that a score will carry.
        """
        raise NotImplementedError(f"{type(self).__name__} has no save()")  # abstract; a stub need not have it


def seeded(make, seed: int) -> nn.Module:
    """A network with PyTorch's own initial weights from a seed; the global generator stays where it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
