"""The judge of label maps: generated files that hold class ids already."""

from __future__ import annotations

from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.scoring.judges.protocols import BOTH


class GivenLabels:
    """Reads the ids of a grey picture as its label map.

    Args:
        classes: the class list of the ids.

    Attributes:
        name, stamp: as shown, and for the protocol.
        stand_in: false; the number is about the files themselves.
    """

    name = "given"
    stamp = "label maps as written"
    stand_in = False
    ranks = BOTH

    def __init__(self, *, classes: ClassList) -> None:
        self.classes = classes

    def predict(self, image: Tensor) -> Tensor:
        """(b, h, w) int64 class ids of grey pictures (b, 3, h, w) uint8.

        Raises:
            Refusal: for colours, and for ids outside the classes.
        """
        ids = image[:, 0].long()
        if not bool((image == image[:, :1]).all()) or int(ids.max()) >= len(self.classes):
            raise Refusal(
                f"segmenter=given takes label maps (grey PNG of ids 0..{len(self.classes) - 1}), but generated= holds "
                "pictures; use segmenter=scenenet to read label maps off them"
            )
        return ids
