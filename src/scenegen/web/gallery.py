"""The run's training pictures as styles and exemplars of a drawn map: those with the most similar class shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.config.opened import TrainedRun
from scenegen.data.exemplars.choose import label_counts
from scenegen.data.exemplars.keys import DECIMALS
from scenegen.data.exemplars.measures import LabelHist
from scenegen.data.labels import count_ids


@dataclass(frozen=True)
class Suggestion:
    """A training picture beside a map.

    Attributes:
        place: of the picture in the gallery.
        name: of the picture.
        likeness: Bhattacharyya coefficient of the class shares, 0..1.
    """

    place: int
    name: str
    likeness: float


class Gallery:
    """Training pictures of a run, ranked as `exemplar=retrieved` ranks them without an index.

    Args:
        run: whose data are there.

    Raises:
        Refusal: the data are not there, or hold no photographs.
    """

    def __init__(self, run: TrainedRun) -> None:
        plain: Any = replace(run, config={**run.config, "exemplar": None}).dataset("train")
        if not {"image", "label"} <= plain.offers:
            raise Refusal(f"the training data of run {run.folder.name} hold no photographs with label maps")
        self.data = plain.still()
        self.measure = LabelHist(classes=run.vocabulary.classes)

    @cached_property
    def shares(self) -> Tensor:
        """(n, classes) description of every training map."""
        return self.measure.of_counts(label_counts(self.data.source))

    def nearest(self, ids: np.ndarray, *, count: int) -> list[Suggestion]:
        """The most similar training pictures of a map (h, w), best first; ties in the gallery's order."""
        own = self.measure.of_counts([count_ids(ids)])
        likeness = self.measure.similarity(own, self.shares)[0].round(decimals=DECIMALS)
        order = likeness.sort(descending=True, stable=True)
        found = zip(order.indices[:count].tolist(), order.values[:count].tolist(), strict=True)
        return [Suggestion(place, self.data.names[place], value) for place, value in found]

    def picture(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """(h, w, 3) uint8 and (h, w) class ids of a training picture, at the run's size.

        Raises:
            Refusal: no such picture.
        """
        if not 0 <= place < len(self.data):
            raise Refusal(f"there is no training picture {place}; choose one of the suggestions")
        sample = self.data[(0, place)]
        return sample.image.permute(1, 2, 0).numpy(), sample.label.numpy()
