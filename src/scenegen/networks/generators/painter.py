"""Base of every model that paints label maps: the noise of a sample may also be the key of its class noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from scenegen.base.records import Batch, SceneModel, Shown, Synthesis
from scenegen.networks.layers.class_noise import NoiseField
from scenegen.networks.layers.small_pictures import halves, stacked


class Painter(SceneModel):
    """A model with one-hot labels as its condition, whose `generator` may have class noise in its normalisations.

    Attributes:
        field: of the class noise; None as published.
        key_alone: noise has nothing to do but to be the key of the class noise; the family itself takes none.
    """

    field: NoiseField | None = None
    key_alone: bool = False

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """See `SceneModel`; with `smaller` each picture and its smaller ones, the real one's by means of pixels."""
        shown = super().shown(batch, synthesis)
        if not self.smaller:
            return shown
        real = stacked(shown.real, halves(shown.real, self.smaller))  # (b, 3 (1 + smaller), h, w)
        return Shown(shown.condition, stacked(shown.fake, synthesis.smaller), real)

    def take_field(self, field: NoiseField) -> None:
        """Draw class noise from a field; a model without noise then has one number per sample, the key."""
        self.field = field
        if self.noise_shape is None:
            self.key_alone, self.noise_shape = True, (1,)

    @contextmanager
    def drawn(self, planes: Tensor, noise: Tensor | None) -> Iterator[Tensor | None]:
        """One pass of the generator.

        Args:
            planes: (b, num_classes or more, h, w) one-hot labels, then edges.
            noise: (b, *noise_shape) or (1, *noise_shape) standard normal, or None.

        Yields:
            The noise that the family itself takes.

        Raises:
            Refusal: with class noise and without noise.
        """
        if self.field is None:
            yield noise
            return
        with self.field.drawn(planes[:, : self.num_classes], noise):
            yield None if self.key_alone else noise
