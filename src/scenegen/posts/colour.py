"""Posts that take over the colours of a style picture and leave every edge where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from scenegen.base.pictures import from_uint8, to_uint8
from scenegen.base.records import Batch, Refusal
from scenegen.posts.post import Post
from scenegen.posts.style import only

WHITE = (0.95047, 1.0, 1.08883)
"""X, Y, Z of the white D65 under the 2 degree observer."""

TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
"""Linear sRGB -> XYZ (ITU-R BT.709 primaries, D65)."""

EDGE = 6 / 29
"""Where the cube root of CIELAB goes over into a line."""


class Lab(Post):
    """Mean and deviation of every channel of CIELAB as the style picture has them.

    Args:
        style: the style picture's file, as the config names it.
        pictures: its name -> (1, 3, h, w) in [-1, 1].
        strength: share of the way, in [0, 1]; 1 is the method.

    Source: Reinhard et al., IEEE CG&A 2001, eqs. 10-12, in CIELAB in the place of their l-alpha-beta.
    """

    def __init__(self, *, style: str | Sequence[str], pictures: Mapping[str, Tensor], strength: float) -> None:
        super().__init__()
        chosen = only(pictures, option=f"post.lab.style={style}")
        self.strength = checked_strength(strength, option="post.lab.strength")
        self.mean, self.deviation = moments(to_lab(chosen.picture))
        self.stamp = f"Lab moments of {chosen.stamp}, strength {strength:g}"

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """The same size, clamped to [-1, 1]; a channel without any variation is shifted alone."""
        lab = to_lab(picture)
        mean, deviation = moments(lab)
        scale = torch.where(deviation > 1e-6, self.deviation.to(lab) / deviation.clamp(min=1e-6), 1)
        made = from_lab((lab - mean) * scale + self.mean.to(lab)).to(picture)
        return torch.lerp(picture, made, self.strength).clamp(-1, 1)


class Histogram(Post):
    """Grey levels of every channel distributed as in the style picture.

    Args:
        style: the style picture's file, as the config names it.
        pictures: its name -> (1, 3, h, w) in [-1, 1].
        strength: share of the way, in [0, 1]; 1 is the method.

    Source: Gonzalez and Woods, Digital Image Processing, section 3.3.2 (histogram specification), per channel, on 256
    grey levels, between which the style's distribution function is interpolated linearly.
    """

    def __init__(self, *, style: str | Sequence[str], pictures: Mapping[str, Tensor], strength: float) -> None:
        super().__init__()
        chosen = only(pictures, option=f"post.histogram.style={style}")
        self.strength = checked_strength(strength, option="post.histogram.strength")
        self.counts = grey_levels(to_uint8(chosen.picture)[0])
        self.stamp = f"histograms of {chosen.stamp}, strength {strength:g}"

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """The same size; quantised to 8 bits before it is looked up."""
        matched = torch.stack([self._matched(levels) for levels in to_uint8(picture)]).to(picture)
        return torch.lerp(picture, matched, self.strength).clamp(-1, 1)

    def _matched(self, levels: Tensor) -> Tensor:
        """(3, h, w) uint8 -> the same in [-1, 1], by a table of 256 entries per channel."""
        tables = [match(own, wanted) for own, wanted in zip(grey_levels(levels), self.counts, strict=True)]
        channels = zip(levels, tables, strict=True)
        return torch.stack([from_uint8(torch.from_numpy(table).to(x.device)[x.long()]) for x, table in channels])


def checked_strength(strength: float, *, option: str) -> float:
    """A share in [0, 1]."""
    if not 0 <= strength <= 1:
        raise Refusal(f"{option}={strength} must lie in [0, 1]; 1 takes the style's colours whole")
    return strength


def moments(lab: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel over a picture, each (b, 3, 1, 1)."""
    return lab.mean((2, 3), keepdim=True), lab.std((2, 3), unbiased=False, keepdim=True)


def grey_levels(levels: Tensor) -> np.ndarray:
    """(3, 256) pixels of every grey level of a (3, h, w) uint8 picture."""
    return np.stack([np.bincount(x.flatten().cpu().numpy(), minlength=256) for x in levels])


def match(counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The grey level that each of 256 becomes, so that a distribution gets another one's form.

    Args:
        counts: (256,) pixels of each grey level.
        wanted: (256,) those of the distribution to have.

    Returns:
        (256,) float32 levels in [0, 255].
    """
    there = np.flatnonzero(wanted)
    own, target = counts.cumsum() / counts.sum(), wanted[there].cumsum() / wanted.sum()
    return np.interp(own, target, there).astype(np.float32)


def to_lab(picture: Tensor) -> Tensor:
    """CIELAB of sRGB pictures.

    Args:
        picture: (b, 3, h, w) in [-1, 1].

    Returns:
        (b, 3, h, w) float64: L in [0, 100], a and b.

    Source: CIE 15:2004; IEC 61966-2-1 (sRGB).
    """
    x = (picture.double() + 1) / 2
    linear = torch.where(x > 0.04045, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, x / 12.92)
    xyz = torch.einsum("ij,bjhw->bihw", linear.new_tensor(TO_XYZ), linear) / linear.new_tensor(WHITE).view(3, 1, 1)
    f = torch.where(xyz > EDGE**3, xyz.clamp(min=EDGE**3) ** (1 / 3), xyz / (3 * EDGE**2) + 4 / 29)
    fx, fy, fz = f.unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=1)


def from_lab(lab: Tensor) -> Tensor:
    """sRGB pictures in [-1, 1] of CIELAB; colours that sRGB lacks are clamped.

    Args:
        lab: (b, 3, h, w) float64.
    """
    light, a, b = lab.unbind(1)
    fy = (light + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], dim=1)
    xyz = torch.where(f > EDGE, f**3, 3 * EDGE**2 * (f - 4 / 29)) * lab.new_tensor(WHITE).view(3, 1, 1)
    back = torch.linalg.inv(lab.new_tensor(TO_XYZ))
    linear = torch.einsum("ij,bjhw->bihw", back, xyz).clamp(0, 1)
    x = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return 2 * x - 1
