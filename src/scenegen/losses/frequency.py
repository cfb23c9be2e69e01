"""Focal frequency loss: spectra are compared, badly fitted frequencies first.

Family: Pictures
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import pair


def focal_frequency(
    x: Tensor,
    y: Tensor,
    *,
    alpha: float = 1.0,
    patch_factor: int = 1,
    ave_spectrum: bool = False,
    log_matrix: bool = False,
    batch_matrix: bool = False,
    matrix: Tensor | None = None,
) -> Tensor:
    """Mean squared difference of spectra, weighted by its own size, which gives no gradient.

    The same values as the package focal-frequency-loss 0.3.0, which transforms both pictures whole, waits
    for the device twice a step and stops in half precision: here the difference is transformed once, and as
    a real picture's spectrum is its own mirror image, only half of it.

    Args:
        x, y: (b, c, h, w) of any range, the generated and the target picture; weights are relative, so
            twice the range gives four times the value.
        alpha: exponent of the weights, >= 0; 0 weighs all frequencies alike.
        patch_factor: p; the picture is cut into p x p tiles with a spectrum each.
        ave_spectrum: compares spectra averaged over the batch.
        log_matrix: takes log(weight + 1).
        batch_matrix: weights relative to the largest of the whole batch, not of each tile and channel.
        matrix: (b, p^2, c, h/p, w/p) weights in place of the loss's own.

    Returns:
        A scalar >= 0; 0 for equal pictures.

    Raises:
        Refusal: when the pictures differ in size or cannot be cut into p x p tiles.

    Source: Jiang et al., ICCV 2021, eqs. 7-9.
    """
    refuse_unlike(x, y, term="focal_frequency", where="the pixels")
    difference = _tiles(full_precision(x) - full_precision(y), patch_factor)
    width = difference.shape[-1]
    spectrum = torch.fft.rfft2(difference, norm="ortho")  # (b, p^2, c, h/p, w/(2p) + 1)
    if ave_spectrum:
        spectrum = spectrum.mean(0, keepdim=True)
    energy = torch.view_as_real(spectrum).square().sum(-1)
    weight = _weights(energy.detach(), alpha, log_matrix, batch_matrix) if matrix is None else _half(matrix)
    return (weight.to(energy) * energy * _mirrored_columns(energy, width)).sum(-1).mean() / width


class FocalFrequency(Term):
    """`focal_frequency` on pictures in [-1, 1], as in the log.

    Args:
        alpha, patch_factor, ave_spectrum, log_matrix, batch_matrix: see `focal_frequency`; the package's
            loss_weight is the term's weight.
        target: "real" or "exemplar".

    Formula: mean(w abs(F_x - F_y)^2), w = abs(F_x - F_y)^alpha / its maximum, F the orthonormal spectrum
    Range: pictures in [-1, 1]; >= 0, 0 for equal pictures
    """

    def __init__(
        self,
        *,
        alpha: float,
        patch_factor: int,
        ave_spectrum: bool,
        log_matrix: bool,
        batch_matrix: bool,
        target: str,
    ) -> None:
        super().__init__()
        if not 0 <= alpha < math.inf:
            raise Refusal(f"loss.focal_frequency.alpha={alpha} is not a number >= 0; 1 is the paper's")
        if patch_factor < 1:
            raise Refusal(f"loss.focal_frequency.patch_factor={patch_factor} is not a number >= 1; 1 does not cut")
        self.options: dict[str, Any] = {
            "alpha": alpha, "patch_factor": patch_factor, "ave_spectrum": ave_spectrum,
            "log_matrix": log_matrix, "batch_matrix": batch_matrix,
        }  # fmt: skip
        self.needs = target_needs(target, term="focal_frequency")
        self.target = target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = pair(evidence, self.target, term="focal_frequency")
        return focal_frequency(x, y, **self.options)


def _tiles(x: Tensor, p: int) -> Tensor:
    b, c, h, w = x.shape
    if h % p or w % p:
        raise Refusal(
            f"loss.focal_frequency.patch_factor={p} cannot cut a {h}x{w} picture into {p}x{p} equal tiles; "
            f"use a common divisor of {h} and {w}"
        )
    tiles = x.view(b, c, p, h // p, p, w // p).permute(0, 2, 4, 1, 3, 5)
    return tiles.reshape(b, p * p, c, h // p, w // p)


def _weights(energy: Tensor, alpha: float, log_matrix: bool, batch_matrix: bool) -> Tensor:
    weight = energy.pow(alpha / 2)
    if log_matrix:
        weight = weight.log1p()
    largest = weight.amax() if batch_matrix else weight.amax((-2, -1), keepdim=True)
    return (weight / largest).nan_to_num(nan=0.0).clamp(0, 1)  # 0 / 0 where a channel is fitted exactly


def _half(matrix: Tensor) -> Tensor:
    # the energy is symmetric, so a frequency and its mirror image share the mean of their two weights
    mirror = matrix.flip((-2, -1)).roll((1, 1), (-2, -1))
    return ((matrix + mirror) / 2)[..., : matrix.shape[-1] // 2 + 1]


def _mirrored_columns(energy: Tensor, width: int) -> Tensor:
    """Number of columns of the whole spectrum that each column of the half stands for."""
    columns = energy.new_full((energy.shape[-1],), 2.0)
    columns[0] = 1
    if width % 2 == 0:
        columns[-1] = 1
    return columns
