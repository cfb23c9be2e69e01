"""Noise of a learnt strength per class in every modulated normalisation, and the planes that it is drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.spade import nearest

WORD = 0xFFFFFFFF


class Pass(NamedTuple):
    """What one pass of a generator draws from.

    Attributes:
        planes: (b, classes, h, w) one-hot labels.
        keys: (b,) or (1,) int64 in [0, 2^32), one per sample.
    """

    planes: Tensor
    keys: Tensor


class NoiseField:
    """Noise of all layers of one generator: a number is a hash of the sample's key, the layer and the position.

    No generator has a state, so that equal noise of a sample paints an equal picture at any batch size, on any device
    and after any interruption.
    """

    def __init__(self) -> None:
        self._pass: Pass | None = None

    @contextmanager
    def drawn(self, planes: Tensor, noise: Tensor | None) -> Iterator[None]:
        """Let the layers draw for the samples of one pass.

        Args:
            planes: (b, classes, h, w) one-hot labels.
            noise: (b, ...) or (1, ...) the samples' noise; the first number of each is its key.

        Raises:
            Refusal: without noise.
        """
        if noise is None:
            raise Refusal("class noise is drawn from the noise of each sample, and none is given; give noise of the "
                          "model's noise_shape, or train without trick=class_noise")  # fmt: skip
        with self.during(Pass(planes, keys_of(noise))):
            yield

    @property
    def current(self) -> Pass | None:
        """The pass that layers draw for; None outside one."""
        return self._pass

    @contextmanager
    def during(self, drawn: Pass | None) -> Iterator[None]:
        """Let the layers draw for a pass again, such as one whose activations are computed again."""
        now, self._pass = self._pass, drawn
        try:
            yield
        finally:
            self._pass = now

    def at(self, size: torch.Size, *, layer: int) -> Pass:
        """One-hot labels at a size, and the standard normal noise of a layer, (b or 1, 1, h, w).

        Raises:
            Refusal: outside a pass.
        """
        if self._pass is None:
            raise Refusal("class noise belongs to a whole model; paint with the model, not with its generator alone")
        planes, keys = self._pass
        return Pass(nearest(planes, size), normal_of(keys, layer=layer, size=size).to(planes.dtype))


class ClassNoise(nn.Module):
    """Features plus noise, equal in all channels, times a learnt weight per class and channel that starts at zero.

    Args:
        channels: of the features.
        classes: of the label maps.
        gain: times the learnt weights: Adam changes a weight by about its rate a step, so noise grows `gain` times
            as fast as other weights do.
        field: of all layers of the generator.
        layer: number of this layer, so that no two draw the same noise.

    Source: Karras et al., CVPR 2019 (StyleGAN), section 3.2 (noise inputs); a weight per class as in the winning entry
        of the 2022 contest (APF-GAN, Li et al. 2024).
    """

    def __init__(self, channels: int, *, classes: int, gain: float, field: NoiseField, layer: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, channels))
        self.gain = gain
        self.field = field
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        planes, noise = self.field.at(x.shape[-2:], layer=self.layer)
        strength = F.conv2d(planes.to(x.dtype), (self.gain * self.weight).t()[:, :, None, None].to(x.dtype))
        return torch.addcmul(x, strength, noise.to(x.dtype))


def keys_of(noise: Tensor) -> Tensor:
    """Key of each sample: the bits of the first number of its noise, (b,) int64 in [0, 2^32)."""
    return noise.detach().flatten(1)[:, 0].float().view(torch.int32).long() & WORD


def normal_of(keys: Tensor, *, layer: int, size: tuple[int, int] | torch.Size) -> Tensor:
    """Standard normal numbers as a function of their place alone, (b, 1, h, w) float32.

    Args:
        keys: (b,) int64.
        layer: number of the layer.
        size: (h, w).
    """
    h, w = size
    rows = _mixed(
        _mixed(keys ^ _mixed(torch.full_like(keys, layer + 1)))[:, None] + torch.arange(h, device=keys.device)
    )
    words = _mixed(rows[:, :, None] + torch.arange(w, device=keys.device) * 0x9E3779B9)
    uniform = ((words >> 9).float() + 0.5) * 2.0**-23  # 23 bits: every value is a float32, none is 0 or 1
    return torch.special.ndtri(uniform)[:, None]


def _mixed(word: Tensor) -> Tensor:
    """A bijection of 32-bit words in which every bit of the result depends on all bits.

    Source: Ellis 2018, prospecting for hash functions (lowbias32).
    """
    word = word & WORD
    word = ((word ^ (word >> 16)) * 0x7FEB352D) & WORD
    word = ((word ^ (word >> 15)) * 0x846CA68B) & WORD
    return word ^ (word >> 16)
