"""Several completions per picture, looked at together: their diversity, and the discriminator's order of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenegen.base.pictures import from_uint8, open_picture
from scenegen.base.records import Discriminator
from scenegen.data.samples import collate
from scenegen.metrics.diversity import pairwise_difference
from scenegen.networks.generators.hole_filler import HoleFiller


@dataclass(frozen=True)
class Results:
    """The completions of one picture.

    Attributes:
        name: of the picture.
        files: its completions, best first where they are ranked.
        diversity: see `pairwise_difference`; None of a single one.
        scores: mean of the discriminator's scores of each completion, in the order of `files`; None without one.
    """

    name: str
    files: tuple[str, ...]
    diversity: float | None
    scores: tuple[float, ...] | None

    def as_dict(self) -> dict[str, Any]:
        """For the record beside the pictures."""
        return {"files": list(self.files), "diversity": self.diversity, "scores": self.scores and list(self.scores)}


@torch.no_grad()
def look_at(
    data: Any, files: Sequence[Path], *, indices: Sequence[int], n: int, model: HoleFiller, judge: Discriminator | None
) -> list[Results]:
    """Look at the written completions of each picture; with a judge the files change names, the best is number 0.

    Args:
        data: items are asked for as data[(0, index)].
        files: n per index, as `generate` returns them.
        indices: of the samples.
        n: completions per picture.
        model: says what its discriminator sees.
        judge: the run's discriminator, in eval mode, or None for no order.
    """
    found = []
    for place, index in enumerate(indices):
        own = files[place * n :][:n]
        made = torch.stack([_read(file) for file in own])  # (n, 3, h, w)
        batch = collate([data[(0, index)]] * n)
        scores = None
        if judge is not None:
            device = next(judge.parameters()).device
            shown = model.judged_alone(batch.to(device), from_uint8(made).to(device))
            logits = judge(*shown).logits[0]
            found_scores = logits.flatten(1).mean(1)  # (n,)
            order = found_scores.argsort(descending=True, stable=True).tolist()
            _renamed(own, order)
            made, scores = made[order], tuple(found_scores[order].tolist())
        diversity = pairwise_difference(made, batch.require("hole")[0]) if n > 1 else None
        names = tuple(file.name for file in own)
        found.append(Results(data.names[index], names, diversity, scores))
    return found


def sentence(results: Sequence[Results]) -> str:
    """Sentence about the diversity of all pictures, and about their order."""
    values = [result.diversity for result in results if result.diversity is not None]
    order = ", best first by the run's discriminator" if results and results[0].scores is not None else ""
    mean = sum(values) / max(len(values), 1)
    return f"diversity in the hole {mean:.4f} (mean absolute difference of pairs, 0..1; {len(values)} pictures){order}"


def _renamed(files: Sequence[Path], order: Sequence[int]) -> None:
    """Give the k-th file's name to the file that stands at order[k]."""
    aside = [file.rename(file.with_name(f".{file.name}")) for file in files]
    for file, k in zip(files, order, strict=True):
        aside[k].rename(file)


def _read(file: Path) -> torch.Tensor:
    with open_picture(file) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
