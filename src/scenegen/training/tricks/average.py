"""Exponential moving average of a model."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal


class Ema(nn.Module):
    """A second copy of a model whose parameters follow the trained one slowly.

    After step t (counted from 0) every parameter becomes d e + (1 - d) p with d = min(decay, (1 + t) / (10 + t)),
    so that the first steps are not dominated by the random start. Buffers (running statistics, spectral-norm
    vectors) are copied as they are.

    Args:
        model: the model to follow; copied at once, so build the average before the first forward.
        decay: d in [0, 1) of the long run.
        warmup: false has d = decay from the first step on, as OASIS and CoCosNet.
        average_buffers: buffers of floats are averaged too, as OASIS does.

    Raises:
        Refusal: for a decay outside [0, 1).

    Source: the warm-up is TensorFlow's ExponentialMovingAverage(num_updates); Karras et al. 2018 use the average
        of a generator for evaluation; Sushko et al. 2021 (OASIS), official release, for `average_buffers`.
    """

    def __init__(self, model: nn.Module, *, decay: float, warmup: bool, average_buffers: bool) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise Refusal(f"trick.average.decay={decay} must be at least 0 and below 1; 0.999 is usual")
        self.decay = decay
        self.warmup = warmup
        self.average_buffers = average_buffers
        self.average = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, *, step: int) -> None:
        """Move the average towards the model; `step` counts from 0."""
        d = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        average: list[Tensor] = list(self.average.parameters())
        trained: list[Tensor] = list(model.parameters())
        for mean, value in zip(self.average.buffers(), model.buffers(), strict=True):
            if self.average_buffers and mean.is_floating_point():
                average.append(mean)
                trained.append(value)
            else:
                mean.copy_(value)
        torch._foreach_lerp_(average, trained, 1 - d)

    def train(self, mode: bool = True) -> Ema:
        """Stay in eval mode, since the average is for evaluation only."""
        return super().train(False)
