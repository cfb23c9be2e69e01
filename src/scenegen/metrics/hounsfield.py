"""Distances of a denoised slice to its clean twin in a window of Hounsfield units: PSNR, RMSE, SSIM."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.fidelity import similarity

Window = tuple[float, float]
"""Least and greatest Hounsfield units; what lies outside is clipped, and their difference is the data range."""


def rmse(x: Tensor, y: Tensor, *, window: Window) -> Tensor:
    """Root mean square difference in Hounsfield units.

    Args:
        x, y: (b, 1, h, w) in Hounsfield units, the made and the clean slice.
        window: see `Window`.

    Returns:
        (b,) float64 >= 0.

    Raises:
        Refusal: shapes that differ.
    """
    x, y = _inside(x, y, window)
    return (x - y).square().mean((1, 2, 3)).sqrt()


def psnr(x: Tensor, y: Tensor, *, window: Window) -> Tensor:
    """Peak signal-to-noise ratio in decibels, 20 log10((high - low) / rmse); infinite for equal slices.

    A narrow window gives lower numbers than a wide one, so that only those of one window compare.

    Args:
        x, y, window: see `rmse`.

    Returns:
        (b,) float64.
    """
    return 20 * torch.log10((window[1] - window[0]) / rmse(x, y, window=window))


def ssim(x: Tensor, y: Tensor, *, window: Window, taps: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity with zeros laid around both slices, so that borders count (log 003, RED-CNN's code).

    Args:
        x, y, window: see `rmse`.
        taps: of the Gaussian a side, odd.
        sigma: its width in pixels.

    Returns:
        (b,) float64 in [-1, 1]; 1 for equal slices.

    Source: Wang et al., Image quality assessment: from error visibility to structural similarity (2004), eq. 13.
    """
    x, y = _inside(x, y, window)
    width = window[1] - window[0]
    constants = (0.01 * width) ** 2, (0.03 * width) ** 2
    return similarity(x, y, window=taps, sigma=sigma, constants=constants, padding=taps // 2)


def _inside(x: Tensor, y: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    """Both slices clipped to the window, as float64."""
    if x.ndim != 4 or x.shape != y.shape:
        raise Refusal(f"slices are compared as two (b, 1, h, w) of one shape, got {tuple(x.shape)} and "
                      f"{tuple(y.shape)}; give slices of one size")  # fmt: skip
    return x.double().clamp(*window), y.double().clamp(*window)
