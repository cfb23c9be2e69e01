"""The rows of the image table: a few test maps, what the run makes of them, and what each picture scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scenegen.base.pictures import colour_labels, to_array, to_uint8
from scenegen.data.samples import collate
from scenegen.metrics.accuracy import picture_hits
from scenegen.sampling.generate import draw_noise
from scenegen.scoring.judges.protocols import Judges
from scenegen.tracking.wandb import Shown
from scenegen.training.rounds import GanModule


@torch.no_grad()
def showcase(module: GanModule, test: Any, *, judges: Judges | None, indices: Sequence[int], seed: int) -> list[Shown]:
    """label | exemplar | fake | EMA | real, with the scores of the picture that the run samples (EMA where it has one).

    Args:
        module: the trained module.
        test: items are asked for as test[(0, index)].
        judges: score each picture; None scores none.
        indices: which test maps.
        seed: of the noise; a picture is the one that is in the run's samples/.
    """
    return [_row(module, test, judges=judges, index=index, seed=seed) for index in indices]


def _row(module: GanModule, test: Any, *, judges: Judges | None, index: int, seed: int) -> Shown:
    batch = collate([test[(0, index)]]).to(module.device)
    pictures = {"label": colour_labels(batch.label[0], test.classes.colours)}
    if batch.exemplar is not None:
        pictures["exemplar"] = to_array(batch.exemplar[0])
    models: dict[str, Any] = {"fake": module.model, **({"EMA": module.best_model} if module.ema is not None else {})}
    image = torch.empty(0)
    for title, model in models.items():
        model.eval()
        noise = draw_noise(model, batch.name, [0], seed)
        image = to_uint8(model.sample(batch, noise=None if noise is None else noise.to(batch.label.device)).image)
        pictures[title] = to_array(image[0])
    if batch.image.numel():
        pictures["real"] = to_array(batch.image[0])
    return Shown(batch.name[0], pictures, _scores(judges, image, batch.label, test.classes.ignore))


def _scores(judges: Judges | None, image: Tensor, label: Tensor, ignore: int | None) -> dict[str, float]:
    if judges is None:
        return {}
    scores = {}
    if judges.segmenter is not None:
        right, counted = picture_hits(judges.segmenter.predict(image), label, ignore=ignore)
        scores["mask_acc"] = float(right[0] / counted[0].clamp(min=1))
    scores[f"aesthetic({judges.aesthetic.name})"] = float(judges.aesthetic(image)[0])
    return scores
