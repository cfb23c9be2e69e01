"""Pictures on disk, made from label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from scenegen.base.pictures import save_png, to_array
from scenegen.base.records import Batch, Refusal, SceneModel, Synthesis
from scenegen.base.seeding import hash_seed
from scenegen.data.samples import collate
from scenegen.posts.post import Post
from scenegen.sampling.apply_posts import apply_posts


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
    posts: Sequence[Post] = (),
    device: torch.device | str = "cpu",
) -> list[Path]:
    """Write one PNG per label map, named after it (`name.png`, or `name_<k>.png` for several per map).

    The noise of a picture depends on (seed, name, k) alone, not on the batch it is made in.

    Args:
        model: the model, put in eval mode here.
        data: items are asked for as data[(0, index)].
        out: folder for the pictures; made if need be.
        indices: which label maps.
        seed: seed of the noise.
        batch_size: pictures per pass.
        n_per_label: pictures per map; above 1 the model must have noise.
        style: (1, 3, h, w) a style picture in [-1, 1] for all of them, or None.
        posts: applied to the pictures in their order, before they are written.
        device: where to compute.

    Returns:
        The files, in the order of `indices`.

    Raises:
        Refusal: where several pictures per map are asked of a model without noise, or a style of one without encoder.
    """
    if n_per_label > 1 and model.noise_shape is None:
        raise Refusal(
            f"n_per_label={n_per_label}, but this model makes one picture per label map (it has no noise); "
            "train with model.vae=true, or give n_per_label=1"
        )
    if posts and "logits" in model.offers:
        raise Refusal("posts change pictures, but this model reads label maps; use post=none")
    if style is not None and "exemplar" in model.reads:
        raise Refusal("this model takes its style from the batch's exemplars, not from a style picture; leave style "
                      "out, or give exemplars=FOLDER")  # fmt: skip
    if style is not None and "encode" not in model.offers:
        raise Refusal("this model reads no style picture; leave style out, or use model=gaugan model.vae=true")
    out.mkdir(parents=True, exist_ok=True)
    model.eval()
    style = style.to(device) if style is not None else None
    jobs = [(i, k) for i in indices for k in range(n_per_label)]
    files = []
    for first in track(range(0, len(jobs), batch_size), description="sampling", disable=len(jobs) < 2 * batch_size):
        part = jobs[first : first + batch_size]
        batch: Batch = collate([data[(0, i)] for i, _ in part]).to(device)
        if style is not None:
            batch = replace(batch, exemplar=style, exemplar_label=None, self_reference=None)
        noise = draw_noise(model, batch.name, [k for _, k in part], seed)
        synthesis = model.sample(batch, noise=noise.to(batch.device) if noise is not None else None)
        if posts:
            synthesis = replace(synthesis, image=apply_posts(synthesis.image, batch, posts))
        for picture, name, (_, k) in zip(_written(synthesis), batch.name, part, strict=True):
            files.append(out / (f"{name}.png" if n_per_label == 1 else f"{name}_{k}.png"))
            save_png(files[-1], picture)
    return files


def _written(synthesis: Synthesis) -> list[np.ndarray]:
    """The pictures as they are written: (h, w, 3) uint8, or class ids (h, w) where label maps are read."""
    if synthesis.logits is None:
        return [to_array(image) for image in synthesis.image]
    if synthesis.logits.shape[1] > 256:
        raise Refusal(f"{synthesis.logits.shape[1]} classes do not fit an 8-bit label map; use data of at most 256")
    return [label.to(torch.uint8).cpu().numpy() for label in synthesis.logits.argmax(1)]


def draw_noise(model: SceneModel, names: Sequence[str], copies: Sequence[int], seed: int) -> Tensor | None:
    """The noise of the k-th picture of each named label map; None for a model without noise."""
    if model.noise_shape is None:
        return None
    rows = []
    for name, k in zip(names, copies, strict=True):
        stream = torch.Generator().manual_seed(hash_seed(seed, "sample", name, k))
        rows.append(torch.randn(*model.noise_shape, generator=stream))
    return torch.stack(rows)
