"""A decoder on EfficientNet-Lite2's frozen maps as the judge that reads label maps off photographs."""

from __future__ import annotations

from torch import Tensor, nn

from scenegen.base.kinds import trained_on
from scenegen.data.classes import ClassList
from scenegen.networks.frozen.lite_reader import Reading
from scenegen.scoring.judges.scenenet import require_classes


class LiteReaderSegmenter(nn.Module):
    """This project's own segmenter of photographs, in place of the contest's, which was never published.

    Pictures are brought to about the 256x256 pixels that it was trained at before they are read.

    Args:
        classes: the class list of the label maps.
        name: "landscapes" (shipped), or a file that `python -m scenegen.train model=lite_reader` wrote.
        mirror: read the mirrored picture too, and take the mean.
        weights: of the frozen net: "published" or "random" (stamped as such).
        folder: where the files are looked for first.

    Raises:
        Refusal: the file cannot be used, or was trained for other classes.
    """

    name = "lite-reader"
    stand_in = True

    def __init__(self, *, classes: ClassList, name: str, mirror: bool, weights: str, folder: str | None) -> None:
        super().__init__()
        self.net = Reading(name, weights=weights, folder=folder, mirror=mirror)
        self.stamp = self.net.stamp
        self.ranks = trained_on(self.net.facts)
        require_classes(self.net.classes, classes, stamp=self.stamp, command="train model=lite_reader")

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids."""
        return self.net(image.float().div(127.5).sub(1)).argmax(1)
