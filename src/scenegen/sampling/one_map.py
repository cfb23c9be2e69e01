"""One picture of one label map that is in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scenegen.base.pictures import to_array
from scenegen.base.records import Batch, Refusal, SceneModel
from scenegen.data.degrade import GREY
from scenegen.data.samples import Sample, collate, label_ids, planes
from scenegen.sampling.generate import draw_noise

READS = frozenset({"label", "instance", "image"})
"""Fields of Batch that a label map fills; `image` is read in training alone."""


def require_maps_alone(model: SceneModel, *, run: str) -> None:
    """Refuse a model that needs more than a label map.

    Args:
        model: of the run.
        run: its name, for the sentence.

    Raises:
        Refusal: a model that reads label maps off photographs, paints with exemplars, or reads another field.
    """
    if "logits" in model.offers:
        raise Refusal(f"run={run} reads label maps off photographs and paints none; give run= a run that paints")
    if "exemplar" in model.reads:
        raise Refusal(f"run={run} paints with exemplars, which come with no single map; give run= a run of "
                      f"model=gaugan, sasame or oasis, or use python -m scenegen.sample run={run}")  # fmt: skip
    if missing := sorted(model.reads - READS):
        raise Refusal(f"run={run} reads {', '.join(missing)}, which no label map gives; give run= a run that "
                      "paints label maps")  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """A run that paints the label maps of another one, to be looked at beside it.

    Attributes:
        title: of its column.
        model: of `require_maps_alone`, in eval mode.
        seed: of the noise.
    """

    title: str
    model: SceneModel
    seed: int

    def paint(self, sample: Sample) -> np.ndarray:
        """(h, w, 3) uint8 picture of a sample's label map."""
        if sample.label is None:
            raise Refusal(f"{self.title} paints label maps, and the data have none; leave beside out")
        return paint(self.model, sample.label.numpy(), name=sample.name, seed=self.seed)


def paint(
    model: SceneModel,
    ids: np.ndarray,
    *,
    name: str,
    seed: int,
    copy: int = 0,
    style: Tensor | None = None,
    exemplar: tuple[np.ndarray, np.ndarray | None] | None = None,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """The picture of a map, as scenegen.sample makes it with batch_size=1.

    Args:
        model: of `require_maps_alone`, or one that paints with exemplars; in eval mode on `device`.
        ids: (h, w) class ids within its classes.
        name: of the map; a part of the noise's seed.
        seed: of the noise.
        copy: number of the variation, 0 for the first.
        style: (1, 3, h, w) a style picture in [-1, 1], or None.
        exemplar: (h, w, 3) uint8 and its class ids (h, w), for models that paint with exemplars.
        device: where to compute.

    Returns:
        (h, w, 3) uint8.
    """
    label = label_ids(ids)
    sample = Sample(
        name=name,
        label=label,
        instance=label if "instance" in model.reads else None,
        exemplar=None if exemplar is None else planes(exemplar[0]),
        exemplar_label=None if exemplar is None or exemplar[1] is None else label_ids(exemplar[1]),
        classes=model.num_classes,
    )
    return _made(model, sample, seed=seed, copy=copy, style=style, device=device)


def fill(
    model: SceneModel,
    photo: np.ndarray,
    hole: np.ndarray,
    *,
    ids: np.ndarray | None,
    name: str,
    seed: int,
    copy: int = 0,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """The picture whose hole is filled, as scenegen.sample makes it with batch_size=1.

    Args:
        model: one that fills holes, in eval mode on `device`.
        photo: (h, w, 3) uint8.
        hole: (h, w) bool, true where the picture is missing.
        ids: (h, w) class ids for a model that reads label maps too, or None.
        name, seed, copy, device: as in `paint`.

    Returns:
        (h, w, 3) uint8.
    """
    seen = photo.copy()
    seen[hole] = GREY
    sample = Sample(
        name=name,
        label=None if ids is None else label_ids(ids),
        source=planes(seen),
        hole=torch.from_numpy(hole)[None],
        classes=model.num_classes,
    )
    return _made(model, sample, seed=seed, copy=copy, style=None, device=device)


@torch.no_grad()
def _made(
    model: SceneModel, sample: Sample, *, seed: int, copy: int, style: Tensor | None, device: torch.device | str
) -> np.ndarray:
    batch: Batch = collate([sample]).to(device)
    if style is not None:
        batch = replace(batch, exemplar=style.to(device))
    noise = draw_noise(model, [sample.name], [copy], seed)
    made = model.sample(batch, noise=None if noise is None else noise.to(device))
    return to_array(made.image[0])
