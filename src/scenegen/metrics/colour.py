"""Colour agreement of two pictures: the correlation of their colour histograms."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal


def colour_histogram(image: Tensor, *, bins: int = 8) -> Tensor:
    """Joint RGB histogram of every picture.

    Args:
        image: (b, 3, h, w) uint8.
        bins: bins per channel, a divisor of 256.

    Returns:
        (b, bins ** 3) float64 shares that sum to 1 per picture.

    Raises:
        Refusal: not uint8 RGB, or 256 is no multiple of bins.
    """
    if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] != 3:
        raise Refusal(f"a colour histogram needs (b, 3, h, w) uint8, got {tuple(image.shape)} {image.dtype}")
    if bins < 2 or 256 % bins:
        raise Refusal(f"{bins} bins per channel do not divide 256 grey levels; use 2, 4, 8, 16, ...")
    b, _, h, w = image.shape
    level = image.long() // (256 // bins)
    cell = (level[:, 0] * bins + level[:, 1]) * bins + level[:, 2]  # (b, h, w)
    cells = bins**3
    offset = torch.arange(b, device=image.device).view(b, 1, 1) * cells
    counts = torch.bincount((cell + offset).flatten(), minlength=b * cells)
    return counts.view(b, cells).double() / (h * w)


def histogram_correlation(image: Tensor, reference: Tensor, *, bins: int = 8) -> Tensor:
    """Pearson correlation of the colour histograms of picture pairs.

    The contest of 2023 names this quantity but publishes neither the colour space nor the bins; joint RGB with 8
    bins per channel is this project's choice and part of its protocol.

    Args:
        image: (b, 3, h, w) uint8.
        reference: (b, 3, h', w') uint8, the style picture of each.
        bins: bins per channel.

    Returns:
        (b,) float64 in [-1, 1]; two histograms without any variation correlate with 1.

    Source: Jittor challenge 2023, track 1, "style similarity".
    """
    x, y = colour_histogram(image, bins=bins), colour_histogram(reference, bins=bins)
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    norm = x.norm(dim=1) * y.norm(dim=1)
    flat = norm < 1e-15
    correlation = (x * y).sum(1) / norm.masked_fill(flat, 1.0)
    both_flat = (x.norm(dim=1) + y.norm(dim=1)) < 1e-15
    return torch.where(flat, both_flat.double(), correlation).clamp(-1.0, 1.0)
