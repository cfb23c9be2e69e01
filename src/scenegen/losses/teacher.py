"""Distillation from the model's own average: the picture stays near the one that the average makes.

Family: Own networks
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import l1


class Teacher(Term):
    """L1 between the picture and that of the model's moving average (trick=ema), in eval mode and without a gradient.

    Args:
        noise: deviation of Gaussian noise that is added to what the average reads as its source, in the units of
            pictures; 0 shows both the same.

    Formula: mean(abs(G(s) - mean(G)(s + noise)))
    Range: pictures in [-1, 1]; >= 0, 0 where the average agrees
    Source: Tarvainen and Valpola, NeurIPS 2017 (mean teacher), equation 1, on pictures.
    """

    needs: frozenset[str] = frozenset({"average"})

    def __init__(self, *, noise: float) -> None:
        super().__init__()
        if not 0 <= noise < math.inf:
            raise Refusal(f"loss.teacher.noise={noise} must be 0 or more and finite; 0 shows both the same picture")
        self.noise = noise

    def forward(self, evidence: Evidence) -> Tensor:
        if evidence.average is None:
            raise Refusal("loss.teacher reads the model's average, which the step did not give; use trick=ema")
        batch = evidence.batch
        if self.noise:
            source = batch.require("source")
            draws = torch.Generator().manual_seed(evidence.seed)
            added = torch.randn(source.shape, generator=draws).to(source)
            batch = dataclasses.replace(batch, source=source + self.noise * added)
        return l1(evidence.picture("fake"), evidence.average(batch).image)
