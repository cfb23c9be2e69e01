"""Base of models that fill holes in pictures."""

from __future__ import annotations

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
