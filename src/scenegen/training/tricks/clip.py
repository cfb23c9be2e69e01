"""The slot `clip`: a bound on the gradients of each side before its weights move."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from scenegen.base.records import Refusal


class Clip:
    """Gradients of one side scaled down where their common L2 norm exceeds a bound.

    Args:
        norm: the bound, > 0.

    Source: Pascanu et al., ICML 2013, algorithm 1.
    """

    def __init__(self, *, norm: float) -> None:
        if not norm > 0:
            raise Refusal(f"trick.clip.norm={norm} must be above 0; 5.0 is usual, and trick=none clips nothing")
        self.norm = norm

    def __call__(self, parameters: Iterable[nn.Parameter]) -> None:
        """Scale the gradients in place."""
        nn.utils.clip_grad_norm_(list(parameters), self.norm)
