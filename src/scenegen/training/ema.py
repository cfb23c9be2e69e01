"""Exponential moving average of a model."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema(nn.Module):
    """A second copy of a model whose parameters follow the trained one slowly.

    After step t (counted from 0) every parameter becomes d e + (1 - d) p with d = min(decay, (1 + t) / (10 + t)),
    so that the first steps are not dominated by the random start. Buffers (running statistics, spectral-norm
    vectors) are copied as they are.

    Args:
        model: the model to follow; copied at once, so build the average before the first forward.
        decay: d in [0, 1) of the long run.

    Source: the warm-up is TensorFlow's ExponentialMovingAverage(num_updates); Karras et al. 2018 use the average
        of a generator for evaluation.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.average = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Move the average towards the model; `step` counts from 0."""
        d = min(self.decay, (1 + step) / (10 + step))
        average: list[Tensor] = list(self.average.parameters())
        trained: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(average, trained, 1 - d)
        for mean, value in zip(self.average.buffers(), model.buffers(), strict=True):
            mean.copy_(value)

    def train(self, mode: bool = True) -> Ema:
        """The average is for evaluation alone and stays in eval mode."""
        return super().train(False)
