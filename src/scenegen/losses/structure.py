"""Structural similarity: SSIM, MS-SSIM, and Zhao's mix of MS-SSIM and L1.

Small separable forms: 2 x 11 taps in place of 11 x 11, and 2 x 33 in place of 33 x 33 for Zhao's mix, whose
widely copied port is slower by that much and pairs channels with wrong widths in older releases.

Family: Pictures
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.devices import sent
from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import unit_pair

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)
RADIUS = 16  # of Zhao's windows; also the zero padding
C1, C2 = 0.01**2, 0.03**2
PADDINGS = ("zeros", "replicate")
MIXES = ("zhao", "dyadic")


def ssim(x: Tensor, y: Tensor, *, window: int = 11, sigma: float = 1.5) -> Tensor:
    """1 - SSIM, over windows that lie inside the picture.

    piq averages larger pictures down to about 256 pixels first, unasked; this does not.

    Args:
        x, y: (b, c, h, w) in [0, 1], the generated and the target picture, at least `window` a side.
        window: taps of the Gaussian.
        sigma: its width in pixels.

    Returns:
        A scalar in [0, 2]; 0 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size or are smaller than the window.

    Source: Wang et al., TIP 2004, eq. 13.
    """
    refuse_unlike(x, y, term="ssim", where="the pixels")
    h, w = x.shape[-2:]
    if min(h, w) < window:
        raise Refusal(f"loss.ssim.window={window} does not fit into {h}x{w} pictures; use a smaller window")
    luminance, contrast = _similarities(full_precision(x), full_precision(y), _gaussian(window, sigma))
    return 1 - (luminance * contrast).mean()


class Ssim(Term):
    """`ssim` of pictures brought to [0, 1].

    Args:
        window, sigma: see `ssim`.
        target: "real" or "exemplar".

    Formula: 1 - mean((2 m_x m_y + c1) (2 cov + c2) / ((m_x^2 + m_y^2 + c1) (v_x + v_y + c2)))
    Range: pictures in [-1, 1], brought to [0, 1]; in [0, 2], 0 for equal pictures
    """

    def __init__(self, *, window: int, sigma: float, target: str) -> None:
        super().__init__()
        checked_window(window, sigma, term="ssim")
        self.needs = target_needs(target, term="ssim")
        self.window, self.sigma, self.target = window, sigma, target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = unit_pair(evidence, self.target, term="ssim")
        return ssim(x, y, window=self.window, sigma=self.sigma)


def ms_ssim(
    x: Tensor,
    y: Tensor,
    *,
    scales: int | None = None,
    window: int = 11,
    sigma: float = 1.5,
    padding: str = "zeros",
    term: str = "ms_ssim",
) -> Tensor:
    """1 - MS-SSIM: contrast at every scale and luminance at the last, raised to weights and multiplied.

    Args:
        x, y: (b, c, h, w) in [0, 1], the generated and the target picture.
        scales: the first so many of the paper's five weights, rescaled to the five's sum; the smaller side must
            exceed (window - 1) 2^(scales - 1), 160 for five. None takes as many as fit.
        window: taps of the Gaussian.
        sigma: its width in pixels.
        padding: of odd sides before they are halved: "zeros" on both sides, counted in the average
            (pytorch-msssim), or "replicate" at top and left (piq).
        term: name for messages.

    Returns:
        A scalar in [0, 1]; 0 for equal pictures. It is 1 without a gradient where contrast is inverted.

    Raises:
        Refusal: when the pictures differ in size or are too small for the scales.

    Source: Wang, Simoncelli and Bovik, Asilomar 2003, eq. 7.
    """
    refuse_unlike(x, y, term=term, where="the pixels")
    weights = SCALES[: _scales_that_fit(x, scales, window, term)]
    x, y, taps, factors = full_precision(x), full_precision(y), _gaussian(window, sigma), []
    for k, weight in enumerate(weights):
        if k > 0:
            x, y = _halved(x, padding), _halved(y, padding)
        luminance, contrast = _similarities(x, y, taps)
        factor = contrast if k < len(weights) - 1 else luminance * contrast
        factors.append(factor.mean((2, 3)).relu() ** (weight * sum(SCALES) / sum(weights)))  # (b, c)
    return 1 - torch.stack(factors).prod(0).mean()


class MsSsim(Term):
    """`ms_ssim` of pictures brought to [0, 1].

    Args:
        scales, window, sigma, padding: see `ms_ssim`.
        target: "real" or "exemplar".

    Formula: 1 - l_M^w_M prod_s cs_s^w_s, cs the contrast at scale s, l the luminance at the last
    Range: pictures in [-1, 1], brought to [0, 1]; in [0, 1], 0 for equal pictures
    """

    def __init__(
        self,
        *,
        scales: int | None,
        window: int,
        sigma: float,
        padding: str,
        target: str,
    ) -> None:
        super().__init__()
        checked_window(window, sigma, term="ms_ssim")
        if scales is not None and not 1 <= scales <= len(SCALES):
            raise Refusal(f"loss.ms_ssim.scales={scales} is not one of 1 to {len(SCALES)}; null takes what fits")
        if padding not in PADDINGS:
            raise Refusal(f"padding={padding} of loss.ms_ssim is not one of {', '.join(PADDINGS)}")
        self.needs = target_needs(target, term="ms_ssim")
        self.scales, self.window, self.sigma, self.padding, self.target = scales, window, sigma, padding, target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = unit_pair(evidence, self.target, term="ms_ssim")
        return ms_ssim(
            x, y, scales=self.scales, window=self.window, sigma=self.sigma, padding=self.padding
        )  # fmt: skip


def ms_ssim_l1(
    x: Tensor,
    y: Tensor,
    *,
    alpha: float = 0.84,
    mix: str = "zhao",
    compensation: float = 1.0,
    window: int = 11,
    scales: int | None = None,
) -> Tensor:
    """alpha (1 - MS-SSIM) + (1 - alpha) L1.

    Args:
        x, y: (b, c, h, w) in [0, 1], the generated and the target picture.
        alpha: share of MS-SSIM, in [0, 1].
        mix: "zhao": at full resolution, Gaussians of width 0.5 to 8 in place of scales, L1 blurred by the
            widest; pictures of any size. "dyadic": `ms_ssim` and plain L1.
        compensation: factor of the whole; the widely copied port has alpha 0.025 and 200.
        window, scales: of the dyadic mix; see `ms_ssim`.

    Returns:
        A scalar >= 0; 0 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size or are too small for the scales.

    Source: Zhao et al., IEEE Transactions on Computational Imaging 2017, eq. 11 and section 3.
    """
    refuse_unlike(x, y, term="ms_ssim_l1", where="the pixels")
    x, y = full_precision(x), full_precision(y)
    if mix == "dyadic":
        similarity = ms_ssim(x, y, window=window, scales=scales, term="ms_ssim_l1")
        return compensation * (alpha * similarity + (1 - alpha) * (x - y).abs().mean())
    contrasts, luminance = [], x
    for sigma in SIGMAS:
        luminance, contrast = _similarities(x, y, _zhao_gaussian(sigma), padded=True)
        contrasts.append(contrast)
    similarity = luminance * torch.stack(contrasts).prod(0)  # luminance at the widest
    blurred = _blur((x - y).abs(), _zhao_gaussian(SIGMAS[-1]), padded=True)
    return compensation * (alpha * (1 - similarity) + (1 - alpha) * blurred).mean()


class MsSsimL1(Term):
    """`ms_ssim_l1` of pictures brought to [0, 1].

    Args:
        alpha, mix, compensation, window, scales: see `ms_ssim_l1`.
        target: "real" or "exemplar".

    Formula: alpha (1 - MS-SSIM) + (1 - alpha) mean(G * abs(x - y)), G the widest Gaussian
    Range: pictures in [-1, 1], brought to [0, 1]; in [0, 2], 0 for equal pictures
    """

    def __init__(
        self,
        *,
        alpha: float,
        mix: str,
        compensation: float,
        window: int,
        scales: int | None,
        target: str,
    ) -> None:
        super().__init__()
        if mix not in MIXES:
            raise Refusal(f"mix={mix} of loss.ms_ssim_l1 is not one of {', '.join(MIXES)}")
        if not 0 <= alpha <= 1 or not 0 < compensation < math.inf:
            raise Refusal(f"loss.ms_ssim_l1 needs alpha in [0, 1] and compensation > 0, but has {alpha=}, "
                          f"{compensation=}")  # fmt: skip
        checked_window(window, 1.5, term="ms_ssim_l1")
        if scales is not None and not 1 <= scales <= len(SCALES):
            raise Refusal(f"loss.ms_ssim_l1.scales={scales} is not one of 1 to {len(SCALES)}; null takes what fits")
        self.options: dict[str, Any] = {
            "alpha": alpha, "mix": mix, "compensation": compensation, "window": window, "scales": scales,
        }  # fmt: skip
        self.needs = target_needs(target, term="ms_ssim_l1")
        self.target = target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = unit_pair(evidence, self.target, term="ms_ssim_l1")
        return ms_ssim_l1(x, y, **self.options)


def checked_window(window: int, sigma: float, *, term: str) -> None:
    """Refuse a Gaussian that is no odd number of taps or has no width."""
    if window < 3 or window % 2 == 0 or not 0 < sigma < math.inf:
        raise Refusal(f"loss.{term} needs an odd window >= 3 and sigma > 0, but has {window=}, {sigma=}")


def _scales_that_fit(x: Tensor, scales: int | None, window: int, term: str) -> int:
    h, w = x.shape[-2:]
    fitting = [n for n in range(1, len(SCALES) + 1) if min(h, w) > (window - 1) * 2 ** (n - 1)]
    wanted = scales or max(fitting, default=1)
    if wanted not in fitting:
        raise Refusal(
            f"loss.{term} with {wanted} scales and window={window} needs more than "
            f"{(window - 1) * 2 ** (wanted - 1)} pixels a side, but has {h}x{w} pictures; "
            f"use {max(fitting, default=0) or 'a smaller window, as no scale fits'}"
            f"{' scales' if fitting else ''}"
        )
    return wanted


def _similarities(x: Tensor, y: Tensor, taps: Tensor, *, padded: bool = False) -> tuple[Tensor, Tensor]:
    """Maps of the luminance and of the contrast-structure similarity."""
    mx, xx, xy = _blur(torch.cat([x, x * x, x * y]), taps, padded=padded).chunk(3)
    my, yy = _blur(torch.cat([y, y * y]), taps, padded=padded).chunk(2)  # apart: it needs no gradient
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    contrast = (2 * (xy - mx * my) + C2) / ((xx - mx * mx) + (yy - my * my) + C2)
    return luminance, contrast


def _blur(x: Tensor, taps: Tensor, *, padded: bool = False) -> Tensor:
    """Separable convolution of each channel, over whole windows or, padded with zeros, everywhere."""
    radius = len(taps) // 2 if padded else 0
    planes = x.flatten(0, 1)[None]  # (1, b c, h, w): as groups, a CPU takes them 30 times faster than as a batch
    count = planes.shape[1]
    taps = sent(taps.to(x.dtype), x.device).expand(count, 1, -1)
    with torch.autocast(x.device.type, enabled=False):
        planes = F.conv2d(planes, taps[..., None], padding=(radius, 0), groups=count)
        planes = F.conv2d(planes, taps[:, :, None], padding=(0, radius), groups=count)
    return planes.view(*x.shape[:2], *planes.shape[-2:])


@cache
@torch.inference_mode(False)  # what one caller has without gradients, another takes into a graph
def _gaussian(window: int, sigma: float) -> Tensor:
    taps = torch.exp(-(torch.arange(window, dtype=torch.float64) - window // 2).square() / (2 * sigma**2))
    return taps / taps.sum()


def _zhao_gaussian(sigma: float) -> Tensor:
    # beyond eight widths its 33 taps are below 1e-14
    return _gaussian(2 * min(RADIUS, math.ceil(8 * sigma)) + 1, sigma)


def _halved(x: Tensor, padding: str) -> Tensor:
    odd_h, odd_w = x.shape[-2] % 2, x.shape[-1] % 2
    if padding == "zeros":
        return F.avg_pool2d(x, 2, padding=(odd_h, odd_w))
    odd = max(odd_h, odd_w)
    return F.avg_pool2d(F.pad(x, (odd, 0, odd, 0), mode="replicate"), 2)
