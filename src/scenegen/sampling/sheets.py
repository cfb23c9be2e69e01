"""Contact sheets: rows of pictures under column titles, whatever the task reads and makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scenegen.base.pictures import colour_labels, open_picture, to_array
from scenegen.base.records import Batch, Synthesis
from scenegen.data.classes import ClassList
from scenegen.data.samples import collate


def inputs(batch: Batch, *, classes: ClassList | None) -> dict[str, list[np.ndarray]]:
    """Title -> one (h, w, 3) uint8 picture per sample, of the conditions that the batch has."""
    shown: dict[str, list[np.ndarray]] = {}
    if batch.label is not None and classes is not None:
        shown["label"] = [colour_labels(label, classes.colours) for label in batch.label]
    if batch.source is not None:
        masked = batch.source if batch.hole is None else batch.source.masked_fill(batch.hole, 1.0)
        shown["source" if batch.hole is None else "masked"] = [to_array(picture) for picture in masked]
    if batch.exemplar is not None:
        shown["exemplar"] = [to_array(picture) for picture in batch.exemplar]
    return shown


def columns(batch: Batch, synthesis: Synthesis, *, classes: ClassList | None) -> dict[str, list[np.ndarray]]:
    """Inputs | generated (or the label map that was read) | real (where there is one) of a batch, by title.

    Args:
        batch: b samples.
        synthesis: a model's output for them.
        classes: for the colours of label maps; None shows none.
    """
    shown = inputs(batch, classes=classes)
    shown["generated" if synthesis.logits is None else "read"] = outputs(synthesis, classes=classes)
    if batch.image is not None:
        shown["real"] = [to_array(picture) for picture in batch.image]
    return shown


def outputs(synthesis: Synthesis, *, classes: ClassList | None) -> list[np.ndarray]:
    """One (h, w, 3) uint8 picture per sample: the generated one, or the label map that was read, in colours."""
    if synthesis.logits is None or classes is None:
        return [to_array(picture) for picture in synthesis.image]
    return [colour_labels(label, classes.colours) for label in synthesis.logits.argmax(1)]


def draw_sheet(data: Any, files: Sequence[Path], *, indices: Sequence[int], n_per_label: int = 1) -> np.ndarray:
    """Inputs | real (where there is one) | generated, for the first files, as (H, W, 3) uint8.

    Args:
        data: items are asked for as data[(0, index)]; `classes` colours its label maps.
        files: n_per_label generated pictures per index.
        indices: of the samples.
        n_per_label: pictures per sample.
    """
    rows, titles = [], []
    for place, index in enumerate(indices):
        batch = collate([data[(0, index)]])
        shown = inputs(batch, classes=data.classes)
        if batch.image is not None:
            shown["real"] = [to_array(batch.image[0])]
        made = [_made(files[place * n_per_label + k], data.classes) for k in range(n_per_label)]
        rows.append([*(pictures[0] for pictures in shown.values()), *made])
        titles = [*shown, "generated", *[""] * (n_per_label - 1)]
    return contact_sheet(rows, titles=titles, side_by_side=3 if n_per_label == 1 else 1)


def same_inputs(data: Any, samples: Mapping[str, Path], *, indices: Sequence[int]) -> np.ndarray:
    """Inputs | real (where there is one) | one picture per run.

    Args:
        data: items are asked for as data[(0, index)].
        samples: title -> folder with NAME.png.
        indices: of the samples; all runs must have painted them.

    Returns:
        (H, W, 3) uint8.
    """
    rows, titles = [], []
    for index in indices:
        batch = collate([data[(0, index)]])
        shown = inputs(batch, classes=data.classes)
        if batch.image is not None:
            shown["real"] = [to_array(batch.image[0])]
        made = [_made(folder / f"{batch.name[0]}.png", data.classes) for folder in samples.values()]
        rows.append([*(pictures[0] for pictures in shown.values()), *made])
        titles = [*shown, *samples]
    return contact_sheet(rows, titles=titles, side_by_side=1)


def _made(file: Path, classes: ClassList | None) -> np.ndarray:
    """A generated picture, or a label map (grey, of class ids) in colours."""
    with open_picture(file) as picture:
        if picture.mode == "L" and classes is not None:
            return colour_labels(np.asarray(picture), classes.colours)
        return np.asarray(picture.convert("RGB"))


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly over range(count): neighbours in a folder often show the same scene."""
    return [i * count // min(count, most) for i in range(min(count, most))]


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], *, titles: Sequence[str], side_by_side: int = 3, gap: int = 6
) -> np.ndarray:
    """Rows of pictures under column titles, several rows beside each other.

    Args:
        rows: per sample its pictures, each (h, w, 3) uint8; all are shown at the first one's size.
        titles: one title per picture of a row.
        side_by_side: how many samples stand beside each other.
        gap: pixels between pictures.

    Returns:
        (H, W, 3) uint8.
    """
    h, w = rows[0][0].shape[:2]
    scale = max(1, round(160 / w))
    h, w = h * scale, w * scale
    font = ImageFont.load_default(size=14)
    head = 24
    block = len(titles) * (w + gap) + 2 * gap
    lines = -(-len(rows) // side_by_side)
    sheet = Image.new("RGB", (side_by_side * block, head + lines * (h + gap) + gap), (250, 250, 248))
    draw = ImageDraw.Draw(sheet)
    for k in range(min(side_by_side, len(rows))):
        for c, title in enumerate(titles):
            draw.text((k * block + 2 * gap + c * (w + gap), 5), title, fill=(40, 40, 40), font=font)
    for i, pictures in enumerate(rows):
        line, k = divmod(i, side_by_side)
        for c, picture in enumerate(pictures):
            tile = Image.fromarray(picture).resize(
                (w, h), Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX
            )
            sheet.paste(tile, (k * block + 2 * gap + c * (w + gap), head + line * (h + gap)))
    return np.asarray(sheet)
