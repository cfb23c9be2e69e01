"""Base of CoCosNet, CoCosNet v2 and UNITE: label maps and exemplars in, pictures out, and the checks in between."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.networks.generators.painter import Painter
from scenegen.networks.generators.spade import require_sides
from scenegen.networks.layers.semantics import batch_semantics, exemplar_semantics


class ExemplarModel(Painter):
    """A generator family that takes its style from the batch's exemplars; a family paints in `_paint`.

    Args:
        num_classes: one-hot channels, a class for "unknown" included.
        height, width: of the pictures.

    Attributes:
        family: its name in messages.
        step, smallest: sides are divisible by the one and at least the other.

    Raises:
        Refusal: for sides that the family cannot take, naming the nearest.
    """

    family: ClassVar[str]
    step: ClassVar[int]
    smallest: ClassVar[int]
    reads = frozenset({"label", "exemplar", "exemplar_label"})

    def __init__(self, *, num_classes: int, height: int, width: int) -> None:
        super().__init__()
        require_sides(height, width, family=self.family, step=self.step, smallest=self.smallest)
        self.num_classes = num_classes
        self.condition_channels = num_classes

    def condition(self, batch: Batch) -> Tensor:
        """One-hot labels.

        Raises:
            Refusal: for ids outside the classes.
        """
        return batch_semantics(batch, num_classes=self.num_classes, dtype=next(self.parameters()).dtype)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Training: paint the batch with its exemplars; the photographs are only compared with.

        Args:
            batch: labels, photographs, exemplars and their labels.
            noise: (b, *noise_shape) standard normal, or None where noise_shape is None.

        Returns:
            The picture and what `offers` names.

        Raises:
            Refusal: without exemplars, for sizes that do not fit, or for noise of another shape.
        """
        return self._checked(batch, photograph=batch.image, noise=noise)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Paint labels with exemplars, without their photographs.

        Args:
            batch: labels, exemplars and their labels.
            noise: as in `forward`.

        Returns:
            The picture and what `offers` names, but for fields that need the photograph.

        Raises:
            Refusal: without exemplars, for sizes that do not fit, or for noise of another shape.
        """
        return self._checked(batch, photograph=None, noise=noise)

    def _paint(
        self,
        planes: Tensor,
        exemplar: Tensor,
        labels: Tensor | None,
        *,
        photograph: Tensor | None,
        noise: Tensor | None,
    ) -> Synthesis:
        """Paint checked planes with an exemplar; its own planes are None only for a model that does not read them."""
        raise NotImplementedError  # every family has its own

    def _check_noise(self, batch: Batch, noise: Tensor | None) -> None:
        """Refuse noise that does not fit a batch."""
        if noise is not None:
            raise Refusal(
                "this model takes its style from the batch's exemplars, not from noise or style; leave them out"
            )

    def _checked(self, batch: Batch, *, photograph: Tensor | None, noise: Tensor | None) -> Synthesis:
        self._check_noise(batch, None if self.key_alone else noise)
        labels = exemplar_semantics(batch, num_classes=self.num_classes, dtype=next(self.parameters()).dtype)
        planes = self.condition(batch)
        if batch.exemplar is None or (labels is None and "exemplar_label" in self.reads):
            raise Refusal("this model paints with exemplars and the batch has none; use exemplar=retrieved "
                          "(or exemplars=FOLDER when sampling)")  # fmt: skip
        if batch.exemplar.shape[-2:] != planes.shape[-2:]:
            raise Refusal(
                f"exemplars are {tuple(batch.exemplar.shape[-2:])} but labels are {tuple(planes.shape[-2:])}; "
                "matching needs both at one size, so resize the exemplars"
            )
        require_sides(*planes.shape[-2:], family=self.family, step=self.step, smallest=self.smallest)
        with self.drawn(planes, noise) as own:
            return self._paint(planes, batch.exemplar, labels, photograph=photograph, noise=own)
