"""From label maps to pictures on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor

from scenegen.base.pictures import colour_labels, contact_sheet, save_png, to_array
from scenegen.base.records import Batch, Refusal, SceneModel
from scenegen.base.seeding import hash_seed
from scenegen.data.samples import collate


@torch.no_grad()
def generate(
    model: SceneModel,
    data: Any,
    *,
    out: Path,
    indices: Sequence[int],
    seed: int,
    batch_size: int = 8,
    n_per_label: int = 1,
    style: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> list[Path]:
    """Write one PNG per label map, named after it (`name.png`, or `name_<k>.png` for several per map).

    The noise of a picture depends on (seed, name, k) alone, not on the batch it is made in.

    Args:
        model: the model, put in eval mode here.
        data: items are asked for as data[(0, index)]; `names` tells how many there are.
        out: folder for the pictures; made if need be.
        indices: which label maps.
        seed: seed of the noise.
        batch_size: pictures per pass.
        n_per_label: pictures per map; above 1 the model must have noise.
        style: (1, 3, h, w) a style picture in [-1, 1], or None.
        device: where to compute.

    Returns:
        The files, in the order of `indices`.

    Raises:
        Refusal: where several pictures per map are asked of a model without noise.
    """
    if n_per_label > 1 and model.noise_shape is None:
        raise Refusal(
            f"n_per_label={n_per_label}, but this model makes one picture per label map (it has no noise); "
            "train with model.vae=true, or give n_per_label=1"
        )
    out.mkdir(parents=True, exist_ok=True)
    model.eval()
    style = style.to(device) if style is not None else None
    jobs = [(i, k) for i in indices for k in range(n_per_label)]
    files = []
    for first in track(range(0, len(jobs), batch_size), description="sampling", disable=len(jobs) < 2 * batch_size):
        part = jobs[first : first + batch_size]
        batch: Batch = collate([data[(0, i)] for i, _ in part]).to(device)
        noise = draw_noise(model, batch.name, [k for _, k in part], seed)
        images = model.sample(
            batch, noise=noise.to(batch.label.device) if noise is not None else None, style=style
        ).image
        for image, name, (_, k) in zip(images, batch.name, part, strict=True):
            files.append(out / (f"{name}.png" if n_per_label == 1 else f"{name}_{k}.png"))
            save_png(files[-1], to_array(image))
    return files


def draw_sheet(data: Any, files: Sequence[Path], *, indices: Sequence[int], n_per_label: int = 1) -> np.ndarray:
    """label | exemplar | real (both where there are some) | generated, for the first files, as (H, W, 3) uint8."""
    rows, shown = [], {}
    for place, index in enumerate(indices):
        batch = collate([data[(0, index)]])
        pictures = {"exemplar": batch.exemplar, "real": batch.image if batch.image.numel() else None}
        shown = {title: to_array(picture[0]) for title, picture in pictures.items() if picture is not None}
        made = [np.asarray(Image.open(files[place * n_per_label + k]).convert("RGB")) for k in range(n_per_label)]
        rows.append([colour_labels(batch.label[0], data.classes.colours), *shown.values(), *made])
    titles = ["label", *shown, "generated", *[""] * (n_per_label - 1)]
    return contact_sheet(rows, titles=titles, side_by_side=3 if n_per_label == 1 else 1)


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly over range(count): neighbours in a folder often show the same scene."""
    return [i * count // min(count, most) for i in range(min(count, most))]


def draw_noise(model: SceneModel, names: Sequence[str], copies: Sequence[int], seed: int) -> Tensor | None:
    """The noise of the k-th picture of each named label map; None for a model without noise."""
    if model.noise_shape is None:
        return None
    rows = []
    for name, k in zip(names, copies, strict=True):
        stream = torch.Generator().manual_seed(hash_seed(seed, "sample", name, k))
        rows.append(torch.randn(*model.noise_shape, generator=stream))
    return torch.stack(rows)
