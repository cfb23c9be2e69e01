"""Posts that need no network: another size, and the loss of a JPEG file."""

from __future__ import annotations

import io

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from scenegen.base.pictures import from_uint8, open_picture, to_array
from scenegen.base.records import Batch, Refusal
from scenegen.posts.post import Post


class Bicubic(Post):
    """Pictures enlarged or shrunk by a filtering bicubic.

    Args:
        factor: of both sides, > 0.

    Source: Keys, IEEE Trans. ASSP 1981, a = -0.5; antialiased when shrinking, as Pillow does.
    """

    def __init__(self, *, factor: float) -> None:
        super().__init__()
        if not 0 < factor <= 16:
            raise Refusal(f"post.bicubic.factor={factor} must lie in (0, 16]; 2 doubles both sides")
        self.factor = factor
        self.stamp = f"bicubic x{factor:g}"

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return max(1, round(self.factor * height)), max(1, round(self.factor * width))

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """(b, 3, round(factor h), round(factor w)), clamped to [-1, 1]."""
        size = self.size_after(*picture.shape[-2:])
        return F.interpolate(picture, size=size, mode="bicubic", antialias=True).clamp(-1, 1)


class BicubicTo(Post):
    """Pictures of a stated size, by a filtering bicubic; the shape is the user's choice.

    Args:
        height, width: of the pictures afterwards, in pixels.

    Source: see `Bicubic`.
    """

    def __init__(self, *, height: int, width: int) -> None:
        super().__init__()
        if not (1 <= height <= 16384 and 1 <= width <= 16384):
            raise Refusal(f"post.bicubic_{height}x{width} must have sides of 1 to 16384 pixels")
        self.size = height, width
        self.stamp = f"bicubic to {height}x{width}"

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return self.size

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """(b, 3, height, width), clamped to [-1, 1]."""
        return F.interpolate(picture, size=self.size, mode="bicubic", antialias=True).clamp(-1, 1)


class Jpeg(Post):
    """Pictures after a round trip through a JPEG file.

    Args:
        quality: of the file, 1 to 100.
    """

    def __init__(self, *, quality: int) -> None:
        super().__init__()
        if not 1 <= quality <= 100:
            raise Refusal(f"post.jpeg.quality={quality} must lie in 1..100")
        self.quality = quality
        self.stamp = f"jpeg q{quality}"

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """The same size; quantised to 8 bits on the way."""
        return torch.stack([self._through(image) for image in picture]).to(picture)

    def _through(self, image: Tensor) -> Tensor:
        file = io.BytesIO()
        Image.fromarray(to_array(image)).save(file, format="JPEG", quality=self.quality)
        with open_picture(file) as picture:
            pixels = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
        return from_uint8(pixels.view(*image.shape[-2:], 3).permute(2, 0, 1))
