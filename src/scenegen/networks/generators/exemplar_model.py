"""What CoCosNet v2 and UNITE share: label maps and exemplars in, pictures out, and the checks in between."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.networks.generators.spade import require_sides
from scenegen.networks.layers.semantics import semantics


class ExemplarModel(nn.Module):
    """A generator family that takes its style from the batch's exemplars; a family paints in `_paint`.

    Args:
        num_classes: one-hot channels, a class for "unknown" included.
        height, width: of the pictures.

    Attributes:
        family: its name in messages.
        step, smallest: sides are divisible by the one and at least the other.
        noise_shape: None; the picture follows from labels and exemplar.
        semantic_channels: of what `semantics` returns.

    Raises:
        Refusal: for sides that the family cannot take, naming the nearest.
    """

    family: ClassVar[str]
    step: ClassVar[int]
    smallest: ClassVar[int]

    def __init__(self, *, num_classes: int, height: int, width: int) -> None:
        super().__init__()
        require_sides(height, width, family=self.family, step=self.step, smallest=self.smallest)
        self.num_classes = num_classes
        self.semantic_channels = num_classes
        self.noise_shape: tuple[int, ...] | None = None

    def semantics(self, batch: Batch) -> Tensor:
        """The conditioning tensor of a batch, (b, semantic_channels, h, w), zeros and ones.

        Raises:
            Refusal: for ids outside the classes.
        """
        return self._planes(batch.label)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Training: paint the batch with its exemplars; the photographs are only compared with.

        Args:
            batch: labels, photographs, exemplars and their labels.
            noise: None.

        Returns:
            The picture and what `offers` names.

        Raises:
            Refusal: without exemplars, for sizes that do not fit, or with noise.
        """
        return self._checked(batch, photograph=batch.image, extra=noise)

    def sample(self, batch: Batch, *, noise: Tensor | None = None, style: Tensor | None = None) -> Synthesis:
        """Paint labels with exemplars, without their photographs.

        Args:
            batch: labels, exemplars and their labels; `image` is not read.
            noise, style: None.

        Returns:
            The picture and what `offers` names, but for fields that need the photograph.

        Raises:
            Refusal: without exemplars, for sizes that do not fit, or with noise or style.
        """
        return self._checked(batch, photograph=None, extra=noise if style is None else style)

    def _paint(
        self, planes: Tensor, exemplar: Tensor, exemplar_planes: Tensor, *, photograph: Tensor | None
    ) -> Synthesis:
        raise NotImplementedError  # every family has its own

    def _checked(self, batch: Batch, *, photograph: Tensor | None, extra: Tensor | None) -> Synthesis:
        if extra is not None:
            raise Refusal(
                "this model takes its style from the batch's exemplars, not from noise or style; leave them out"
            )
        if batch.exemplar is None or batch.exemplar_label is None:
            raise Refusal("this model paints with exemplars and the batch has none; use exemplar=retrieved "
                          "(or exemplars=FOLDER when sampling)")  # fmt: skip
        if batch.exemplar.shape[-2:] != batch.label.shape[-2:]:
            raise Refusal(
                f"exemplars are {tuple(batch.exemplar.shape[-2:])} but labels are {tuple(batch.label.shape[-2:])}; "
                "matching needs both at one size, so resize the exemplars"
            )
        require_sides(*batch.label.shape[-2:], family=self.family, step=self.step, smallest=self.smallest)
        planes, exemplar_planes = self._planes(batch.label), self._planes(batch.exemplar_label)
        return self._paint(planes, batch.exemplar, exemplar_planes, photograph=photograph)

    def _planes(self, label: Tensor) -> Tensor:
        return semantics(label, num_classes=self.num_classes, dtype=next(self.parameters()).dtype)
