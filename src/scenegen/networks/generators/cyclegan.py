"""CycleGAN: two generators that must undo each other, on pictures that come in no pairs."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from scenegen.base.records import Batch, Cycle, Refusal, SceneModel, Shown, Synthesis
from scenegen.networks.generators.resnet import ResnetGenerator, require_sides


class CycleGan(SceneModel):
    """`source` pictures to pictures like `image`, and back.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures.
        ngf: base width of both generators.
        blocks: residual blocks of each.
        antialias, dropout: see `ResnetGenerator`.
        identity: also translate each picture to its own domain, for loss.identity.
        both_ways: false has the generator there alone, for published files of one direction; it cannot be trained.

    Source: Zhu et al., ICCV 2017, section 3.
    """

    reads: frozenset[str] = frozenset({"source"})
    normal_start: ClassVar[bool] = True
    domains: ClassVar[int] = 2

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        ngf: int,
        blocks: int,
        antialias: bool,
        dropout: bool,
        identity: bool,
        both_ways: bool,
    ) -> None:
        super().__init__()
        require_sides(height, width)
        options = {"ngf": ngf, "blocks": blocks, "antialias": antialias, "dropout": dropout}
        self.there = ResnetGenerator(**options)
        self.back = ResnetGenerator(**options) if both_ways else None
        self.identity = identity
        parts = ["back", "there_and_back", "back_and_there", *(["same", "same_back"] if identity else [])]
        self.offers = frozenset(f"cycle.{part}" for part in parts) if both_ways else frozenset()

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Both translations and their returns; with `identity` each picture in its own domain too."""
        if self.back is None:
            raise Refusal("model.both_ways=false is a generator of one direction, which only translates; train with "
                          "model.both_ways=true")  # fmt: skip
        source, image = batch.require("source"), batch.require("image")
        fake, back = self.there(source), self.back(image)
        cycle = Cycle(
            back=back,
            there_and_back=self.back(fake),
            back_and_there=self.there(back),
            same=self.there(image) if self.identity else None,
            same_back=self.back(source) if self.identity else None,
        )
        return Synthesis(image=fake, cycle=cycle)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The translation there."""
        return Synthesis(image=self.there(batch.require("source")))

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """Both translations as 6 channels, there before back, for the two discriminators of discriminator=two_way."""
        assert synthesis.cycle is not None, "only a training pass is judged"
        fake = torch.cat([synthesis.image, synthesis.cycle.back], 1)  # (b, 6, h, w)
        return Shown(None, fake, torch.cat([batch.require("image"), batch.require("source")], 1))
