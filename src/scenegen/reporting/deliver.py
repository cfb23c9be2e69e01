"""The file of a trained segmenter: a judge or a trunk, with the facts of its training in its header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from scenegen.data.samples import Pairs, collate
from scenegen.networks.generators.label_reader import LabelReader
from scenegen.sampling.sheets import spread
from scenegen.scoring.record import Score

MOST = 500
"""Held-out pictures that the statistics of a file are taken over."""


def deliver(
    model: LabelReader, *, test: Pairs, score: Score | None, folder: Path, config: Mapping[str, Any], command: str
) -> str:
    """Write a trained segmenter into its run's folder.

    Args:
        model: the trained model.
        test: held-out pictures.
        score: on held-out pictures, for the header; None without evaluation.
        folder: of the run.
        config: of the run.
        command: the command line that makes the same net again.

    Returns:
        One line: the file, its stamp, and the option that takes it.
    """
    pictures = torch.cat([collate([test[(0, i)]]).require("image") for i in spread(len(test), MOST)])
    height, width = pictures.shape[-2:]
    facts = {
        "command": command,
        "seed": str(config["seed"]),
        "steps": str(config["steps"]),
        "ignore": "" if test.classes.ignore is None else str(test.classes.ignore),
        "size": f"{height}x{width}",
        "torch": torch.__version__,
    }
    if kind := config["data"].get("kind"):  # data of one's own need not say it
        facts["kind"] = kind
    if score is not None:
        names = {"mask_acc": "held_out_accuracy", "mean_iou": "held_out_miou"}
        facts |= {names[role]: f"{part.value:.4f}" for role, part in score.parts.items() if role in names}
        facts |= {"held_out_count": str(score.pictures)}
    path, stamp = model.to("cpu").eval().save(folder, classes=test.classes.names, pictures=pictures, facts=facts)
    return f"{path}  {stamp}  to be used by {model.used_by.format(path=path)}"
