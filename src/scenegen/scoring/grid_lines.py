"""Plaid as a measure: grid lines of the made pictures over those of the photographs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scenegen.data.classes import ClassList
from scenegen.metrics.plaid import PERIODS, SIDE, plaid_of
from scenegen.scoring.inputs import Samples
from scenegen.scoring.measures import PictureMeasure


class Plaid(PictureMeasure):
    """Strength of grid lines inside regions of one label, as a multiple of the photographs' own; 1 is as they have.

    Args:
        classes: of the label maps.
    """

    name = "plaid"
    stamp = f"periods {', '.join(map(str, PERIODS))} in squares of {SIDE}, geometric mean, over the photographs'"
    needs = frozenset({"image", "label"})

    def __init__(self, *, classes: ClassList) -> None:
        self.ignore = classes.ignore

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        """(b, 4): sum and number of squares of the made picture, then of its photograph."""
        own = (plaid_of(picture, sample.label, ignore=self.ignore) for picture in (made, sample.image))
        return torch.cat(list(own), 1)

    def value(self, rows: np.ndarray) -> float:
        """nan where no square of a label map has one label."""
        total = rows.sum(0)
        if not total[1]:
            return float("nan")
        return float(2.0 ** (total[0] / total[1] - total[2] / total[3]))
