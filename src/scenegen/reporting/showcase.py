"""The rows of the image table: a few test samples, a run's pictures of them, and each picture's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scenegen.base.pictures import to_array, to_uint8
from scenegen.base.records import SceneModel
from scenegen.data.samples import collate
from scenegen.metrics.accuracy import picture_hits
from scenegen.sampling.generate import draw_noise
from scenegen.sampling.sheets import inputs, outputs, slices
from scenegen.scoring.judges.protocols import Judges
from scenegen.tracking.wandb import TableRow


@torch.no_grad()
def showcase(
    models: Mapping[str, SceneModel], test: Any, *, judges: Judges | None, indices: Sequence[int], seed: int
) -> list[TableRow]:
    """Inputs | one picture per model | real, with the scores of the last model's picture.

    Args:
        models: title -> trained model; the last one is the one that the run samples.
        test: items are asked for as test[(0, index)].
        judges: score each picture; None scores none.
        indices: of the test samples.
        seed: of the noise; a picture is the one that is in the run's samples/.
    """
    return [_row(models, test, judges=judges, index=index, seed=seed) for index in indices]


def _row(models: Mapping[str, SceneModel], test: Any, *, judges: Judges | None, index: int, seed: int) -> TableRow:
    batch = collate([test[(0, index)]])
    shown = {title: pictures[0] for title, pictures in inputs(batch, classes=test.classes).items()}
    image = torch.empty(0)
    for title, model in models.items():
        model.eval()
        batch = batch.to(next(model.parameters()).device)
        noise = draw_noise(model, batch.name, [0], seed)
        synthesis = model.sample(batch, noise=None if noise is None else noise.to(batch.device))
        image = to_uint8(synthesis.image)
        shown[title] = outputs(synthesis, classes=test.classes, depth=batch.depth)[0]
    if batch.image is not None:
        shown["real"] = to_array(batch.image[0]) if batch.depth is None else slices(batch.image, batch.depth)[0]
    return TableRow(batch.name[0], shown, _scores(judges, image, batch.label, test.classes))


def _scores(judges: Judges | None, image: Tensor, label: Tensor | None, classes: Any) -> dict[str, float]:
    if judges is None:
        return {}
    scores = {}
    if judges.segmenter is not None and label is not None:
        right, counted = picture_hits(judges.segmenter.predict(image), label, ignore=classes.ignore)
        scores["mask_acc"] = float(right[0] / counted[0].clamp(min=1))
    if judges.aesthetic is not None:
        scores[f"aesthetic({judges.aesthetic.name})"] = float(judges.aesthetic(image)[0])
    return scores
