"""Gains of a contest's total for a small step in each of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scenegen.scoring.contest import Contest

STEPS = {"mask_acc": 0.01, "aesthetic": 0.1, "hist_corr": 0.01, "fid": -1.0}
"""Step of each part; the aesthetic counts in marks of 0..10 here, in every contest."""
TOPS = {"mask_acc": 1.0, "aesthetic": 10.0, "hist_corr": 1.0, "fid": 0.0}


@dataclass(frozen=True)
class Gain:
    """A step in one part, and the change of the total.

    Attributes:
        step: change of the part; less where its scale ends.
        gain: change of the total, the other parts unchanged.
        slope: the partial derivative of the total by the part.
    """

    step: float
    gain: float
    slope: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def gains_of(contest: Contest, values: Mapping[str, float]) -> dict[str, Gain]:
    """Gains of +0.01 mask_acc, +0.1 aesthetic, -1 FID (and +0.01 hist_corr), the largest first.

    Args:
        contest: the total.
        values: its parts by role, the aesthetic in 0..10.

    Returns:
        Role -> its gain.
    """
    scale = {"aesthetic": contest.aesthetic_top / 10}
    own = {role: values[role] * scale.get(role, 1.0) for role in contest.parts}
    slopes, total = contest.slopes(**own), contest.total(**own)
    gains = {}
    for role in contest.parts:
        room = TOPS[role] - values[role]
        step = min(STEPS[role], room) if STEPS[role] > 0 else max(STEPS[role], room)
        moved = own | {role: (values[role] + step) * scale.get(role, 1.0)}
        gains[role] = Gain(step, contest.total(**moved) - total, slopes[role] * scale.get(role, 1.0))
    return dict(sorted(gains.items(), key=lambda item: -item[1].gain))
