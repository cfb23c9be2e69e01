"""MS-SSIM + L1 with the windows' widths spread over the channels: the log's code, to repeat its rows.

Family: Inpainting
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.devices import sent
from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, refuse_unlike
from scenegen.losses.structure import C1, C2, RADIUS, SIGMAS

CHANNELS = 3


def ms_ssim_l1_mixed(x: Tensor, y: Tensor, *, alpha: float, compensation: float) -> Tensor:
    """alpha (1 - l cs) + (1 - alpha) blurred L1, each window paired with the channel that a layout fault gave it.

    Fifteen windows, three of each width from narrow to wide, are read as five per channel: red is compared at widths
    0.5, 0.5, 0.5, 1, 1, green at 1, 2, 2, 2, 4 and blue at 4, 4, 8, 8, 8. Contrast is the product of all fifteen,
    luminance of the last three. The sound and faster form is `structure.ms_ssim_l1`.

    Args:
        x, y: (b, 3, h, w); its constants are those of a range of 1, on pictures in [-1, 1] as the log has them.
        alpha: share of MS-SSIM; 0.025 in the log.
        compensation: factor of the whole; 2 in the log, beside a weight of 20.

    Returns:
        A scalar >= 0; 0 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size or have other than 3 channels.

    Source: the code behind the log's seed 000; Zhao et al., IEEE TCI 2017, eq. 11, is what it meant.
    """
    refuse_unlike(x, y, term="appearance", where="the pixels")
    if x.shape[1] != CHANNELS:
        raise Refusal(f"loss.appearance.distance=ms_ssim_l1_mixed pairs widths with red, green and blue, but pictures "
                      f"have {x.shape[1]} channels; use loss.appearance.distance=ms_ssim_l1")  # fmt: skip
    x, y = full_precision(x), full_precision(y)
    windows = torch.stack([_window(sigma) for sigma in SIGMAS]).repeat_interleave(CHANNELS, 0)
    windows = sent(windows.to(x.dtype), x.device)  # (15, 33)
    mx, my, xx, yy, xy = (_blur(z, windows) for z in (x, y, x * x, y * y, x * y))  # (b, 15, h, w)
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    contrast = (2 * (xy - mx * my) + C2) / ((xx - mx * mx) + (yy - my * my) + C2)
    similarity = luminance[:, -CHANNELS:].prod(1) * contrast.prod(1)  # (b, h, w)
    blurred = _blur((x - y).abs(), windows[-CHANNELS:]).mean(1)  # (b, h, w)
    return compensation * (alpha * (1 - similarity) + (1 - alpha) * blurred).mean()


def _window(sigma: float) -> Tensor:
    """(33,) taps of one side, in float32 as released."""
    at = torch.arange(2 * RADIUS + 1, dtype=torch.float32) - RADIUS
    taps = torch.exp(-at.square() / (2 * sigma**2))
    return taps / taps.sum()


def _blur(x: Tensor, windows: Tensor) -> Tensor:
    """Each channel (b, 3, h, w) under its share of the windows (n, 33): (b, n, h, w).

    In float32 one side after the other, 8 times faster; the release rounds the products of both sides' taps to
    float32, which float64 sees.
    """
    if x.dtype == torch.float64:
        products = (windows.float()[:, :, None] * windows.float()[:, None]).to(x)  # (n, 33, 33)
        return F.conv2d(x, products[:, None], padding=RADIUS, groups=CHANNELS)
    down = F.conv2d(x, windows[:, None, :, None], padding=(RADIUS, 0), groups=CHANNELS)
    return F.conv2d(down, windows[:, None, None, :], padding=(0, RADIUS), groups=len(windows))
