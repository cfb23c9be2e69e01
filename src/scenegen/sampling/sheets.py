"""Contact sheets: rows of pictures under column titles, whatever the task reads and makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from scenegen.base.depth import Depth
from scenegen.base.pictures import colour_labels, open_picture, to_array
from scenegen.base.records import Batch, Synthesis
from scenegen.data.classes import ClassList
from scenegen.data.levels import DEEP, read_levels
from scenegen.data.samples import collate

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Entry = tuple[int, str, Colour | None]

INK = (40, 40, 40)
HEAD, LINE, SWATCH, MARGIN = 24, 20, 13, 12
"""Pixels: height of the titles and of a line of text, side of a class's colour, distance of text from the border."""

EXTREMES = (1, 99)
"""Percentiles of a slice's grey levels that are black and white where its window is not known."""

LARGEST_CELL = 512
"""Pixels of a cell's longer side, above which pictures are shown smaller."""


def inputs(batch: Batch, *, classes: ClassList | None) -> dict[str, list[np.ndarray]]:
    """Title -> one (h, w, 3) uint8 picture per sample, of the conditions that the batch has."""
    shown: dict[str, list[np.ndarray]] = {}
    if batch.depth is not None:
        return {"noisy": slices(batch.require("source"), batch.depth)}
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
    if batch.depth is not None:
        return shown | denoised(batch, synthesis.image, batch.depth)
    shown["generated" if synthesis.logits is None else "read"] = outputs(synthesis, classes=classes)
    if batch.image is not None:
        shown["real"] = [to_array(picture) for picture in batch.image]
    return shown


def slices(pictures: Tensor, depth: Depth) -> list[np.ndarray]:
    """Slices (b, 1, h, w) in [-1, 1] in the window for the eye."""
    return [depth.seen(one[0]) for one in depth.units(pictures).cpu().numpy()]


def denoised(batch: Batch, made: Tensor, depth: Depth) -> dict[str, list[np.ndarray]]:
    """Denoised | clean (where there is one) | residual of a batch of slices, by title.

    The residual is what was taken away, grey for nothing, in a window as wide as that for the eye.
    """
    shown = {"denoised": slices(made, depth)}
    if batch.image is not None:
        shown["clean"] = slices(batch.image, depth)
    middle = (depth.shown_low + depth.shown_high) / 2
    taken = depth.units(batch.require("source")) - depth.units(made)
    shown["residual"] = [depth.seen(one[0] + middle) for one in taken.cpu().numpy()]
    return shown


def outputs(synthesis: Synthesis, *, classes: ClassList | None, depth: Depth | None = None) -> list[np.ndarray]:
    """One (h, w, 3) uint8 picture per sample: the generated one, or the label map that was read, in colours."""
    if depth is not None:
        return slices(synthesis.image, depth)
    if synthesis.logits is None or classes is None:
        return [to_array(picture) for picture in synthesis.image]
    return [colour_labels(label, classes.colours) for label in synthesis.logits.argmax(1)]


def draw_sheet(
    data: Any,
    files: Sequence[Path],
    *,
    indices: Sequence[int],
    n_per_label: int = 1,
    further: Mapping[str, Sequence[np.ndarray]] | None = None,
    notes: Sequence[str] = (),
) -> np.ndarray:
    """Inputs | real (where there is one) | generated, for the first files, as (H, W, 3) uint8; of holes the real one
    stands last.

    Args:
        data: items are asked for as data[(0, index)]; `classes` colours its label maps.
        files: n_per_label generated pictures per index.
        indices: of the samples.
        n_per_label: pictures per sample.
        further: title -> one more picture (h, w, 3) per index, the last columns.
        notes: sentences below the pictures.
    """
    rows, titles, ids = [], [], set()
    more = further or {}
    for place, index in enumerate(indices):
        batch = collate([data[(0, index)]])
        shown = inputs(batch, classes=data.classes)
        ids |= _ids(batch)
        if batch.depth is not None:
            units = batch.depth.of_levels(read_levels(files[place]))
            shown |= denoised(batch, batch.depth.picture(units)[None], batch.depth)
            rows.append([pictures[0] for pictures in shown.values()])
            titles = list(shown)
            continue
        if batch.image is not None:
            shown["real"] = [to_array(batch.image[0])]
        made = [_made(files[place * n_per_label + k], data.classes) for k in range(n_per_label)]
        if batch.hole is None:
            rows.append([*(pictures[0] for pictures in shown.values()), *made])
            titles = [*shown, "generated", *[""] * (n_per_label - 1)]
            continue
        real = [pictures[0] for pictures in [shown.pop("real", [])] if pictures]  # beside the results that it ends
        rows.append([*(pictures[0] for pictures in shown.values()), *made, *real])
        numbers = ["generated"] if n_per_label == 1 else [f"result {k + 1}" for k in range(n_per_label)]
        titles = [*shown, *numbers, *["real"] * len(real)]
    for row, *pictures in zip(rows, *more.values(), strict=True):
        row += pictures
    titles += more
    beside = 1 if n_per_label > 1 else 2 if more else 3
    return contact_sheet(rows, titles=titles, side_by_side=beside, legend=legend(data.classes, ids), notes=notes)


