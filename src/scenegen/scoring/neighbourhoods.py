"""Measures of a set on the features of fid= that need fewer pictures than a Frechet distance, or say what it hides."""

from __future__ import annotations

from dataclasses import asdict, fields

import torch

from scenegen.base.refusal import Refusal
from scenegen.metrics.neighbours import Coverage
from scenegen.metrics.rows import Rows
from scenegen.metrics.sliced import sliced_wasserstein, transport
from scenegen.scoring.distances import FLOOR_LEAST, Found, held_and_rest
from scenegen.scoring.judges.protocols import Describing, fid_title
from scenegen.scoring.measures import SetMeasure, Sets
from scenegen.scoring.record import Number

PARTS = tuple(field.name for field in fields(Coverage))


class SlicedWasserstein(SetMeasure):
    """Sliced Wasserstein distance to the reference, with the distance between real pictures at the same N.

    Args:
        fid: describes pictures.
        directions: random directions, drawn from the score's seed.
    """

    better = "lower"

    def __init__(self, *, fid: Describing, directions: int) -> None:
        if directions < 1:
            raise Refusal(f"measure.sliced.directions={directions} must be 1 or more")
        self.judges, self.directions = {"FID": fid}, directions
        self.name = fid_title(fid, "sliced Wasserstein")
        self.stamp = f"{fid.stamp}, {directions} directions"

    def of_set(self, sets: Sets) -> Found:
        beside = {}
        held, rest, _ = held_and_rest(sets.real, sets.photos, count=len(sets.made), seed=sets.options.seed)
        if sets.options.floor and len(held) >= FLOOR_LEAST:
            floor = self._distance(held, rest, sets)
            beside["sliced_floor"] = Number(f"{self.name} floor, real vs real", floor, len(held), self.stamp)
        stream = torch.Generator().manual_seed(sets.options.seed)
        moved = transport(sets.made, sets.real.features, directions=self.directions, generator=stream)
        return Found(self._distance(sets.made, sets.real.features, sets), moved.influence.numpy(), beside)

    def _distance(self, x: Rows, y: Rows, sets: Sets) -> float:
        stream = torch.Generator().manual_seed(sets.options.seed)
        return float(sliced_wasserstein(x, y, directions=self.directions, generator=stream))


class Neighbourhood(SetMeasure):
    """One of precision, recall, density and coverage; see metrics/neighbours.py.

    Args:
        fid: describes pictures.
        part: "precision", "recall", "density" or "coverage".
        k: the neighbour that a ball reaches to.
    """

    better = "higher"

    def __init__(self, *, fid: Describing, part: str, k: int) -> None:
        if part not in PARTS:
            raise Refusal(f"part={part} is not one of {', '.join(PARTS)}")
        if k < 1:
            raise Refusal(f"measure.{part}.k={k} must be 1 or more")
        self.judges, self.part, self.k = {"FID": fid}, part, k
        self.name, self.stamp = fid_title(fid, part), f"{fid.stamp}, k={k}"

    def of_set(self, sets: Sets) -> Found:
        return Found(asdict(sets.coverage(self.k))[self.part])
