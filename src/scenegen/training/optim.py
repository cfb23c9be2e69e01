"""Two-time-scale Adam, its rate a function of the step alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from torch import nn
from torch.optim import Adam

from scenegen.base.records import Refusal


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
        lr_generator: float = 1e-4,
        lr_discriminator: float = 4e-4,
        betas: Sequence[float] = (0.0, 0.9),
        eps: float = 1e-8,
        eps_generator: float | None = None,
        equal_after: int = 0,
        constant_steps: int = 0,
        decay_steps: int = 0,
    ) -> None:
        for name, value in (("lr_generator", lr_generator), ("lr_discriminator", lr_discriminator)):
            if not value > 0:
                raise Refusal(f"optim.{name} must be above 0, got {value}")
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
