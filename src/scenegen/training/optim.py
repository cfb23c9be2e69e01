"""Two-time-scale Adam, its rate a function of the step alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn
from torch.optim import Adam

from scenegen.types import Refusal


class TwoTimescaleAdam:
    """Adam for generator and discriminator with their own rates.

    The rates are constant for `constant_steps` steps and then fall linearly to zero over `decay_steps`; with
    `decay_steps` 0 they stay constant. Nothing is stored: step t always has the same rate, so resuming cannot
    restart a schedule.

    Args:
        lr_generator, lr_discriminator: base rates.
        betas: Adam's two betas.
        eps: Adam's epsilon.
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
        constant_steps: int = 0,
        decay_steps: int = 0,
    ) -> None:
        for name, value in (("lr_generator", lr_generator), ("lr_discriminator", lr_discriminator)):
            if not value > 0:
                raise Refusal(f"optim.{name} must be above 0, got {value}")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise Refusal(f"optim.betas must be two numbers in [0, 1), got {list(betas)}")
        if constant_steps < 0 or decay_steps < 0:
            raise Refusal(
                f"optim.constant_steps and optim.decay_steps must be 0 or more, got {constant_steps}, {decay_steps}"
            )
        self.base = {"generator": lr_generator, "discriminator": lr_discriminator}
        self.betas = (float(betas[0]), float(betas[1]))  # torch refuses an int among floats
        self.eps = eps
        self.constant_steps, self.decay_steps = constant_steps, decay_steps

    def build(self, parameters: Iterable[nn.Parameter], *, side: str) -> Adam:
        """The optimizer of one side, "generator" or "discriminator"."""
        return Adam(list(parameters), lr=self.base[side], betas=self.betas, eps=self.eps)

    def rate(self, step: int, *, side: str) -> float:
        """The learning rate of the step that is about to be made (counted from 0)."""
        if not self.decay_steps:
            return self.base[side]
        left = 1 - max(0, step - self.constant_steps) / self.decay_steps
        return self.base[side] * max(0.0, left)
