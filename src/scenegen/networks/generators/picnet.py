"""PICNet: several completions of a picture with a hole, by a conditional VAE whose prior reads the visible half."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from scenegen.base.records import Batch, Completion, Refusal, Shown, Synthesis
from scenegen.networks.generators.hole_filler import HoleFiller
from scenegen.networks.generators.picnet_parts import (
    ENCODED,
    LAYERS,
    PicnetEncoder,
    PicnetGenerator,
    Widths,
    resized,
)
from scenegen.networks.layers.holes import composite, masked, visible
from scenegen.networks.layers.picnet import Convolutions

STEP = 2**LAYERS
"""Divisor of the sides."""


class Picnet(HoleFiller):
    """`source` pictures whose `hole` is filled, from the visible half (generated) or from the truth (reconstructed).

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures, multiples of 32, 64 or more.
        sizes: widths; a mapping of `Widths`' fields.
        norm, attention, simam, attentive: see `PicnetGenerator`.
        convolution: see `Convolutions`, of the encoder; "gated" and "coordinate" are the notes'.
        blocks: see `PicnetEncoder`.
        eval_steps: see `SteppingSpectral`.

    Source: Zheng et al., CVPR 2019 (PICNet).
    """

    offers: frozenset[str] = frozenset({"completion.generated", "completion.reconstructed", "completion.prior",
                                        "completion.posterior", "again"})  # fmt: skip
    domains: ClassVar[int] = 2
    judged_first: ClassVar[bool] = True
    keeps_start: ClassVar[bool] = True

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        sizes: dict[str, int],
        norm: str,
        attention: bool,
        simam: float | None,
        attentive: int | None,
        convolution: str,
        blocks: int,
        eval_steps: bool,
    ) -> None:
        super().__init__()
        require_sides(height, width)
        widths = Widths(**sizes)
        self.encoder = PicnetEncoder(
            sizes=widths, blocks=blocks, convolutions=Convolutions(kind=convolution, eval_steps=eval_steps)
        )
        plain = Convolutions(kind="plain", eval_steps=eval_steps)
        self.generator = PicnetGenerator(
            sizes=widths, norm=norm, attention=attention, simam=simam, attentive=attentive, convolutions=plain
        )  # fmt: skip
        # one map for the generating path, one for the reconstructing path
        self.noise_shape = (2, widths.z, height // STEP, width // STEP)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Both paths at once; the hole's content enters the encoder beside the visible half."""
        image, hole = batch.require("image"), batch.require("hole")
        both = torch.cat([masked(batch), image * hole])  # (2b, 3, h, w)
        of_visible, of_hole = zip(*(m.chunk(2) for m in self.encoder(both)), strict=True)
        prior, posterior = self.encoder.of_visible(of_visible[-1]), self.encoder.of_hole(of_hole[-1])
        drawn = self._noise(noise, batch)
        z = torch.cat([posterior.at(drawn[:, 1]), prior.at(drawn[:, 0])])  # (2b, z, h/32, w/32)
        deepest, encoded = (m.repeat(2, 1, 1, 1) for m in (of_visible[-1], of_visible[ENCODED]))
        known = resized(visible(batch), encoded.shape[-2:]).repeat(2, 1, 1, 1)  # (2b, 1, h/8, w/8)
        reconstructed, generated = zip(
            *(p.chunk(2) for p in self.generator(z, deepest, encoded, known)), strict=True
        )  # fmt: skip
        completion = Completion(generated[-1], generated, reconstructed, prior, posterior)
        return Synthesis(image=generated[-1], completion=completion)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The generating path; `image` keeps the given pixels outside the hole, `completion.raw` none."""
        maps = self.encoder(masked(batch))
        prior = self.encoder.of_visible(maps[-1])
        z = prior.at(self._noise(noise, batch)[:, 0])  # (b, z, h/32, w/32)
        known = resized(visible(batch), maps[ENCODED].shape[-2:])  # (b, 1, h/8, w/8)
        pictures = self.generator(z, maps[-1], maps[ENCODED], known)
        completion = Completion(pictures[-1], tuple(pictures), prior=prior)
        return Synthesis(image=composite(pictures[-1], batch), completion=completion)

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """Generated beside reconstructed pictures as 6 channels, each for its own discriminator; no composites."""
        completion, image = synthesis.completion, batch.require("image")
        assert completion is not None, "only a training pass is judged"
        fake = torch.cat([completion.raw, completion.reconstructed[-1]], 1)  # (b, 6, h, w)
        return Shown(None, fake, torch.cat([image, image], 1))

    def judged_alone(self, batch: Batch, image: Tensor) -> tuple[Tensor | None, Tensor]:
        """The completion for both discriminators; the first is the one of generated pictures."""
        return None, torch.cat([image, image], 1)  # (b, 6, h, w)

    def _noise(self, noise: Tensor | None, batch: Batch) -> Tensor:
        if noise is None:
            shape = ", ".join(map(str, (len(batch), *(self.noise_shape or ()))))
            raise Refusal(f"PICNet draws its pictures: it needs noise ({shape})")
        return noise


def require_sides(height: int, width: int) -> None:
    """Refuse sizes that the halvings do not divide."""
    if height % STEP or width % STEP or min(height, width) < 2 * STEP:
        raise Refusal(f"pictures of {height}x{width} do not go through PICNet's {LAYERS} halvings; give sides of "
                      f"{2 * STEP} or more, multiples of {STEP}, such as size=tiny (64x64)")  # fmt: skip
