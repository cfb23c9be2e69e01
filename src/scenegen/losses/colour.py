"""Colour consistency: equal mean colour and equal covariance of colours, wherever the colours are.

Family: Pictures
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, target_needs
from scenegen.losses.objective import Evidence, Term


def colour_consistency(x: Tensor, y: Tensor, *, covariance: float = 5.0) -> Tensor:
    """Mean square difference of the mean colours, plus that of the colours' covariances.

    Args:
        x, y: (b, 3, h, w) and (b, 3, h', w') pictures; their sizes may differ.
        covariance: weight of the second part, relative to the first.

    Returns:
        A scalar >= 0; 0 for pictures with the same pixels in any order.

    Source: Zhang et al., TPAMI 2018 (StackGAN++), eq. 5, with the code's 5 where the paper leaves both weights open.
    """
    if x.shape[:2] != y.shape[:2]:
        raise Refusal(f"loss.colour compares pictures one by one, but has {tuple(x.shape)} and {tuple(y.shape)}")
    (mean_x, cov_x), (mean_y, cov_y) = _moments(x), _moments(y)
    return F.mse_loss(mean_x, mean_y) + covariance * F.mse_loss(cov_x, cov_y)


class Colour(Term):
    """`colour_consistency` of the generated picture with its target.

    Args:
        target: "real", "exemplar", or "coarse" for the picture of the size before, where a trick makes one.
        covariance: see `colour_consistency`.

    Formula: mean((m_x - m_y)^2) + 5 mean((C_x - C_y)^2), m the mean colour, C the covariance of colours
    Range: pictures in [-1, 1]; >= 0, 0 for equal pictures
    """

    def __init__(self, *, target: str, covariance: float) -> None:
        super().__init__()
        if not 0 <= covariance < math.inf:
            raise Refusal(f"loss.colour.covariance={covariance} is not a weight >= 0; the code's is 5")
        self.needs = frozenset({"coarse"}) if target == "coarse" else target_needs(target, term="colour")
        self.target, self.covariance = target, covariance

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = evidence.picture("fake"), evidence.picture(self.target).detach()
        return colour_consistency(x, y, covariance=self.covariance)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    pixels = full_precision(x).flatten(2)  # (b, 3, p)
    mean = pixels.mean(2, keepdim=True)
    centred = pixels - mean
    # no matrix product: autocast would round it
    return mean, (centred[:, :, None] * centred[:, None]).mean(3)  # (b, 3, 1), (b, 3, 3)
