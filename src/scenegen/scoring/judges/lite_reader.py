"""A decoder on EfficientNet-Lite2's frozen maps as the judge that reads label maps off photographs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from scenegen.base.listing import listed
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.networks.frozen.lite_reader import Reading
from scenegen.scoring.judges.scenenet import require_classes


class LiteReaderSegmenter(nn.Module):
    """This project's own segmenter of photographs, in place of the contest's, which was never published.

    Pictures are brought to about the pixels that each reader was trained at, 256x256 say, before they are read.

    Args:
        classes: the class list of the label maps.
        name: "landscapes" (shipped), or a file that `python -m scenegen.train model=lite_reader` wrote; or a list of
            such names, whose mean is taken.
        mirror: read the mirrored picture too, and take the mean.
        weights: of the frozen net: "published" or "random" (stamped as such).
        folder: where the files are looked for first.

    Raises:
        Refusal: the file cannot be used, or was trained for other classes.
    """

    name = "lite-reader"
    stand_in = True

    def __init__(
        self, *, classes: ClassList, name: str | Sequence[str], mirror: bool, weights: str, folder: str | None
    ) -> None:
        super().__init__()
        names = listed(name)
        if not names:
            raise Refusal("segmenter.name= names no reader; segmenter.name=landscapes is the shipped one")
        self.net = Reading(names, weights=weights, folder=folder, mirror=mirror)
        self.stamp, self.ranks = self.net.stamp, self.net.ranks
        require_classes(self.net.classes, classes, stamp=self.stamp, command="train model=lite_reader")

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids."""
        return self.net(image.float().div(127.5).sub(1)).argmax(1)
