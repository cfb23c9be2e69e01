"""Schedules of a term's weight: pure functions of the step, so that a resumed run goes on where it was.

`loss.<term>.schedule` takes one. Its value is the weight at that step, in place of `weight`. A term whose `weight`
is 0 is left out, whatever its schedule says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scenegen.base.records import Refusal

Schedule = Callable[[int], float]
"""Step, counted from 0 -> weight."""


@dataclass(frozen=True)
class Constant:
    """One weight for the whole run.

    Attributes:
        value: the weight.
    """

    value: float

    def __post_init__(self) -> None:
        _checked(self.value, "value")

    def __call__(self, step: int) -> float:
        return float(self.value)


@dataclass(frozen=True)
class Linear:
    """A straight ramp between two weights, level before and after it.

    Attributes:
        start, end: the steps between which the weight changes.
        first, last: the weights there.
    """

    start: int
    end: int
    first: float
    last: float

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise Refusal(f"a linear schedule needs 0 <= start < end, but has start={self.start}, end={self.end}")
        _checked(self.first, "first")
        _checked(self.last, "last")

    def __call__(self, step: int) -> float:
        done = min(1.0, max(0.0, (step - self.start) / (self.end - self.start)))
        return (1 - done) * self.first + done * self.last


@dataclass(frozen=True)
class Steps:
    """A weight from each named step on: {0: 10, 35000: 2.5} is 10 up to step 34999, then 2.5.

    Attributes:
        values: step -> weight; step 0 must be among them.
    """

    values: Mapping[int, float]

    def __post_init__(self) -> None:
        try:
            values = {int(step): weight for step, weight in sorted(self.values.items(), key=lambda row: int(row[0]))}
        except ValueError:
            raise Refusal(
                f"the steps of a schedule are whole numbers, not {', '.join(map(str, self.values))}"
            ) from None
        if next(iter(values), None) != 0:
            raise Refusal(f"a schedule of steps begins at step 0, but has {', '.join(map(str, values)) or 'none'}")
        for step, weight in values.items():
            _checked(weight, f"values.{step}")
        object.__setattr__(self, "values", values)

    def __call__(self, step: int) -> float:
        return float(self.values[max(start for start in self.values if start <= step)])


@dataclass(frozen=True)
class Switch:
    """One weight before a step, another from it on.

    Attributes:
        step: the first with the other weight.
        before, after: the weights.
    """

    step: int
    before: float
    after: float

    def __post_init__(self) -> None:
        if self.step < 1:
            raise Refusal(f"a switch needs a step of 1 or more, but has step={self.step}")
        _checked(self.before, "before")
        _checked(self.after, "after")

    def __call__(self, step: int) -> float:
        return float(self.after if step >= self.step else self.before)


def _checked(weight: float, where: str) -> None:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not number or not 0 <= weight < math.inf:
        raise Refusal(f"{where}={weight} of a schedule is not a weight >= 0; 0 pauses the term")
