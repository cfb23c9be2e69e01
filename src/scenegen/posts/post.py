"""Contract of a post: picture in, picture out, and a stamp in the protocol of every later number."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from scenegen.base.records import Batch


class Post(nn.Module):
    """Base of the operations on a picture after the model.

    Attributes:
        stamp: name and options, part of the protocol of every number that is measured afterwards.
        folder: where a post may keep files beside its pictures (curves, checkpoints); None keeps none.
    """

    stamp: str
    folder: Path | None = None

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """The picture afterwards.

        Args:
            picture: (b, 3, h, w) in [-1, 1].
            batch: the model's input; fields may be absent where a folder of pictures is processed.

        Returns:
            (b, 3, h', w') in [-1, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward()")  # abstract; a stub need not have it

    @torch.no_grad()
    def size_after(self, height: int, width: int) -> tuple[int, int]:
        """Size of a picture of height x width afterwards; found by trying, where a post knows no shorter way."""
        probe = torch.zeros(1, 3, height, width)
        h, w = self(probe, Batch(name=("probe",))).shape[-2:]
        return h, w
