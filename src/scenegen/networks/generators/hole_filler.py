"""Base of models that fill holes in pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Batch, SceneModel


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


@torch.no_grad()
def completed_by(model: SceneModel, batch: Batch) -> Tensor:
    """(b, 3, h, w) a model's completion of a batch, in eval mode; of the middle of its latent where it draws one."""
    model = model.to(batch.device, batch.dtype).eval()
    noise = None if model.noise_shape is None else torch.zeros(len(batch), *model.noise_shape)
    return model.sample(batch, noise=None if noise is None else noise.to(batch.device, batch.dtype)).image
