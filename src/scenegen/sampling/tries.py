"""Seeds of a model's noise tried one by one: the pictures that a judge likes best stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.base.pictures import to_uint8
from scenegen.base.records import SceneModel
from scenegen.data.samples import collate
from scenegen.metrics.frechet import Moments, frechet
from scenegen.sampling.generate import draw_noise

Track = Callable[[Iterable[Any], str], Iterable[Any]]


@torch.inference_mode()
def distance_of(
    model: SceneModel,
    data: Any,
    *,
    describe: Callable[[Tensor], Tensor],
    real: Moments,
    indices: Sequence[int],
    seed: int,
    batch_size: int,
    device: str,
) -> float:
    """Frechet distance between a model's pictures, made with the noise of one seed and before any post, and others.

    Args:
        model: with noise, in eval mode.
        data: items are asked for as data[(0, index)].
        describe: (b, 3, h, w) uint8 -> (b, d) features.
        real: moments of the features of what the pictures should look like.
        indices: which label maps.
        seed: of the noise, as in `generate`.
        batch_size: pictures per pass.
        device: where to compute.
    """
    rows = []
    for start in range(0, len(indices), batch_size):
        batch = collate([data[(0, index)] for index in indices[start : start + batch_size]]).to(device)
        noise = draw_noise(model, batch.name, [0] * len(batch.name), seed)
        made = model.sample(batch, noise=None if noise is None else noise.to(device)).image
        rows.append(describe(to_uint8(made)).float().cpu())
    return float(frechet(Moments.of(torch.cat(rows)), real))


def best_seed(seeds: Sequence[int], distance: Callable[[int], float], *, title: str, track: Track) -> tuple[int, str]:
    """The seed of the least distance, of equal ones the first, and a sentence about all of them.

    Args:
        seeds: two or more.
        distance: of a seed's pictures.
        title: of the distance, for the sentence.
        track: progress of a loop.
    """
    found = {seed: distance(seed) for seed in track(seeds, "seeds")}
    best, values = min(found, key=found.__getitem__), np.array(list(found.values()))
    return best, (
        f"seed {best} is the best of {len(found)}: {title} {found[best]:.4f}, of all {values.mean():.4f} in the mean "
        f"with a deviation of {values.std(ddof=1):.4f}; scores by this judge are marked"
    )
