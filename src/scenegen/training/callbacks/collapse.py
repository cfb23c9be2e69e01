"""Identity collapse: outputs that copy their exemplars, or ignore them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from scenegen.base.records import Batch
from scenegen.base.seeding import hash_seed
from scenegen.training.rounds import Rounds

LOG = logging.getLogger(__name__)
COPIES = 0.25
"""Largest distance of a copy from its exemplar, as a share of the photograph's distance from it."""
IGNORES = 0.02
"""An output ignores its exemplar where it changes by less than this share of the exemplar's change."""
PATIENCE = 3
"""Looks in a row that must find the same before a warning."""


class Collapse(pl.Callback):
    """Compares outputs with their exemplars and photographs at the rhythm of the grids.

    Logs `exemplar/distance` and `photo/distance`, mean absolute differences of the output from its exemplar and from
    the photograph (pictures in [-1, 1]); `exemplar/colour` and `photo/colour`, the same of each channel's mean and
    deviation; and `exemplar/influence`, how far the output moves per move of its exemplar when the batch swaps them.
    Warns in one line when the output copies its exemplar, or ignores it, three looks in a row.

    Args:
        batch: fixed inputs with exemplars that are not the photographs, at least two.
        every: steps between two looks.
        seed: of the fixed noise.
    """

    def __init__(self, *, batch: Batch, every: int, seed: int) -> None:
        self.batch, self.every, self.seed = batch, every, seed
        self.suspicions: list[str | None] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        module = cast(Rounds, pl_module)
        if not trainer.is_global_zero or (module.step % self.every and module.step != trainer.max_steps):
            return
        values = self.look(module)
        module.log_dict(values, batch_size=len(self.batch), rank_zero_only=True)
        self.suspicions.append(self.suspect(values))
        if len(self.suspicions) >= PATIENCE and len(set(self.suspicions[-PATIENCE:])) == 1 and self.suspicions[-1]:
            LOG.warning("step %d: %s", module.step, self.suspicions[-1])
            self.suspicions.clear()

    @torch.no_grad()
    def look(self, module: Rounds) -> dict[str, float]:
        """The distances of the fixed inputs' outputs."""
        model, batch = module.best_model, self.batch.to(module.device)
        assert batch.exemplar is not None
        assert batch.exemplar_label is not None
        assert batch.image is not None
        swapped = replace(batch, exemplar=batch.exemplar.roll(1, 0), exemplar_label=batch.exemplar_label.roll(1, 0))
        seed = hash_seed(self.seed, "collapse")
        images, others = (model.paint(inputs, seed=seed).image for inputs in (batch, swapped))
        return distances(images, others, batch.exemplar, batch.image)

    def suspect(self, values: dict[str, float]) -> str | None:
        """The fault in one line, or None."""
        apart = self._apart
        if values["exemplar/distance"] < COPIES * apart:
            return (f"outputs copy their exemplars (distance {values['exemplar/distance']:.3f}; the photographs' is "
                    f"{apart:.3f}): raise exemplar.real_reference_probability for fewer self references, or the terms "
                    "that hold the output to its label map")  # fmt: skip
        if values["exemplar/influence"] < IGNORES:
            return (f"outputs ignore their exemplars (other exemplars move them by {values['exemplar/influence']:.1%} "
                    "of the difference): give the terms that compare with the exemplar more weight (loss=cx with "
                    "target: exemplar)")  # fmt: skip
        return None

    @property
    def _apart(self) -> float:
        """Distance of the photographs from their exemplars."""
        assert self.batch.exemplar is not None
        assert self.batch.image is not None
        return float((self.batch.image - self.batch.exemplar).abs().mean())


def distances(images: Tensor, others: Tensor, exemplar: Tensor, photo: Tensor) -> dict[str, float]:
    """Values that `Collapse` logs.

    Args:
        images: (b, 3, h, w) outputs in [-1, 1].
        others: (b, 3, h, w) outputs of the same labels, with the exemplars moved on by one.
        exemplar, photo: (b, 3, h, w) in [-1, 1].
    """
    found = {}
    for name, target in (("exemplar", exemplar), ("photo", photo)):
        found[f"{name}/distance"] = float((images - target).abs().mean())
        found[f"{name}/colour"] = float((colours(images) - colours(target)).abs().mean())
    moved = (exemplar.roll(1, 0) - exemplar).abs().mean()
    found["exemplar/influence"] = float((others - images).abs().mean() / moved.clamp(min=1e-6))
    return found


def colours(image: Tensor) -> Tensor:
    """(b, 6) mean and deviation of each channel of pictures (b, 3, h, w)."""
    return torch.cat([image.mean((2, 3)), image.std((2, 3), unbiased=False)], dim=1)
