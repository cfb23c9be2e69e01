"""The group `sweep`, as conf/sweep/tpe.yaml documents it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scenegen.base.refusal import Refusal

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Sweep:
    """How values are searched."""

    trials: int
    seed: int
    direction: Direction
    random_trials: int
    space: dict[str, str | None]
    prune_on: str | None
    prune_direction: Direction
    prune_every: int | None
    prune_after: int
    batch: int

    def __post_init__(self) -> None:
        for name in ("trials", "random_trials", "prune_every", "prune_after", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise Refusal(f"sweep.{name}={value} must be 1 or more")
