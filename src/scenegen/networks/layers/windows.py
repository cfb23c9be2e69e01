"""Distinct windows of a condition: a pixel's modulation depends on the few labels around it, and most look alike."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_DISTINCT = 0.5
"""Share of distinct inner windows among the pixels above which plain convolutions take less time and memory; at
256x256 maps of CamVid, COCO-Stuff and the embedded world have 0.01 to 0.04, at 32x32 they have 0.3."""


class Windows(NamedTuple):
    """The distinct neighbourhoods of a condition; one that reaches over the border has "outside" in it.

    Attributes:
        symbols: (s, c) the distinct pixels.
        inner: (n, k * k) the symbols in each window of the first convolution; s is outside.
        outer: (m, k * k) the inner windows in each window of the second; n is outside.
        index: (b * h * w,) the outer window around each pixel.
    """

    symbols: Tensor
    inner: Tensor
    outer: Tensor
    index: Tensor


class Survey:
    """Finds the windows of a condition, once for all layers that get the same one.

    Args:
        kernel: of the modulations' convolutions.
        replicate: they see their own edge pixels beyond the border, not zeros.
    """

    def __init__(self, *, kernel: int, replicate: bool = False) -> None:
        self.kernel = kernel
        self.replicate = replicate
        self._last: tuple[Tensor, Windows | None] | None = None

    def of(self, condition: Tensor) -> Windows | None:
        """The windows of a condition (b, c, h, w), or None where too many are distinct for a table."""
        if self._last is None or self._last[0] is not condition:
            self._last = condition, self._look(condition)
        return self._last[1]

    def forget(self, *_) -> None:
        """Drop the windows after a pass: the caller may write other labels into the same tensor."""
        self._last = None

    def _look(self, condition: Tensor) -> Windows | None:
        most = MOST_DISTINCT * condition[:, 0].numel()
        symbols, ids = distinct_pixels(condition)
        if ids is None or len(symbols) > most:
            return None
        inner, ids = self._distinct(ids, len(symbols))
        if len(inner) > most:
            return None
        outer, ids = self._distinct(ids, len(inner))
        return Windows(symbols, inner, outer, ids.flatten())

    def _distinct(self, ids: Tensor, outside: int) -> tuple[Tensor, Tensor]:
        return distinct_windows(ids, outside=None if self.replicate else outside, kernel=self.kernel)


def scale_shift(windows: Windows, shared: nn.Module, gamma: nn.Module, beta: nn.Module) -> Tensor:
    """1 + gamma and beta of every outer window, by its three convolutions; gradients reach their weights.

    A k x k convolution adds k * k products, one per tap: every distinct inner window is multiplied with the weights
    of all taps, and an outer window adds up its taps' rows.

    Args:
        windows: m outer windows.
        shared, gamma, beta: a SPADE's convolutions.

    Returns:
        (m, 2 channels) in the weights' dtype, also under autocast.
    """
    with torch.autocast(windows.symbols.device.type, enabled=False):
        return modulated(windows, *table(shared, gamma, beta))


def table(shared: nn.Module, gamma: nn.Module, beta: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights by tap, for `modulated`: (c, k k, hidden), (hidden), (hidden, k k 2 channels), (2 channels)."""
    (first, first_bias), (scale, scale_bias), (shift, shift_bias) = (_by_tap(conv) for conv in (shared, gamma, beta))
    both = torch.cat([scale, shift], dim=2).flatten(1)
    return first, first_bias, both, torch.cat([scale_bias + 1, shift_bias])


def modulated(windows: Windows, shared: Tensor, shared_bias: Tensor, both: Tensor, bias: Tensor) -> Tensor:
    """1 + gamma and beta of every outer window, (m, 2 channels), from the weights of `table`."""
    k = windows.inner.shape[1]
    taps = torch.arange(k, device=windows.inner.device)
    pixels = torch.tensordot(windows.symbols.to(shared.dtype), shared, dims=1)
    pixels = F.pad(pixels.flatten(0, 1), [0, 0, 0, k])  # the last are zeros, what lies outside
    hidden = F.relu(F.embedding_bag(windows.inner * k + taps, pixels, mode="sum") + shared_bias)
    products = F.pad(hidden, [0, 0, 0, 1]) @ both
    rows = products.view(-1, len(bias))  # ((n + 1) k k, 2 channels)
    return F.embedding_bag(windows.outer * k + taps, rows, mode="sum") + bias


def distinct_pixels(condition: Tensor) -> tuple[Tensor, Tensor | None]:
    """The distinct pixels of a condition (b, c, h, w), their order any.

    Returns:
        The distinct pixels (s, c), and each pixel's number among them (b, h, w); None for the numbers where unequal
        pixels share a projection, which labels, also with edges or noise per sample, never do.
    """
    b, c, h, w = condition.shape
    weights = torch.arange(1, c + 1, device=condition.device, dtype=condition.dtype)  # exact for one class and an edge
    ids = _number(weights @ condition.flatten(2)).flatten()
    pixels = condition.permute(0, 2, 3, 1).reshape(-1, c)
    symbols = pixels[_place_of_each(ids)]
    return symbols, ids.view(b, h, w) if torch.equal(symbols[ids], pixels) else None


def distinct_windows(ids: Tensor, *, outside: int | None, kernel: int) -> tuple[Tensor, Tensor]:
    """The distinct square windows of maps of ids.

    Args:
        ids: (b, h, w) int64 in [0, outside).
        outside: the id beyond the border; None repeats the edge.
        kernel: side of the windows, odd.

    Returns:
        The ids in each distinct window, (n, kernel * kernel), and the number of each pixel's window, (b, h, w).
    """
    border = [kernel // 2] * 4
    if outside is None:
        padded = F.pad(ids.double(), border, mode="replicate").long()  # integers cannot be padded so
    else:
        padded = F.pad(ids, border, value=outside)
    code = padded
    for axis in (2, 1):
        first, *others = code.unfold(axis, kernel, 1).unbind(-1)
        code = first
        for part in others:  # numbered anew each time: the product of two counts of pixels fits into 64 bits
            code = _number(code * (part.max() + 1) + part)
    windows = padded.unfold(1, kernel, 1).unfold(2, kernel, 1).reshape(-1, kernel * kernel)
    return windows[_place_of_each(code.flatten())], code


def _number(code: Tensor) -> Tensor:
    """Numbers of the entries, from 0 on; equal entries have equal numbers."""
    return torch.unique(code, return_inverse=True)[1]


def _place_of_each(ids: Tensor) -> Tensor:
    """Index of one entry per number, of (p,) numbers from 0 on."""
    place = ids.new_empty(int(ids.max()) + 1)
    place[ids] = torch.arange(len(ids), device=ids.device)
    return place


def _by_tap(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight, (inputs, k k, outputs), and bias of a convolution."""
    weight, bias = (conv.get_parameter(name) for name in ("weight", "bias"))
    return weight.flatten(2).permute(1, 2, 0), bias
