"""SESAME's editor as a model: holes in photographs filled as label maps say."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Batch, Completion, Refusal, Shown, Synthesis
from scenegen.networks.generators.hole_filler import HoleFiller
from scenegen.networks.generators.sesame_editing import SesameEditor
from scenegen.networks.layers.holes import composite, masked
from scenegen.networks.layers.semantics import batch_semantics


class SesameEditing(HoleFiller):
    """`source` pictures whose `hole` is filled under `label`; deterministic.

    Args:
        num_classes: of the label maps.
        edges: of the data; not read, the release takes no instance edges here.
        height, width: of the pictures.
        ngf, hidden, downsamplings, residuals, modulated, skips, wide, norm, spectral, kernel: see `SesameEditor`.
        inside: labels are known in the hole alone (the published Cityscapes recipe).

    Source: Ntavelis et al., ECCV 2020 (SESAME).
    """

    reads: frozenset[str] = HoleFiller.reads | {"label"}
    offers: frozenset[str] = frozenset({"completion.raw"})

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        ngf: int,
        hidden: int,
        downsamplings: int,
        residuals: int,
        modulated: int,
        skips: bool,
        wide: bool,
        norm: str,
        spectral: bool,
        kernel: int,
        inside: bool,
    ) -> None:
        super().__init__()
        step = 2**downsamplings
        if height % step or width % step:
            raise Refusal(f"model.downsamplings={downsamplings} halves pictures so often, but {height}x{width} are no "
                          f"multiples of {step}; choose size.height= and size.width= that are")  # fmt: skip
        self.size_step = step
        self.num_classes, self.condition_channels, self.inside = num_classes, num_classes + 1, inside
        self.generator = SesameEditor(
            semantic_channels=num_classes + 1,
            ngf=ngf,
            hidden=hidden,
            downsamplings=downsamplings,
            residuals=residuals,
            modulated=modulated,
            skips=skips,
            wide=wide,
            norm=norm,
            spectral=spectral,
            kernel=kernel,
        )

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The composite, which losses and discriminator see too; `completion.raw` is the generated picture alone."""
        raw = self.generator(masked(batch), self.condition(batch))  # (b, 3, h, w)
        return Synthesis(image=composite(raw, batch), completion=Completion(raw))

    def condition(self, batch: Batch) -> Tensor:
        """(b, num_classes + 1, h, w) one-hot classes, then the hole."""
        return batch.once(("editing semantics", id(self)), lambda: self._planes(batch))

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """The composite and the real picture under the semantics."""
        return Shown(self.condition(batch), synthesis.image, batch.require("image"))

    def _planes(self, batch: Batch) -> Tensor:
        hole = batch.require("hole").to(batch.dtype)
        planes = batch_semantics(batch, num_classes=self.num_classes, dtype=batch.dtype)  # (b, num_classes, h, w)
        return torch.cat([planes * hole if self.inside else planes, hole], 1)
