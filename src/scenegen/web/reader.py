"""Label maps read off pictures, for the accuracy of a painting and for the map of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from scenegen.data.samples import planes


class Segmenting(Protocol):
    """Judge that reads label maps off pictures."""

    name: str

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids."""
        ...


@dataclass(frozen=True)
class Reader:
    """A segmenter of the run's classes.

    Attributes:
        net: the segmenter, in eval mode.
        caution: sentence that must stand beside its numbers, "" for none.
        device: of the segmenter.
    """

    net: Segmenting
    caution: str
    device: str

    @torch.no_grad()
    def read(self, picture: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 -> (h, w) uint16 class ids."""
        found = self.net.predict(planes(picture)[None].to(self.device))
        return found[0].cpu().numpy().astype(np.uint16)
