"""The same label maps painted by several runs, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scenegen.base.pictures import colour_labels, contact_sheet, to_array
from scenegen.data.samples import collate


def same_maps(data: Any, samples: Mapping[str, Path], *, indices: Sequence[int]) -> np.ndarray:
    """label | real (where there is one) | one picture per run.

    Args:
        data: the label maps; items are asked for as data[(0, index)].
        samples: title -> folder with NAME.png.
        indices: which label maps; all runs must have painted them.

    Returns:
        (H, W, 3) uint8.
    """
    rows = []
    for index in indices:
        batch = collate([data[(0, index)]])
        photograph = [to_array(batch.image[0])] if batch.image.numel() else []
        made = [np.asarray(Image.open(folder / f"{batch.name[0]}.png").convert("RGB")) for folder in samples.values()]
        rows.append([colour_labels(batch.label[0], data.classes.colours), *photograph, *made])
    titles = ["label", *(["real"] if len(rows[0]) > 1 + len(samples) else []), *samples]
    return contact_sheet(rows, titles=titles, side_by_side=1)
