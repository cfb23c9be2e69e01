"""Spatial profile loss: every row and every column of a picture should point the same way as the target's.

Family: Pictures
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, in_colour, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term

NORMALISATIONS = ("per_sample", "released")


def profile_similarity(x: Tensor, y: Tensor, *, normalisation: str = "per_sample") -> Tensor:
    """Minus the cosines between the rows of two pictures, and between their columns.

    Args:
        x, y: (b, c, h, w), of any range.
        normalisation: "per_sample": the mean cosine of rows and that of columns, over batch and channels too;
            "released": both sums over everything divided by h, as the authors' code, which grows with the batch.

    Returns:
        A scalar, -2 (per_sample) or -b c (h + w) / h (released) for equal pictures without a flat row.

    Raises:
        Refusal: when the pictures differ in size.

    Source: Sarfraz et al., BMVC 2019, eq. 2.
    """
    refuse_unlike(x, y, term="spl", where="the profiles")
    x, y = full_precision(x), full_precision(y)
    rows, columns = ((_unit(x, axis) * _unit(y, axis)).sum(axis) for axis in (3, 2))  # (b, c, h), (b, c, w)
    if normalisation == "released":
        return -(rows.sum() + columns.sum()) / x.shape[2]
    return -(rows.mean() + columns.mean())


def gradient_profile(x: Tensor, y: Tensor, *, normalisation: str = "per_sample") -> Tensor:
    """`profile_similarity` of the horizontal and of the vertical differences of (b, c, h, w), added up.

    Source: Sarfraz et al., BMVC 2019, eq. 3 (GP).
    """
    pairs = zip(_differences(x), _differences(y), strict=True)
    return torch.stack([profile_similarity(a, b, normalisation=normalisation) for a, b in pairs]).sum()


def colour_profile(x: Tensor, y: Tensor, *, normalisation: str = "per_sample", yuv_gradient: bool = True) -> Tensor:
    """`profile_similarity` of RGB and of YUV, and `gradient_profile` of YUV, added up.

    Args:
        x, y: (b, 3, h, w) RGB in [0, 1].
        normalisation: see `profile_similarity`.
        yuv_gradient: whether the third part counts.

    Source: Sarfraz et al., BMVC 2019, eq. 4 (CP).
    """
    u, v = _yuv(x), _yuv(y)
    value = profile_similarity(x, y, normalisation=normalisation)
    value = value + profile_similarity(u, v, normalisation=normalisation)
    return value + gradient_profile(u, v, normalisation=normalisation) if yuv_gradient else value


class SpatialProfile(Term):
    """`gradient_profile` plus `colour_profile` of pictures; -12 for equal ones (per_sample, both parts).

    Args:
        target: "real" or "exemplar".
        normalisation: see `profile_similarity`.
        gradient, colour: which parts count.

    Formula: -sum over rows and columns r of cos(r(x), r(y)), of gradients, RGB, YUV and gradients of YUV
    Range: pictures in [-1, 1], brought to [0, 1]; in [-12, 12], -12 for equal pictures
    """

    def __init__(self, *, target: str, normalisation: str, gradient: bool, colour: bool) -> None:
        super().__init__()
        if normalisation not in NORMALISATIONS:
            raise Refusal(f"loss.spl.normalisation={normalisation} is not one of {', '.join(NORMALISATIONS)}")
        if not gradient and not colour:
            raise Refusal("loss.spl has gradient=false and colour=false, so nothing is left; keep one of them")
        self.needs = target_needs(target, term="spl")
        self.target, self.normalisation, self.gradient, self.colour = target, normalisation, gradient, colour

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = (in_colour(evidence.picture(which) + 1) / 2 for which in ("fake", self.target))
        refuse_unlike(x, y, term="spl", where="the picture")
        parts = [gradient_profile] * self.gradient + [colour_profile] * self.colour
        return torch.stack([part(x, y.detach(), normalisation=self.normalisation) for part in parts]).sum()


def _unit(x: Tensor, axis: int) -> Tensor:
    # a flat row's difference is 0: the added 1e-6, far below what noise gives, bounds the gradient there
    return x / (x.square().sum(axis, keepdim=True) + 1e-6).sqrt()


def _differences(x: Tensor) -> tuple[Tensor, Tensor]:
    if min(x.shape[-2:]) < 2:
        size = "x".join(map(str, x.shape[-2:]))
        raise Refusal(f"loss.spl compares neighbours, but a {size} picture has none; it needs at least 2 pixels a side")
    return x[..., :-1] - x[..., 1:], x[..., :-1, :] - x[..., 1:, :]


def _yuv(x: Tensor) -> Tensor:
    r, g, b = full_precision(x).unbind(1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return torch.stack([luma, 0.493 * (b - luma), 0.877 * (r - luma)], dim=1)
