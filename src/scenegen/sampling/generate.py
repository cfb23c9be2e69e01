"""Pictures on disk, made from label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.base.console import bar
from scenegen.base.depth import Depth
from scenegen.base.pictures import result_name, save_png, to_array
from scenegen.base.records import Batch, Refusal, SceneModel, Synthesis
from scenegen.base.seeding import hash_seed
from scenegen.data.samples import Sample, collate
from scenegen.posts.post import Post
from scenegen.sampling.apply_posts import keep_beside, stages
from scenegen.sampling.precision import Precision, apart, painted


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
    before: Sequence[Path] = (),
    raw: bool = False,
    precision: Precision = "float32",
    notice: Callable[[str], None] = print,
    device: torch.device | str = "cpu",
) -> list[Path]:
    """Write one PNG per label map, named as in `file_name`.

    The noise of a picture depends on (seed, name, k) alone, not on the batch it is made in; a batch holds maps of one
    size.

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
        before: folders for the pictures before the first post, before the second, ...; none keeps them.
        raw: of models that fill holes, write the generated picture around the hole too, not the given one.
        precision: "bf16" computes convolutions and matrix products so.
        notice: takes the sentence about how far the first batch's bf16 pictures are from float32's.
        device: where to compute.

    Returns:
        The files, in the order of `indices`.

    Raises:
        Refusal: where several pictures per map are asked of a model without noise, or a style of one without encoder.
    """
    require_options(model, n_per_label=n_per_label, style=style, posts=posts)
    for folder in (out, *before):
        folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    keep_beside(out, posts)
    style = style.to(device) if style is not None else None
    jobs = [(i, k) for i in indices for k in range(n_per_label)]
    tracked = bar(jobs, "sampling") if posts or len(jobs) >= 2 * batch_size else jobs
    names: list[str] = []
    for part in _parts(tracked, data, batch_size):
        batch: Batch = collate([sample for sample, _ in part]).to(device)
        if style is not None:
            batch = replace(batch, exemplar=style, exemplar_label=None, self_reference=None)
        noise = draw_noise(model, batch.name, [k for _, k in part], seed)
        noise = noise.to(batch.device) if noise is not None else None
        if precision == "bf16" and not names:
            notice(str(apart(model, batch, noise=noise)))
        synthesis = painted(model, batch, noise=noise, precision=precision)
        if raw and synthesis.completion is not None:
            synthesis = replace(synthesis, image=synthesis.completion.raw.float())
        made = [replace(synthesis, image=image) for image in stages(synthesis.image, batch, posts)]
        names += [file_name(name, k, n_per_label=n_per_label) for name, (_, k) in zip(batch.name, part, strict=True)]
        for folder, stage in zip((*before, out), made if before else made[-1:], strict=True):
            for name, picture in zip(names[-len(part) :], _written(stage, batch.depth), strict=True):
                save_png(folder / name, picture)
    return [out / name for name in names]


def file_name(name: str, copy: int, *, n_per_label: int) -> str:
    """File of the k-th picture of a label map: `name.png`, or `name_<k>.png` where there are several."""
    return f"{result_name(name, copy, results=n_per_label)}.png"


def require_options(model: SceneModel, *, n_per_label: int, style: Tensor | None, posts: Sequence[Post]) -> None:
    """Refuse options of `generate` that the model does not have, before anything is written."""
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


def _parts(jobs: Iterable[tuple[int, int]], data: Any, batch_size: int) -> Iterator[list[tuple[Sample, int]]]:
    """Samples with the numbers of their copies, in order: at most `batch_size` at a time, of one size."""
    part: list[tuple[Sample, int]] = []
    for index, copy in jobs:
        sample = data[(0, index)]
        if part and (len(part) == batch_size or _size(sample) != _size(part[0][0])):
            yield part
            part = []
        part.append((sample, copy))
    if part:
        yield part


def _size(sample: Sample) -> tuple[int, ...]:
    """(h, w) of the conditions that have one."""
    there = (sample.label, sample.image, sample.source)
    return tuple(side for tensor in there if tensor is not None for side in tensor.shape[-2:])


def _written(synthesis: Synthesis, depth: Depth | None) -> list[np.ndarray]:
    """The pictures as they are written: (h, w, 3) uint8, or class ids (h, w) where label maps are read, or the 16-bit
    grey levels (h, w) of slices."""
    if depth is not None:
        return [depth.levels(image) for image in synthesis.image]
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
