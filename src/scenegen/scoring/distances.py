"""How far the generated pictures are from the real ones: FID, and what belongs beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scenegen.metrics.frechet import Moments
from scenegen.metrics.kernel import kernel_distance_subsets
from scenegen.metrics.target import Target, frechet_infinity
from scenegen.scoring.inputs import Options
from scenegen.scoring.judges.protocols import Describing, fid_title
from scenegen.scoring.record import Measure
from scenegen.scoring.reference import Reference

FLOOR_LEAST = 20
"""Fewer real pictures than this on a side give a floor that says nothing."""
KID_SUBSETS = 20
KID_SIZE = 1000


@dataclass(frozen=True)
class Distances:
    """The distance and its company.

    Attributes:
        fid: squared Frechet distance.
        influence: (n,) per picture, see `Target.influence`.
        beside: KID, and FID at infinite N when it was asked for.
        floor: the distance of real to real pictures at the same N, or None where there are too few.
        warning: what fewer pictures than dimensions mean for the number, or "".
    """

    fid: float
    influence: np.ndarray
    beside: dict[str, Measure]
    floor: Measure | None
    warning: str


def distances(
    features: Tensor, real: Reference, *, photos: Tensor | None, fid: Describing, options: Options
) -> Distances:
    """Compare generated with real features.

    Args:
        features: (n, d) of the generated pictures.
        real: the reference.
        photos: (n, d) of the label maps' own photographs, where they are none of the reference; else None.
        fid: what described the pictures.
        options: floor, infinity and the seed of all subsets.
    """
    target = Target.of(Moments.of(real.features))
    value = float(target.distance(features))
    beside = {"kid": _kid(features, real, fid, options.seed)}
    if options.infinity and len(features) >= FLOOR_LEAST:
        beside["fid_infinity"] = _infinity(features, target, fid, options.seed)
    floor = _floor(target, real, photos, fid, options, count=len(features)) if options.floor else None
    return Distances(value, target.influence(features).numpy(), beside, floor, _warning(features, floor, fid))


def _kid(features: Tensor, real: Reference, fid: Describing, seed: int) -> Measure:
    subsets = {"subsets": KID_SUBSETS, "size": min(KID_SIZE, len(features), len(real))}
    mean, spread = kernel_distance_subsets(
        features, real.features, generator=torch.Generator().manual_seed(seed), **subsets
    )
    judge = f"mean of {subsets['subsets']} subsets of {subsets['size']}, sd {float(spread):.2g}"
    return Measure(fid_title(fid, "KID"), float(mean), len(features), judge)


def _infinity(features: Tensor, target: Target, fid: Describing, seed: int) -> Measure:
    found = frechet_infinity(features, target, generator=torch.Generator().manual_seed(seed))
    few = ", still too large: fewer pictures than dimensions" if len(features) <= features.shape[1] else ""
    judge = f"line in 1/N through {len(found.sizes)} subsets of {found.sizes[0]} to {found.sizes[-1]}{few}"
    return Measure(f"{fid_title(fid)} at infinite N", found.value, len(features), judge)


def _floor(
    target: Target, real: Reference, photos: Tensor | None, fid: Describing, options: Options, *, count: int
) -> Measure | None:
    """What no generator can be expected to beat at this N."""
    if photos is not None and len(photos) == count:
        held, rest, what = photos, target, "the label maps' own photographs"
    else:
        order = torch.from_numpy(np.random.default_rng(options.seed).permutation(len(real)))
        aside = min(count, len(real) // 2)
        held, what = real.features[order[:aside]], "held-out reference photographs"
        rest = Target.of(Moments.of(real.features[order[aside:]])) if aside >= FLOOR_LEAST else None
    if rest is None or len(held) < FLOOR_LEAST:
        return None
    judge = f"{what}, {len(held)} against {rest.count}"
    return Measure(f"{fid_title(fid)} floor, real vs real", float(rest.distance(held)), len(held), judge)


def _warning(features: Tensor, floor: Measure | None, fid: Describing) -> str:
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
        f"{reached}; compare it at equal N only"
    )
