"""Distances of the generated pictures from the real ones: FID, with KID, FID at infinite N and the floor."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from scenegen.metrics.frechet import Moments
from scenegen.metrics.kernel import kernel_distance_subsets
from scenegen.metrics.rows import Picked, Rows
from scenegen.metrics.target import Target, frechet_infinity
from scenegen.scoring.inputs import Options
from scenegen.scoring.judges.protocols import Describing, fid_title
from scenegen.scoring.record import Number
from scenegen.scoring.reference import Reference

FLOOR_LEAST = 20
"""Least number of real pictures on each side of a floor."""
KID_SUBSETS = 20
KID_SIZE = 1000


@dataclass(frozen=True)
class Found:
    """The number of a set, with the numbers beside it.

    Attributes:
        value: the number.
        influence: (n,) contribution of each picture, see `Target.influence`; None gives no interval.
        beside: role -> a number that is shown beside it.
        floor: the distance between real pictures at the same N, or None.
        warning: a caution about the number, or "".
    """

    value: float
    influence: np.ndarray | None = None
    beside: dict[str, Number] = field(default_factory=dict)
    floor: Number | None = None
    warning: str = ""


def distances(features: Rows, real: Reference, *, photos: Rows | None, fid: Describing, options: Options) -> Found:
    """Frechet distance of generated to real features, with KID, its value at infinite N, and its floor.

    Args:
        features: (n, d) of the generated pictures.
        real: the reference.
        photos: (n, d) of the label maps' own photographs; None where they are the reference.
        fid: the network that described the pictures.
        options: floor, infinity and the seed of all subsets.
    """
    target = Target.of(Moments.of(real.features))
    value = float(target.distance(features))
    beside = {"kid": kid(features, real, fid, options.seed)}
    if options.infinity and len(features) >= FLOOR_LEAST:
        beside["fid_infinity"] = _infinity(features, target, fid, options.seed)
    floor = _floor(target, real, photos, fid, options, count=len(features)) if options.floor else None
    return Found(value, target.influence(features).numpy(), beside, floor, _warning(features, floor, fid))


def kid(features: Rows, real: Reference, fid: Describing, seed: int) -> Number:
    """Kernel distance of (n, d) generated features to the reference, mean over random subsets."""
    subsets = {"subsets": KID_SUBSETS, "size": min(KID_SIZE, len(features), len(real))}
    mean, spread = kernel_distance_subsets(
        features, real.features, generator=torch.Generator().manual_seed(seed), **subsets
    )
    judge = f"mean of {subsets['subsets']} subsets of {subsets['size']}, sd {float(spread):.2g}"
    return Number(fid_title(fid, "KID"), float(mean), len(features), judge)


def _infinity(features: Rows, target: Target, fid: Describing, seed: int) -> Number:
    found = frechet_infinity(features, target, generator=torch.Generator().manual_seed(seed))
    few = ", still too large: fewer pictures than dimensions" if len(features) <= features.shape[1] else ""
    judge = f"line in 1/N through {len(found.sizes)} subsets of {found.sizes[0]} to {found.sizes[-1]}{few}"
    return Number(f"{fid_title(fid)} at infinite N", found.value, len(features), judge)


def _floor(
    target: Target, real: Reference, photos: Rows | None, fid: Describing, options: Options, *, count: int
) -> Number | None:
    """Distance between real pictures at this N, which no generator can be expected to beat."""
    held, others, what = held_and_rest(real, photos, count=count, seed=options.seed)
    if len(held) < FLOOR_LEAST:
        return None
    rest = target if others is real.features else Target.of(Moments.of(others))
    judge = f"{what}, {len(held)} against {rest.count}"
    return Number(f"{fid_title(fid)} floor, real vs real", float(rest.distance(held)), len(held), judge)


def held_and_rest(real: Reference, photos: Rows | None, *, count: int, seed: int) -> tuple[Rows, Rows, str]:
    """Two sets of real features for a floor, and the first one's name.

    Args:
        real: the reference.
        photos: (n, d) of the label maps' own photographs, or None.
        count: made pictures; as many real ones are held out where that leaves the half of them.
        seed: of the split.
    """
    if photos is not None and len(photos) == count:
        return photos, real.features, "the label maps' own photographs"
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(real)))
    aside = min(count, len(real) // 2)
    held, rest = (Picked(real.features, picks) for picks in (order[:aside], order[aside:]))
    return held, rest, "held-out reference photographs"


def _warning(features: Rows, floor: Number | None, fid: Describing) -> str:
    count, dimensions = features.shape
    if count >= dimensions:
        return ""
    reached = (
        f"real photographs reach {floor.value:.4f} at {floor.count}"
        if floor
        else "and there are too few real ones, or floor=false, to say what real photographs would reach"
    )
    return (
        f"{count} pictures are fewer than the {dimensions} dimensions of {fid_title(fid)}, which is mostly bias then: "
        f"{reached}; compare it at equal N only, or choose measure=sliced+kid, which need fewer pictures"
    )
