"""A segmentation_models.pytorch net that was trained here, as the judge that reads label maps off pictures."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.data.classes import ClassList
from scenegen.networks.frozen import smp as smpnet
from scenegen.scoring.judges.protocols import BOTH
from scenegen.scoring.judges.scenenet import require_classes


class SmpSegmenter(nn.Module):
    """A segmentation_models.pytorch net that `python -m scenegen.train model=smp` trained.

    Args:
        classes: the class list of the label maps.
        name: the .safetensors file; its .json lies beside it.
        folder: where a name without a folder is looked for as well.
        sha256: the hash (or its beginning) that the file must have; None takes what the .json says.

    Raises:
        Refusal: the file cannot be used, or was trained for other classes.
    """

    name = "smp"
    ranks = BOTH
    stand_in = True  # the contest's segmenter was never published

    def __init__(self, *, classes: ClassList, name: str, folder: str | None, sha256: str | None) -> None:
        super().__init__()
        path = Path(name).expanduser()
        if folder is not None and not path.is_file() and (Path(folder).expanduser() / name).is_file():
            path = Path(folder).expanduser() / name
        self.net, self.card = smpnet.read(path, sha256=sha256)
        self.stamp = f"smp-{self.card.arch}-{self.card.encoder}:{self.card.sha256[:12]}"
        require_classes(self.card.classes, classes, stamp=self.stamp, command="train model=smp")

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids, read at about the size of the training."""
        x = smpnet.at_size(image.float().div(127.5).sub(1), pixels=self.card.height * self.card.width)
        return as_large_as(self.net(x), image).argmax(1)


def as_large_as(logits: Tensor, image: Tensor) -> Tensor:
    """Logits (b, k, h', w') brought to the picture's (h, w), bilinear."""
    if logits.shape[-2:] == image.shape[-2:]:
        return logits
    return F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)
