"""Gradient magnitude similarity deviation: how unevenly edges of two pictures agree.

Family: Pictures
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, in_colour, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import unit_pair

YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
SCALES = (0.096, 0.596, 0.289, 0.019)
ROOT_EPS = 1e-12  # keeps roots differentiable at 0


def gmsd(x: Tensor, y: Tensor) -> Tensor:
    """Standard deviation, over the picture, of the similarity of gradient magnitudes at half the resolution.

    piq 0.8 has the same values, but NaN gradients wherever a patch is flat or two pictures are equal (roots
    at 0); here 1e-12 is added under each root.

    Args:
        x, y: (b, 3, h, w) in [0, 1], the generated and the target picture.

    Returns:
        A scalar >= 0; 1e-6 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size.

    Source: Xue et al., TIP 2014, eqs. 1-6.
    """
    refuse_unlike(x, y, term="gmsd", where="the pixels")
    luma_x, luma_y = (_halved(_yiq(full_precision(picture))[:, :1]) for picture in (x, y))
    return (_variance(luma_x, luma_y, t=170 / 255**2, masking=0.0) + ROOT_EPS).sqrt().mean()


def ms_gmsd(x: Tensor, y: Tensor, *, chromatic: bool = False, scales: Sequence[float] = SCALES) -> Tensor:
    """Root of the weighted mean, over scales, of the squared `gmsd` with contrast masking.

    piq 0.8 has the same values and NaN gradients; see `gmsd`.

    Args:
        x, y: (b, 3, h, w) in [0, 1], the generated and the target picture.
        chromatic: adds the difference of I and Q at the coarsest scale (MS-GMSDc).
        scales: weight of each scale, fine to coarse; used relative to their sum. The smaller side must exceed
            2^(number of scales), 16 with the paper's four.

    Returns:
        A scalar >= 0; at most 1e-6 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size or are too small for the scales.

    Source: Zhang et al., ICASSP 2017, eqs. 4-11.
    """
    refuse_unlike(x, y, term="ms_gmsd", where="the pixels")
    h, w = x.shape[-2:]
    if min(h, w) <= 2 ** len(scales):
        raise Refusal(
            f"loss.ms_gmsd with {len(scales)} scales needs more than {2 ** len(scales)} pixels a side, but has "
            f"{h}x{w} pictures; give loss.ms_gmsd.scales fewer weights"
        )
    x, y = (_yiq(255 * full_precision(picture)) for picture in (x, y))
    total = x.new_zeros(len(x))
    for k, weight in enumerate(scales):
        if k > 0:
            x, y = _halved(x), _halved(y)
        total = total + weight / sum(scales) * _variance(x[:, :1], y[:, :1], t=170.0, masking=0.5)
    deviation = (total + ROOT_EPS).sqrt()
    if not chromatic:
        return deviation.mean()
    chroma = ((x - y)[:, 1:].square().mean((2, 3)).sum(1) + ROOT_EPS).sqrt()
    gamma = 2 / (1 + 0.32 * (-15 * deviation).exp()) - 1
    return (gamma * deviation + (1 - gamma) * 0.01 * chroma).mean()


class MsGmsd(Term):
    """`ms_gmsd` of pictures brought to [0, 1].

    Args:
        chromatic, scales: see `ms_gmsd`.
        target: "real" or "exemplar".

    Formula: g S + (1 - g) 0.01 c, S = sqrt(sum_s w_s deviation(q_s)^2), q_s the likeness of gradients at scale s,
        c that of colours
    Range: pictures in [-1, 1], brought to [0, 1]; >= 0, at most 1e-6 for equal pictures
    """

    def __init__(self, *, chromatic: bool, scales: Sequence[float], target: str) -> None:
        super().__init__()
        if not scales or not all(0 <= weight < math.inf for weight in scales) or sum(scales) == 0:
            raise Refusal(f"loss.ms_gmsd.scales={list(scales)} are not weights >= 0, one per scale and not all 0")
        self.needs = target_needs(target, term="ms_gmsd")
        self.chromatic, self.scales, self.target = chromatic, tuple(scales), target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = (in_colour(picture) for picture in unit_pair(evidence, self.target, term="ms_gmsd"))
        return ms_gmsd(x, y, chromatic=self.chromatic, scales=self.scales)


def _variance(x: Tensor, y: Tensor, *, t: float, masking: float) -> Tensor:
    """Variance of the similarity (2ab - k ab + t) / (a^2 + b^2 - k ab + t) of gradients a, b: (b,)."""
    a, b = _gradient(x), _gradient(y)
    # 1 - similarity varies as much, and is exactly 0 where a = b
    dissimilarity = (a - b).square() / (a.square() + b.square() - masking * a * b + t)
    return dissimilarity.var((1, 2, 3), correction=0)


def _gradient(x: Tensor) -> Tensor:
    """Magnitude of Prewitt's derivatives: (b, 1, h, w) -> the same."""
    ramp = torch.tensor([-1.0, 0.0, 1.0], dtype=x.dtype, device=x.device).expand(3, 3) / 3
    with torch.autocast(x.device.type, enabled=False):
        both = F.conv2d(x, torch.stack([ramp, ramp.T])[:, None], padding=1)
    return (both.square().sum(1, keepdim=True) + ROOT_EPS).sqrt()


def _yiq(x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):  # a convolution: a product's gradient would be autocast
        return F.conv2d(x, torch.tensor(YIQ, dtype=x.dtype, device=x.device)[:, :, None, None])


def _halved(x: Tensor) -> Tensor:
    odd = max(x.shape[-2] % 2, x.shape[-1] % 2)
    return F.avg_pool2d(F.pad(x, (0, odd, 0, odd)), 2)
