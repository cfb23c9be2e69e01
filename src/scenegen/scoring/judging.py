"""The pass of a score over the generated pictures, with every judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.data.classes import ClassList
from scenegen.metrics.accuracy import confusion, picture_hits
from scenegen.metrics.colour import histogram_correlation
from scenegen.scoring.generated import Generated
from scenegen.scoring.inputs import Options, Pictures, Style, Track, batches
from scenegen.scoring.judges.protocols import Judges
from scenegen.scoring.prefetch import ahead
from scenegen.scoring.protocol import SetHash


@dataclass
class Tally:
    """What the pass over the generated pictures gathers.

    Attributes:
        counts: (classes, classes) pixels by true and predicted id.
        right, counted, aesthetic, hist_corr: per picture.
        features: of the generated pictures.
        photos: of the label maps' own photographs, where the floor needs them.
        labels: hash of the label maps.
        pictures: hash of the generated pictures.
    """

    counts: Tensor
    right: list[Tensor] = field(default_factory=list)
    counted: list[Tensor] = field(default_factory=list)
    aesthetic: list[Tensor] = field(default_factory=list)
    hist_corr: list[Tensor] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)
    photos: list[Tensor] = field(default_factory=list)
    labels: SetHash = field(default_factory=SetHash)
    pictures: SetHash = field(default_factory=SetHash)

    def per_picture(self, what: str) -> np.ndarray | None:
        """The values of one of its lists, one row per picture; None where nothing was gathered."""
        values = getattr(self, what)
        return torch.cat(values).numpy() if values else None


def judge_generated(
    pictures: Generated,
    labels: Pictures,
    *,
    judges: Judges,
    bins: int | None,
    style: Style,
    own_photos: bool,
    options: Options,
    track: Track,
) -> Tally:
    """Show every generated picture, as the same uint8 batch, to every judge.

    Args:
        pictures: the generated pictures.
        labels: the label maps, of which the pictures' names are the first.
        judges: segmenter, aesthetic model, FID features.
        bins: bins per channel of the colour histograms; None computes none.
        style: sample -> its style picture (3, h, w) uint8.
        own_photos: also describe the label maps' own photographs, where they have some.
        options: see `Options`.
        track: (items, description) -> items.
    """
    classes = labels.classes
    tally = Tally(counts=torch.zeros(len(classes), len(classes), dtype=torch.long))

    def read(indices: range) -> tuple[list[Any], Tensor, Tensor | None]:
        samples = [labels[i] for i in indices]
        image = torch.stack([torch.from_numpy(pictures.read(s.name)).permute(2, 0, 1) for s in samples])
        return samples, image, torch.stack([style(s) for s in samples]) if bins is not None else None

    work = batches(len(pictures.files), options.batch_size)
    for samples, image, styles in ahead(read, track(work, "scoring")):
        for sample, picture in zip(samples, image, strict=True):
            tally.labels.add(sample.name, sample.label.numpy())
            tally.pictures.add(sample.name, picture.numpy())
        if styles is not None and bins is not None:
            tally.hist_corr.append(histogram_correlation(image, styles, bins=bins))
        image = image.to(options.device)
        if judges.segmenter is not None:
            _count(tally, judges.segmenter.predict(image).cpu(), torch.stack([s.label for s in samples]), classes)
        tally.aesthetic.append(judges.aesthetic(image).double().cpu())
        tally.features.append(judges.fid(image).float().cpu())
        if own_photos and all(s.image is not None for s in samples):
            tally.photos.append(judges.fid(torch.stack([s.image for s in samples]).to(options.device)).float().cpu())
    return tally


def _count(tally: Tally, prediction: Tensor, label: Tensor, classes: ClassList) -> None:
    tally.counts += confusion(prediction, label, num_classes=len(classes), ignore=classes.ignore)
    right, counted = picture_hits(prediction, label, ignore=classes.ignore)
    tally.right.append(right)
    tally.counted.append(counted)
