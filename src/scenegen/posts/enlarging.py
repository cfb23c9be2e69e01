"""Posts that enlarge pictures by a super-resolution network: of a run, or Real-ESRGAN's out of a pip package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Batch, Refusal, SceneModel
from scenegen.networks.frozen.realesrgan import load
from scenegen.networks.generators.rrdb import SuperResolution
from scenegen.posts.post import Post
from scenegen.posts.trained import Trained

STEP = 4
"""Pixels that every network here takes together at most; tiles begin at multiples of it."""


class Enlarging(Trained):
    """Pictures through the super-resolution model of a run.

    Args:
        run, model, step: see `Trained`.
        scale: of both sides, which must be the model's.
        tile, margin: see `in_tiles`.

    Raises:
        Refusal: a run that does not enlarge so.
    """

    fitting: ClassVar[str] = "rrdb, esrgan or esrgan_log"

    def __init__(self, *, run: str, model: SceneModel, step: int, scale: int, tile: int | None, margin: int) -> None:
        super().__init__(run=run, model=model, step=step)
        if not isinstance(model, SuperResolution) or model.scale != scale:
            found = f"enlarges by {model.scale}" if isinstance(model, SuperResolution) else "keeps the size"
            raise Refusal(f"this post enlarges by {scale}, but the model of run {run} {found}; give a run of "
                          f"model={self.fitting} with model.scale={scale}")  # fmt: skip
        require_tiles(tile, margin)
        self.scale, self.tile, self.margin = scale, tile, margin
        self.stamp += _tiled(tile, margin)

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return self.scale * height, self.scale * width

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """(b, 3, scale h, scale w), clamped to [-1, 1]."""
        whole = super().forward
        return in_tiles(lambda part: whole(part, batch), picture, scale=self.scale, tile=self.tile, margin=self.margin)


class RealEsrgan(Post):
    """Pictures through Real-ESRGAN's x4 network; x2 is the mean of two by two of its pixels.

    Args:
        net: "x4plus" for photographs, "x4plus_anime" for drawings, four times as fast.
        scale: 2 or 4.
        tile, margin: see `in_tiles`.
        weights: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where the weight file is looked for first.

    Raises:
        Refusal: another net or scale, or weights that cannot be had.

    Source: Wang et al., ICCV workshops 2021 (Real-ESRGAN).
    """

    def __init__(
        self, *, net: str, scale: int, tile: int | None, margin: int, weights: str, folder: str | Path | None
    ) -> None:
        super().__init__()
        if scale not in (2, 4):
            raise Refusal(f"scale={scale} of Real-ESRGAN must be 2 or 4; post=bicubic takes any factor")
        require_tiles(tile, margin)
        self.net, name = load(net, weights=weights, folder=folder)
        self.scale, self.tile, self.margin = scale, tile, margin
        self.stamp = f"{name} x{scale}{_tiled(tile, margin)}"

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return self.scale * height, self.scale * width

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """(b, 3, scale h, scale w), clamped to [-1, 1]."""
        self.net.to(picture.device)
        return in_tiles(self._enlarged, picture, scale=self.scale, tile=self.tile, margin=self.margin)

    @torch.no_grad()
    def _enlarged(self, picture: Tensor) -> Tensor:
        made = (2 * self.net((picture + 1) / 2) - 1).clamp(-1, 1)  # (b, 3, 4h, 4w)
        return made if self.scale == 4 else F.avg_pool2d(made, 2)


def in_tiles(
    enlarge: Callable[[Tensor], Tensor], picture: Tensor, *, scale: int, tile: int | None, margin: int
) -> Tensor:
    """A picture enlarged piece by piece, so that memory does not grow with its size.

    Args:
        enlarge: (b, 3, h, w) -> (b, 3, scale h, scale w).
        picture: (b, 3, h, w).
        scale: of both sides.
        tile: side of a piece in pixels of `picture`; None takes the picture whole.
        margin: pixels around a piece that the network sees too.

    Returns:
        (b, 3, scale h, scale w).
    """
    b, c, h, w = picture.shape
    if tile is None or max(h, w) <= tile:
        return enlarge(picture)
    out = picture.new_empty(b, c, scale * h, scale * w)
    for top in range(0, h, tile):
        for left in range(0, w, tile):
            above, before = max(0, top - margin), max(0, left - margin)
            bottom, right = min(h, top + tile), min(w, left + tile)
            piece = enlarge(picture[..., above : bottom + margin, before : right + margin])
            y, x = scale * (top - above), scale * (left - before)
            high, wide = scale * (bottom - top), scale * (right - left)
            out[..., scale * top : scale * bottom, scale * left : scale * right] = piece[
                ..., y : y + high, x : x + wide
            ]
    return out


def require_tiles(tile: int | None, margin: int) -> None:
    """Refuse pieces that would not lie on the grid of the networks."""
    if tile is not None and (tile < STEP or tile % STEP):
        raise Refusal(f"tile={tile} must be a multiple of {STEP}, such as 256, or null for whole pictures")
    if margin < 0 or margin % STEP:
        raise Refusal(f"margin={margin} must be a multiple of {STEP} or 0; 16 is usual")


def _tiled(tile: int | None, margin: int) -> str:
    return "" if tile is None else f", tiles of {tile} + {margin}"
