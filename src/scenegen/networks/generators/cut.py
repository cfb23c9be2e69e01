"""CUT and FastCUT: one generator whose own features must stay alike at each place of source and translation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from scenegen.base.devices import sent
from scenegen.base.records import Batch, Contrast, Refusal, Rows, SceneModel, Shown, Synthesis
from scenegen.networks.generators.resnet import ResnetGenerator, require_sides


class Heads(nn.Module):
    """Linear, ReLU, Linear per layer of features; rows of unit length come out.

    Args:
        channels: of each layer.
        width: of the rows.

    Source: Park et al., ECCV 2020 (CUT), section 3 (the network H_l); released as F, keys mlp_<layer>.{0,2}.
    """

    def __init__(self, channels: Sequence[int], *, width: int) -> None:
        super().__init__()
        for number, c in enumerate(channels):
            self.add_module(f"mlp_{number}", nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width)))

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Rows at the places of each layer, the same for every picture.

        Args:
            features: per layer (b, c, h, w).
            places: per layer (p,) int64 in 0..hw-1.

        Returns:
            Per layer (b, p, width).
        """
        heads = self.children()
        rows = [f.flatten(2)[..., p].transpose(1, 2) for f, p in zip(features, places, strict=True)]  # (b, p, c)
        return [_unit(head(row)) for head, row in zip(heads, rows, strict=True)]


class Cut(SceneModel):
    """`source` pictures to pictures like `image`, in one direction.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures.
        ngf: base width of the generator.
        blocks: its residual blocks.
        antialias, dropout: see `ResnetGenerator`.
        identity: also translate real pictures to their own domain and compare the features of those.
        flip: mirror the pictures in half of the steps and compare with features of the unmirrored source (FastCUT).
        layers: numbers of the generator's layers whose features are compared, rising; 0 is the picture itself.
        patches: places that are drawn per layer.
        heads: width of the rows that are compared.

    Source: Park et al., ECCV 2020, sections 3 and 4.
    """

    reads: frozenset[str] = frozenset({"source"})
    judged_first: ClassVar[bool] = True

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
        flip: bool,
        layers: Sequence[int],
        patches: int,
        heads: int,
    ) -> None:
        super().__init__()
        require_sides(height, width)
        if not layers or list(layers) != sorted(set(layers)):
            raise Refusal(
                f"model.layers={list(layers)} must name layers in rising order; [0,4,8,12,16] is as published"
            )
        if patches < 2 or heads < 1:
            raise Refusal(f"model.patches={patches} must be 2 or more and model.heads={heads} 1 or more; 256 is usual")
        self.generator = ResnetGenerator(ngf=ngf, blocks=blocks, antialias=antialias, dropout=dropout)
        self.heads = Heads([self.generator.channels(layer) for layer in layers], width=heads)
        self.identity, self.flip, self.layers, self.patches = identity, flip, list(layers), patches
        self.offers = frozenset({"contrast", *(["contrast.same"] if identity else [])})

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The translation, in the source's own direction, and the rows of its features beside the source's."""
        source, image = batch.require("source"), batch.require("image")
        mirror = self.mirrored()
        given = torch.cat([source, image]) if self.identity else source
        made = self.generator(given.flip(3) if mirror else given)
        fake, *same = made.split(len(source))
        there = self._rows(fake, source, mirror)
        contrast = Contrast(there, self._rows(same[0], image, mirror) if same else None, mirrored=mirror)
        return Synthesis(image=fake.flip(3) if mirror else fake, contrast=contrast)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The translation."""
        return Synthesis(image=self.generator(batch.require("source")))

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """The translation as it was made, mirrored in steps that mirror, beside the real pictures."""
        mirrored = synthesis.contrast is not None and synthesis.contrast.mirrored
        fake = synthesis.image.flip(3) if mirrored else synthesis.image
        return Shown(None, fake, batch.require("image"))

    def mirrored(self) -> bool:
        """The step's draw, True where this step mirrors the pictures."""
        return self.flip and bool(torch.rand(()) < 0.5)

    def places(self, counts: Sequence[int]) -> list[Tensor]:
        """The step's draw per layer: (min(patches, count),) places of `count`."""
        return [torch.randperm(count)[: self.patches] for count in counts]

    def _rows(self, made: Tensor, given: Tensor, mirror: bool) -> Rows:
        queries, keys = (self.generator.features(picture, self.layers) for picture in (made, given))
        if mirror:
            queries = [feature.flip(3) for feature in queries]
        places = [sent(p, made.device) for p in self.places([k.shape[2] * k.shape[3] for k in keys])]
        return tuple(zip(self.heads(queries, places), self.heads(keys, places), strict=True))


def _unit(x: Tensor) -> Tensor:
    """Rows over their length + 1e-7, as released."""
    return x / (x.norm(dim=-1, keepdim=True) + 1e-7)
