"""Optimizers whose rate is a function of the step alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from scenegen.base.records import Refusal


class Optim(Protocol):
    """The options of the group `optim`: an optimizer per side, and its rate as a function of the step alone."""

    def build(self, parameters: Iterable[nn.Parameter], *, side: str) -> Optimizer:
        """The optimizer of one side, "generator" or "discriminator"."""
        ...

    def rate(self, step: int, *, side: str) -> float:
        """The learning rate of the step that is about to be made (counted from 0)."""
        ...


class CycleAdamW:
    """AdamW whose rate rises and falls once, in cosine halves; both sides have the same.

    The rate starts at a twenty-fifth of its peak, reaches it after 15 % of the steps (30 % at most, in very short runs)
    and ends at a ten-thousandth of its start.

    Args:
        lr: peak of the cycle.
        weight_decay: AdamW's.
        steps: of the whole run.

    Source: Loshchilov and Hutter, ICLR 2019 (AdamW); Smith and Topin 2018 (one cycle).
    """

    def __init__(self, *, lr: float, weight_decay: float, steps: int) -> None:
        if not 0 < lr < 1 or not 0 <= weight_decay < math.inf:
            raise Refusal(
                f"optim.lr={lr} must lie in (0, 1) and optim.weight_decay={weight_decay} must be 0 or more, finite"
            )
        self.lr, self.weight_decay, self.steps = lr, weight_decay, steps

    def build(self, parameters: Iterable[nn.Parameter], *, side: str) -> Optimizer:
        """The optimizer of one side."""
        return AdamW(list(parameters), lr=self.lr, weight_decay=self.weight_decay)

    def rate(self, step: int, *, side: str) -> float:
        """The learning rate of the step that is about to be made (counted from 0)."""
        last = max(1, self.steps - 1)
        peak = min(0.3, 2 / self.steps + 0.15) * last
        if step <= peak:
            return _between(self.lr / 25, self.lr, step / max(peak, 1e-9))
        return _between(self.lr, self.lr / 25e4, min(1.0, (step - peak) / max(last - peak, 1e-9)))


def _between(start: float, end: float, share: float) -> float:
    """Half a cosine from one rate to another."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class CosineAdamW:
    """AdamW at a constant rate, then down half a cosine; both sides have the same.

    Args:
        lr, lr_end: rates of the constant part and of the cosine's end.
        weight_decay, betas: AdamW's.
        constant_steps, cosine_steps: lengths of both parts; without a cosine the rate stays.

    Source: Zamir et al., CVPR 2022 (Restormer), section 4; Loshchilov and Hutter, ICLR 2017 and 2019.
    """

    def __init__(
        self,
        *,
        lr: float,
        lr_end: float,
        weight_decay: float,
        betas: Sequence[float],
        constant_steps: int,
        cosine_steps: int,
    ) -> None:
        if not 0 <= lr_end <= lr < 1 or not lr > 0 or not 0 <= weight_decay < math.inf:
            raise Refusal(f"optim.lr={lr} must lie in (0, 1), optim.lr_end={lr_end} in 0..lr, and optim.weight_decay="
                          f"{weight_decay} must be 0 or more, finite")  # fmt: skip
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise Refusal(f"optim.betas must be two numbers in [0, 1), got {list(betas)}")
        if min(constant_steps, cosine_steps) < 0:
            raise Refusal(f"optim.constant_steps={constant_steps} and optim.cosine_steps={cosine_steps} must be 0 or "
                          "more")  # fmt: skip
        self.lr, self.lr_end, self.weight_decay = lr, lr_end, weight_decay
        self.betas = (float(betas[0]), float(betas[1]))
        self.constant_steps, self.cosine_steps = constant_steps, cosine_steps

    def build(self, parameters: Iterable[nn.Parameter], *, side: str) -> Optimizer:
        """The optimizer of one side."""
        return AdamW(list(parameters), lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)

    def rate(self, step: int, *, side: str) -> float:
        """The learning rate of the step that is about to be made (counted from 0)."""
        if not self.cosine_steps or step <= self.constant_steps:
            return self.lr
        return _between(self.lr, self.lr_end, min(1.0, (step - self.constant_steps) / self.cosine_steps))


class TwoTimescaleAdam:
    """Adam for generator and discriminator with their own rates.

    The rates are constant for `constant_steps` steps and then fall linearly to zero over `decay_steps`; with
    `decay_steps` 0 they stay constant. Nothing is stored: step t always has the same rate, so resuming cannot
    restart a schedule.

    Args:
        lr_generator, lr_discriminator: base rates.
        betas: Adam's two betas.
        eps: Adam's epsilon.
        eps_generator: the generator side's own epsilon; None takes `eps`.
        equal_after: from this step on both sides have the geometric mean of their rates, as the published code of
            CoCosNet v2 has after its first epoch; 0 is never.
        constant_steps, decay_steps: see above; steps are rounds of one generator and one discriminator update.

    Source: Heusel et al. 2017 (TTUR); the values 1e-4, 4e-4, (0, 0.9) are those of SPADE, Park et al. 2019.
    """

    def __init__(
        self,
        *,
        lr_generator: float,
        lr_discriminator: float,
        betas: Sequence[float],
        eps: float,
        eps_generator: float | None,
        equal_after: int,
        constant_steps: int,
        decay_steps: int,
    ) -> None:
        for name, value in (("lr_generator", lr_generator), ("lr_discriminator", lr_discriminator)):
            if not 0 < value < math.inf:
                raise Refusal(f"optim.{name} must be above 0 and finite, got {value}")
        for name, value in (("eps", eps), ("eps_generator", eps_generator)):
            if value is not None and not 0 <= value < math.inf:
                raise Refusal(f"optim.{name} must be 0 or more and finite, got {value}; 1e-8 is usual")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise Refusal(f"optim.betas must be two numbers in [0, 1), got {list(betas)}")
        if min(constant_steps, decay_steps, equal_after) < 0:
            raise Refusal(
                "optim.constant_steps, optim.decay_steps and optim.equal_after must be 0 or more, "
                f"got {constant_steps}, {decay_steps}, {equal_after}"
            )
        self.base = {"generator": lr_generator, "discriminator": lr_discriminator}
        self.betas = (float(betas[0]), float(betas[1]))  # torch refuses an int among floats
        self.eps = {"generator": eps if eps_generator is None else eps_generator, "discriminator": eps}
        self.equal_after = equal_after
        self.constant_steps, self.decay_steps = constant_steps, decay_steps

    def build(self, parameters: Iterable[nn.Parameter], *, side: str) -> Adam:
        """The optimizer of one side, "generator" or "discriminator"."""
        return Adam(list(parameters), lr=self.base[side], betas=self.betas, eps=self.eps[side])

    def rate(self, step: int, *, side: str) -> float:
        """The learning rate of the step that is about to be made (counted from 0)."""
        base = self.base[side]
        if self.equal_after and step >= self.equal_after:
            base = math.sqrt(math.prod(self.base.values()))
        if not self.decay_steps:
            return base
        left = 1 - max(0, step - self.constant_steps) / self.decay_steps
        return base * max(0.0, left)