def same_names(
    samples: Mapping[str, Mapping[str, Path]], *, names: Sequence[str], depth: Depth | None = None
) -> np.ndarray:
    """One row per label map, one column per run; what the label maps show stands on each run's own contact sheet.

    Args:
        samples: title -> name of a label map -> picture.
        names: of the label maps; all runs must have painted them.
        depth: of slices, which all are shown in its window.

    Returns:
        (H, W, 3) uint8.
    """
    rows = [[_made(files[name], None, depth) for files in samples.values()] for name in names]
    return contact_sheet(rows, titles=list(samples), side_by_side=1)


def legend(classes: ClassList | None, ids: Iterable[int]) -> list[tuple[str, Colour]]:
    """Name and colour of each class that is shown, in id order; nothing without a class list."""
    return [] if classes is None else [(classes.names[i], classes.colours[i]) for i in sorted(ids)]


def _ids(batch: Batch) -> set[int]:
    """Class ids of the label maps of a batch."""
    return set() if batch.label is None else set(batch.label.unique().tolist())


def _made(file: Path, classes: ClassList | None, depth: Depth | None = None) -> np.ndarray:
    """A generated picture, a label map (grey, of class ids) in colours, or a slice in its window for the eye (between
    its own extreme levels where that is not known)."""
    with open_picture(file) as picture:
        if picture.mode in DEEP:
            levels = np.asarray(picture).astype(np.float64)
            if depth is not None:
                return depth.seen(depth.of_levels(levels))
            low, high = np.percentile(levels, EXTREMES)
            grey = ((levels - low) / max(high - low, 1) * 255).clip(0, 255).round().astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        if picture.mode == "L" and classes is not None:
            return colour_labels(np.asarray(picture), classes.colours)
        return np.asarray(picture.convert("RGB"))


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly over range(count): neighbours in a folder often show the same scene."""
    return [i * count // min(count, most) for i in range(min(count, most))]


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    *,
    titles: Sequence[str],
    side_by_side: int = 3,
    gap: int = 6,
    legend: Sequence[tuple[str, Colour]] = (),
    notes: Sequence[str] = (),
) -> np.ndarray:
    """Rows of pictures under column titles, several rows beside each other, the classes' colours below.

    Args:
        rows: per sample its pictures, each (h, w, 3) uint8; all cells have one size, and each picture keeps its shape.
        titles: one title per picture of a row.
        side_by_side: how many samples stand beside each other.
        gap: pixels between pictures.
        legend: name and colour of each class that is shown.
        notes: sentences below all.

    Returns:
        (H, W, 3) uint8.
    """
    h, w = (max(pictures[0].shape[axis] for pictures in rows) for axis in (0, 1))
    factor = max(1, round(160 / w)) if max(h, w) <= LARGEST_CELL else LARGEST_CELL / max(h, w)
    h, w = max(1, round(h * factor)), max(1, round(w * factor))
    font = ImageFont.load_default(size=14)
    block = len(titles) * (w + gap) + 2 * gap
    lines = -(-len(rows) // side_by_side)
    width, bottom = side_by_side * block, HEAD + lines * (h + gap) + gap
    below = [*_placed(legend, width=width, font=font), *_wrapped(notes, width=width, font=font)]
    sheet = Image.new("RGB", (width, bottom + LINE * len(below) + (gap if below else 0)), (250, 250, 248))
    draw = ImageDraw.Draw(sheet)
    for k in range(min(side_by_side, len(rows))):
        for c, title in enumerate(titles):
            draw.text((k * block + 2 * gap + c * (w + gap), 5), title, fill=INK, font=font)
    for i, pictures in enumerate(rows):
        line, k = divmod(i, side_by_side)
        for c, picture in enumerate(pictures):
            x, y = k * block + 2 * gap + c * (w + gap), HEAD + line * (h + gap)
            tile = _tile(picture, height=h, width=w)
            sheet.paste(tile, (x + (w - tile.width) // 2, y + (h - tile.height) // 2))
    for line, entries in enumerate(below):
        y = bottom + line * LINE
        for x, text, colour in entries:
            if colour is not None:
                draw.rectangle((x, y + 2, x + SWATCH, y + 2 + SWATCH), fill=colour, outline=INK)
            draw.text((x + (SWATCH + 5 if colour is not None else 0), y), text, fill=INK, font=font)
    return np.asarray(sheet)


def _tile(picture: np.ndarray, *, height: int, width: int) -> Image.Image:
    """The picture as large as it fits into a cell, in its own shape up to a pixel."""
    h, w = picture.shape[:2]
    factor = min(height / h, width / w)
    size = (max(1, min(width, round(w * factor))), max(1, min(height, round(h * factor))))
    return Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX)


def _placed(legend: Sequence[tuple[str, Colour]], *, width: int, font: Font) -> list[list[Entry]]:
    """Lines of (x, name, colour) that fit a width."""
    lines: list[list[Entry]] = []
    x = width
    for name, colour in legend:
        needed = SWATCH + 5 + round(font.getlength(name)) + 18
        if x + needed > width:
            lines.append([])
            x = MARGIN
        lines[-1].append((x, name, colour))
        x += needed
    return lines


def _wrapped(notes: Sequence[str], *, width: int, font: Font) -> list[list[Entry]]:
    """Lines of (x, text, None) that fit a width, broken between words."""
    lines: list[list[Entry]] = []
    for note in notes:
        text = ""
        for word in note.split():
            if text and MARGIN + font.getlength(f"{text} {word}") > width:
                lines.append([(MARGIN, text, None)])
                text = ""
            text = f"{text} {word}".strip()
        lines.append([(MARGIN, text, None)])
    return lines
