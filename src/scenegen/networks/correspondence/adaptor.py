"""Options of the domain adaptors: one record for UNITE, one more for CoCosNet, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.base.refusal import Refusal


@dataclass(frozen=True)
class Adaptor:
    """Options of the networks that bring label maps and pictures into one domain, and of the features matched there.

    Attributes:
        kernel: of the two halving convolutions, 3 (published) or 4 (CoCosNet's published face and fashion weights).
        attention: a non-local block after the first SPADE block.
        squeeze: squeeze-excite in the first three SPADE blocks.
        mask_features: each side's one-hot labels beside its features (`maskmix`).
        coordinate_features: the position in the picture beside its features (`use_coordconv`).

    Raises:
        Refusal: for another kernel.
    """

    kernel: int
    attention: bool
    squeeze: bool
    mask_features: bool
    coordinate_features: bool

    def __post_init__(self) -> None:
        if self.kernel not in (3, 4):
            raise Refusal(
                f"model.adaptor.kernel={self.kernel}: the adaptors' halving convolutions have kernel 3 (published) or 4"
            )


@dataclass(frozen=True)
class CoCosNetAdaptor(Adaptor):
    """The further options of CoCosNet.

    Attributes:
        deeper: three more SPADE blocks.
        dilated: the last two of them dilated by 2 and 4, then two convolutions against the grid that this leaves.
        label_noise: noise on the labels that are adapted (`mask_noise`).
        exemplar_noise: noise in place of the exemplar's labels, which are then not needed (`noise_for_mask`).

    Raises:
        Refusal: for another kernel, and for dilated without deeper.
    """

    deeper: bool
    dilated: bool
    label_noise: bool
    exemplar_noise: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dilated and not self.deeper:
            raise Refusal(
                "model.adaptor.dilated=true dilates the blocks that model.adaptor.deeper=true adds; set both or neither"
            )
