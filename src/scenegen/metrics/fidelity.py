"""Distances of a made picture to the photograph that it should be: L1, RMSE, PSNR, SSIM, LPIPS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.refusal import Refusal

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""Wang's constants for 255 grey levels."""


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference, mean |x - y| / 255.

    Args:
        x, y: (b, c, h, w) uint8, the made picture and the photograph.

    Returns:
        (b,) float64 in [0, 1].

    Raises:
        Refusal: not uint8, or shapes that differ.
    """
    return _difference(x, y, what="l1").abs().mean((1, 2, 3)) / 255


def rmse(x: Tensor, y: Tensor) -> Tensor:
    """Root mean square difference, sqrt(mean (x - y)^2) / 255.

    Args:
        x, y: (b, c, h, w) uint8, the made picture and the photograph.

    Returns:
        (b,) float64 in [0, 1].

    Raises:
        Refusal: not uint8, or shapes that differ.
    """
    return _difference(x, y, what="rmse").square().mean((1, 2, 3)).sqrt() / 255


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in decibels, 10 log10(255^2 / mean (x - y)^2).

    Args:
        x, y: (b, c, h, w) uint8, the made picture and the photograph.

    Returns:
        (b,) float64, at least 0; infinite for equal pictures.

    Raises:
        Refusal: not uint8, or shapes that differ.

    Source: ITU-T J.340 (2010), eq. 1, over all channels at once.
    """
    error = _difference(x, y, what="psnr").square().mean((1, 2, 3))
    return 10 * torch.log10(255**2 / error)


def psnr_ceiling(shape: Sequence[int]) -> float:
    """PSNR of two pictures (c, h, w) that differ by one grey level in one channel of one pixel.

    The largest finite value, which stands for equal pictures where a mean over pictures is taken.
    """
    return float(10 * torch.log10(torch.tensor(255.0**2 * torch.Size(shape).numel(), dtype=torch.float64)))


def total_variation(x: Tensor) -> Tensor:
    """Mean over pixels and channels of sqrt(dx^2 + dy^2), in grey levels; neighbours wrap around the border.

    Args:
        x: (b, c, h, w) uint8, the made picture.

    Returns:
        (b,) float64 in [0, 361].

    Raises:
        Refusal: not uint8.

    Source: the script of Zheng et al., CVPR 2019 (PICNet), with which the log's inpainting rows were measured.
    """
    if x.dtype != torch.uint8:
        raise Refusal(f"tv compares pictures as they are on disk, uint8, got {x.dtype}")
    wide = x.double()
    dy, dx = wide - wide.roll(-1, 2), wide - wide.roll(-1, 3)
    return (dx.square() + dy.square()).sqrt().mean((1, 2, 3))


def ssim(x: Tensor, y: Tensor, *, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity, mean over channels and over the windows that lie inside the picture of
    (2 m_x m_y + c1) (2 cov + c2) / ((m_x^2 + m_y^2 + c1) (v_x + v_y + c2)).

    Args:
        x, y: (b, c, h, w) uint8, the made picture and the photograph, at least `window` a side.
        window: taps of the Gaussian a side.
        sigma: its width in pixels.

    Returns:
        (b,) float64 in [-1, 1]; 1 for equal pictures.

    Raises:
        Refusal: not uint8, shapes that differ, or pictures smaller than the window.

    Source: Wang et al., Image quality assessment: from error visibility to structural similarity (2004), eq. 13.
    """
    _require_alike(x, y, what="ssim")
    h, w = x.shape[-2:]
    if min(h, w) < window:
        raise Refusal(f"ssim needs pictures of at least {window} pixels a side, got {w}x{h}")
    return similarity(x.double(), y.double(), window=window, sigma=sigma, constants=(C1, C2), padding=0)


def similarity(
    x: Tensor, y: Tensor, *, window: int, sigma: float, constants: tuple[float, float], padding: int
) -> Tensor:
    """Wang's index of two pictures of any range, see `ssim`.

    Args:
        x, y: (b, c, h, w) float64.
        window, sigma: of the Gaussian.
        constants: c1 and c2 of that range.
        padding: zeros around both pictures.

    Returns:
        (b,).
    """
    b, c = x.shape[:2]
    at = torch.arange(window, dtype=torch.float64, device=x.device) - (window - 1) / 2
    taps = torch.exp(-at.square() / (2 * sigma**2))
    taps = taps / taps.sum()
    stack = torch.cat([x, y, x * x, y * y, x * y])  # (5b, c, h, w)
    stack = F.pad(stack, (padding,) * 4).flatten(0, 1)[:, None]  # (5bc, 1, h + 2 padding, w + 2 padding)
    stack = F.conv2d(stack, taps.view(1, 1, -1, 1))  # (5bc, 1, h + 2 padding - window + 1, w + 2 padding)
    stack = F.conv2d(stack, taps.view(1, 1, 1, -1))  # (5bc, 1, h', w'), a place per window
    m_x, m_y, xx, yy, xy = stack.view(5, b, c, *stack.shape[-2:])
    v_x, v_y, cov = xx - m_x.square(), yy - m_y.square(), xy - m_x * m_y
    c1, c2 = constants
    top = (2 * m_x * m_y + c1) * (2 * cov + c2)
    return (top / ((m_x.square() + m_y.square() + c1) * (v_x + v_y + c2))).mean((1, 2, 3))


def lpips(features_x: Sequence[Tensor], features_y: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Sum over layers of mean over positions of sum_c w_c (x_c / norm(x) - y_c / norm(y))^2.

    Args:
        features_x, features_y: per layer (b, c, h, w), of the made picture and the photograph.
        heads: per layer (c,), at least 0.

    Returns:
        (b,) at least 0; 0 for equal pictures.

    Raises:
        Refusal: maps of different sizes, or heads that do not fit the channels.

    Source: Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric (2018), eq. 1.
    """
    total = []
    for k, (x, y, head) in enumerate(zip(features_x, features_y, heads, strict=True)):
        if x.shape != y.shape or head.numel() != x.shape[1]:
            raise Refusal(
                f"lpips compares maps of one size with a weight per channel; at feature {k} they are {tuple(x.shape)} "
                f"and {tuple(y.shape)} with {head.numel()} weights; choose the heads of the extractor, or heads=uniform"
            )
        difference = x / (x.norm(dim=1, keepdim=True) + 1e-10) - y / (y.norm(dim=1, keepdim=True) + 1e-10)
        total.append((difference.square() * head.to(x).view(1, -1, 1, 1)).sum(1).mean((1, 2)))
    return torch.stack(total).sum(0)


def _difference(x: Tensor, y: Tensor, *, what: str) -> Tensor:
    """x - y as float64."""
    _require_alike(x, y, what=what)
    return x.double() - y.double()


def _require_alike(x: Tensor, y: Tensor, *, what: str) -> None:
    if x.dtype != torch.uint8 or y.dtype != torch.uint8 or x.ndim != 4 or x.shape != y.shape:
        raise Refusal(
            f"{what} compares two (b, c, h, w) uint8 batches of one shape, got {tuple(x.shape)} {x.dtype} and "
            f"{tuple(y.shape)} {y.dtype}"
        )
