"""PD-GAN: several completions of a hole over a coarse one, which binds them less, the deeper in the hole."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.networks.generators.hole_filler import OverCoarse, Painted
from scenegen.networks.generators.partial_unet import require_sides
from scenegen.networks.layers.spdnorm import PdganGenerator


class Pdgan(OverCoarse):
    """`source` pictures whose `hole` is filled, two completions at once in training.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures, multiples of 64.
        ngf: base width.
        z: length of the latent; 256 as published.
        spectral, block: see `PdganGenerator`.
        coarse: see `OverCoarse`.

    Source: Liu et al., CVPR 2021 (PD-GAN).
    """

    offers: frozenset[str] = frozenset({"completion.raw", "completion.other", "coarse", "again", "posterior.z"})
    condition_channels: int = 3
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
        require_sides(height, width, model="pdgan")
        if ngf < 2 or z < 1:  # the last block compares the ngf channels of each pixel
            raise Refusal(f"model.ngf={ngf} must be 2 or more and model.z={z} 1 or more; 64 and 256 are as published")
        super().__init__(coarse=coarse, size=(height, width), drawn=(z,))
        self.generator = PdganGenerator(ngf=ngf, z=z, height=height, width=width, spectral=spectral, block=block)

    def painted(self, z: Tensor, coarse: Tensor, known: Tensor) -> Painted:
        return (self.generator(z, coarse, known),), ()

    def condition(self, batch: Batch) -> Tensor:
        """(b, 3, h, w) 1 in the hole, three times, as the released discriminator takes it."""
        return batch.require("hole").to(batch.dtype).expand(-1, 3, -1, -1)
