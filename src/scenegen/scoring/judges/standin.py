"""A mark from four picture statistics in the place of an aesthetic model, for machines without weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.scoring.judges.protocols import RENDERED, require_uint8

LUMA = (0.299, 0.587, 0.114)  # Rec. 601


class StandIn(nn.Module):
    """NOT an aesthetic model: a smooth mark from four picture statistics, for machines without weights.

    mark = 10 exp(-(c^2 + k^2 + s^2 + e^2) / 2) with
    c = ln((colourfulness + 4) / 44) / 1.5,  k = ln((contrast + 0.023) / 0.253) / 0.8,
    s = ln((sharpness + 0.003) / 0.036) / 0.8,  e = (exposure - 0.47) / 0.25.
    The centres (40, 0.23, 0.033, 0.47) are those of ordinary daylight photographs, so grey, flat, blurred, noisy,
    dark and burnt pictures all lose; the top mark says "statistics of a photograph", not "beautiful".

    Attributes:
        name, stamp: for the score table and the protocol.
        stand_in: True; a total computed with it does not compare with contest numbers.

    Source: the statistics are those of `colourfulness`, `contrast`, `sharpness`, `exposure` below; the mapping is ours.
    """

    name = "stand-in"
    stamp = "stand-in (four picture statistics, not an aesthetic model)"
    stand_in = True
    ranks = RENDERED

    def forward(self, image: Tensor) -> Tensor:
        """Mark of every picture.

        Args:
            image: (b, 3, h, w) uint8.

        Returns:
            (b,) float in [0, 10].

        Raises:
            Refusal: not uint8.
        """
        require_uint8(image, what="an aesthetic mark")
        x = image.float()
        c = _ratio(colourfulness(x), 40.0) / 1.5
        k = _ratio(contrast(x), 0.23) / 0.8
        s = _ratio(sharpness(x), 0.033) / 0.8
        e = (exposure(x) - 0.47) / 0.25
        return 10 * torch.exp(-(c.square() + k.square() + s.square() + e.square()) / 2)


def colourfulness(image: Tensor) -> Tensor:
    """Colourfulness of every picture: 0 grey, about 60 a vivid photograph, above 100 garish.

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float, at least 0.

    Source: Hasler & Suesstrunk, Measuring colourfulness in natural images (2003), section 7.
    """
    r, g, b = image.float().flatten(2).unbind(1)
    rg, yb = r - g, 0.5 * (r + g) - b
    spread = (rg.var(1, unbiased=False) + yb.var(1, unbiased=False)).sqrt()
    return spread + 0.3 * (rg.mean(1).square() + yb.mean(1).square()).sqrt()


def contrast(image: Tensor) -> Tensor:
    """Standard deviation of the luma (RMS contrast).

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float in [0, 0.5].

    Source: Peli, Contrast in complex images (1990), eq. 3.
    """
    return _luma(image).flatten(1).std(1, unbiased=False)


def sharpness(image: Tensor) -> Tensor:
    """Mean length of the luma's gradient per pixel, over 2 x 2 pixels: 0.03 in a sharp photograph.

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float, at least 0.
    """
    luma = F.avg_pool2d(_luma(image)[:, None], 2, stride=1)
    dy = luma[..., 1:, :-1] - luma[..., :-1, :-1]
    dx = luma[..., :-1, 1:] - luma[..., :-1, :-1]
    return (dx.square() + dy.square()).sqrt().mean((1, 2, 3))


def exposure(image: Tensor) -> Tensor:
    """Mean luma.

    Args:
        image: (b, 3, h, w) in [0, 255].

    Returns:
        (b,) float in [0, 1].
    """
    return _luma(image).mean((1, 2))


def _luma(image: Tensor) -> Tensor:
    weights = torch.tensor(LUMA, device=image.device).view(1, 3, 1, 1)
    return (image.float() * weights).sum(1) / 255  # (b, h, w)


def _ratio(x: Tensor, centre: float) -> Tensor:
    floor = 0.1 * centre  # keeps a statistic of 0 finite
    return torch.log((x + floor) / (centre + floor))
