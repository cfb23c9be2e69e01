"""PD-GAN: several completions of a hole over a coarse one, which binds them less, the deeper in the hole."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from scenegen.base.records import Batch, Completion, Posterior, Refusal, Shown, Synthesis
from scenegen.networks.generators.hole_filler import HoleFiller
from scenegen.networks.generators.partial_unet import require_sides
from scenegen.networks.layers.holes import composite, spread, visible
from scenegen.networks.layers.spdnorm import PdganGenerator


class Pdgan(HoleFiller):
    """`source` pictures whose `hole` is filled, two completions at once in training.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures, multiples of 64.
        ngf: base width.
        z: length of the latent; 256 as published.
        spectral, block: see `PdganGenerator`.
        coarse: name of the run whose completions are painted over (model=pconv, picnet), or None for the hole's
            surroundings, spread into it.

    Attributes:
        fill: batch -> (b, 3, h, w) the coarse completion; whoever opens this model hands it over.
        size: (height, width).

    Source: Liu et al., CVPR 2021 (PD-GAN).
    """

    offers: frozenset[str] = frozenset({"completion.raw", "completion.other", "coarse", "again", "posterior.z"})
    condition_channels: int = 3
    judged_first: ClassVar[bool] = True
    normal_start: ClassVar[bool] = True

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        ngf: int,
        z: int,
        spectral: bool,
        block: str,
        coarse: str | None,
    ) -> None:
        super().__init__()
        require_sides(height, width, model="pdgan")
        if ngf < 2 or z < 1:  # the last block compares the ngf channels of each pixel
            raise Refusal(f"model.ngf={ngf} must be 2 or more and model.z={z} 1 or more; 64 and 256 are as published")
        self.generator = PdganGenerator(ngf=ngf, z=z, height=height, width=width, spectral=spectral, block=block)
        self.coarse, self.size = coarse, (height, width)
        self.fill: Callable[[Batch], Tensor] | None = spread if coarse is None else None
        self.noise_shape = (2, z)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Two completions of each picture, from both latents of the noise, painted as one batch."""
        noise = self._noise(noise, len(batch))
        coarse, known = self.completed(batch), visible(batch)
        both = self.generator(
            torch.cat([noise[:, 0], noise[:, 1]]), coarse.repeat(2, 1, 1, 1), known.repeat(2, 1, 1, 1)
        )  # (2b, 3, h, w)
        first, second = both.chunk(2)
        completion = Completion(first, (first,), other=second)
        return Synthesis(image=first, posterior=Posterior(noise[:, 0]), completion=completion, coarse=coarse)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The first latent's completion; `image` keeps the given pixels outside the hole, `completion.raw` none."""
        z = self._noise(noise, len(batch))[:, 0]
        coarse = self.completed(batch)
        raw = self.generator(z, coarse, visible(batch))  # (b, 3, h, w)
        return Synthesis(
            image=composite(raw, batch), posterior=Posterior(z), completion=Completion(raw, (raw,)), coarse=coarse
        )

    def completed(self, batch: Batch) -> Tensor:
        """(b, 3, h, w) the coarse completion, without a graph, computed once per batch."""
        fill = self.fill
        if fill is None:
            raise Refusal(f"model.coarse={self.coarse} was not opened; use scenegen.train or scenegen.sample")
        return batch.once(("coarse", id(self)), lambda: fill(batch).detach())

    def condition(self, batch: Batch) -> Tensor:
        """(b, 3, h, w) 1 in the hole, three times, as the released discriminator takes it."""
        return batch.require("hole").to(batch.dtype).expand(-1, 3, -1, -1)

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """Both completions, raw, as one batch, beside the real pictures as often."""
        completion, image = synthesis.completion, batch.require("image")
        assert completion is not None
        assert completion.other is not None, "only a training pass is judged"
        fake = torch.cat([completion.raw, completion.other])  # (2b, 3, h, w)
        return Shown(self.condition(batch).repeat(2, 1, 1, 1), fake, image.repeat(2, 1, 1, 1))

    def _noise(self, noise: Tensor | None, count: int) -> Tensor:
        if noise is None:
            raise Refusal(f"PD-GAN draws its pictures: it needs noise ({count}, {self.noise_shape})")
        return noise
