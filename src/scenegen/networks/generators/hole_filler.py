"""Base of models that fill holes in pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from scenegen.base.records import Batch, Completion, Posterior, Refusal, SceneModel, Shown, Synthesis
from scenegen.networks.layers.holes import composite, spread, visible

Painted = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
"""Pictures, coarse to fine, and the generator's maps at their sizes."""


class HoleFiller(SceneModel):
    """Reads a picture and where it is missing; makes another completion of every noise."""

    reads: frozenset[str] = frozenset({"source", "hole"})

    def judged_alone(self, batch: Batch, image: Tensor) -> tuple[Tensor | None, Tensor]:
        """A completion as the model's discriminator sees it beside nothing else.

        Args:
            batch: with the hole.
            image: (b, 3, h, w) the completion.

        Returns:
            The condition, or None, and what is judged.
        """
        return self.condition(batch), image


class OverCoarse(HoleFiller, ABC):
    """Paints over a coarse completion, two pictures of each input at once in training.

    Args:
        coarse: name of the run whose completions are painted over (model=pconv, picnet), or None for the hole's
            surroundings, spread into it.
        size: (height, width) of the pictures.
        drawn: shape of one latent.

    Attributes:
        fill: batch -> (b, 3, h, w) the coarse completion; whoever opens this model hands it over.
    """

    judged_first: ClassVar[bool] = True

    def __init__(self, *, coarse: str | None, size: tuple[int, int], drawn: tuple[int, ...]) -> None:
        super().__init__()
        self.coarse, self.size = coarse, size
        self.fill: Callable[[Batch], Tensor] | None = spread if coarse is None else None
        self.noise_shape = (2, *drawn)

    @abstractmethod
    def painted(self, z: Tensor, coarse: Tensor, known: Tensor) -> Painted:
        """Paint.

        Args:
            z: (b, ...) latents.
            coarse: (b, 3, h, w) in [-1, 1].
            known: (b, 1, h, w) 1 where the picture is known.
        """

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Two completions of each picture, from both latents of the noise, painted as one batch."""
        noise = self._noise(noise, batch)
        coarse, known = self.completed(batch), visible(batch)
        pictures, maps = self.painted(
            torch.cat([noise[:, 0], noise[:, 1]]), coarse.repeat(2, 1, 1, 1), known.repeat(2, 1, 1, 1)
        )  # (2b, 3, h, w)
        first, second = (tuple(both) for both in zip(*(p.chunk(2) for p in pictures), strict=True))
        completion = Completion(first[-1], first, other=second[-1], others=second, maps=maps)
        posterior = Posterior(noise[:, 0].flatten(1))
        return Synthesis(image=first[-1], posterior=posterior, completion=completion, coarse=coarse)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The first latent's completion; `image` keeps the given pixels outside the hole, `completion.raw` none."""
        z = self._noise(noise, batch)[:, 0]
        coarse = self.completed(batch)
        pictures, _ = self.painted(z, coarse, visible(batch))  # (b, 3, h, w)
        return Synthesis(
            image=composite(pictures[-1], batch),
            posterior=Posterior(z.flatten(1)),
            completion=Completion(pictures[-1], pictures),
            coarse=coarse,
        )

    def completed(self, batch: Batch) -> Tensor:
        """(b, 3, h, w) the coarse completion, without a graph, computed once per batch."""
        fill = self.fill
        if fill is None:
            raise Refusal(f"model.coarse={self.coarse} was not opened; use scenegen.train or scenegen.sample")
        return batch.once(("coarse", id(self)), lambda: fill(batch).detach())

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """Both completions, raw, as one batch, beside the real pictures as often."""
        completion, image = synthesis.completion, batch.require("image")
        assert completion is not None
        assert completion.other is not None, "only a training pass is judged"
        fake = torch.cat([completion.raw, completion.other])  # (2b, 3, h, w)
        condition = self.condition(batch)
        twice = None if condition is None else condition.repeat(2, 1, 1, 1)
        return Shown(twice, fake, image.repeat(2, 1, 1, 1))

    def _noise(self, noise: Tensor | None, batch: Batch) -> Tensor:
        if noise is None:
            raise Refusal(f"this model draws its pictures: it needs noise ({len(batch)}, {self.noise_shape})")
        return noise


@torch.no_grad()
def completed_by(model: SceneModel, batch: Batch) -> Tensor:
    """(b, 3, h, w) a model's completion of a batch, in eval mode; of the middle of its latent where it draws one."""
    return middle_completion(model.to(batch.device, batch.dtype).eval(), batch)


def middle_completion(model: SceneModel, batch: Batch) -> Tensor:
    """(b, 3, h, w) the completion of the middle of a model's latent, or the one that it makes without any."""
    source, drawn = batch.require("source"), model.noise_shape
    return model.sample(batch, noise=None if drawn is None else source.new_zeros(source.shape[0], *drawn)).image
