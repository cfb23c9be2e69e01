"""The pass of a score over the made pictures, with every judge and every measure of single pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.samples import planes
from scenegen.metrics.accuracy import confusion
from scenegen.metrics.rows import Rows
from scenegen.scoring.features import Gathered
from scenegen.scoring.generated import Generated
from scenegen.scoring.inputs import Options, Pictures, Samples, Style, Track, batches
from scenegen.scoring.judges.protocols import Judges
from scenegen.scoring.measures import Measure, PictureMeasure
from scenegen.scoring.prefetch import prefetched
from scenegen.scoring.protocol import SetHash


@dataclass
class Tally:
    """Counts, rows, features and hashes that the pass over the made pictures gathers.

    Attributes:
        counts: (classes, classes) pixels by true and predicted id, of the segmenter where there is one.
        counted: true where there was a segmenter and a label map to count.
        rows: role of a picture measure -> its rows, batch by batch.
        features: role of a judge that describes pictures -> its features of the made ones.
        photos: the same of the samples' own photographs, where the floor needs them.
        labels: hash of the label maps (of the photographs of samples without one).
        pictures: hash of the made pictures.
    """

    counts: Tensor
    counted: bool = False
    rows: dict[str, list[Tensor]] = field(default_factory=dict)
    features: dict[str, Rows] = field(default_factory=dict)
    photos: dict[str, Rows] = field(default_factory=dict)
    labels: SetHash = field(default_factory=SetHash)
    pictures: SetHash = field(default_factory=SetHash)

    def of(self, role: str) -> np.ndarray:
        """(n, ...) rows of a measure."""
        return torch.cat(self.rows[role]).numpy()


def judge_generated(
    pictures: Generated,
    labels: Pictures,
    *,
    measures: Mapping[str, Measure],
    judges: Judges,
    style: Style,
    own_photos: bool,
    options: Options,
    track: Track,
) -> Tally:
    """Show every made picture, as the same uint8 batch, to every judge and every picture measure.

    Args:
        pictures: the made pictures.
        labels: the samples; the pictures' names are the first of theirs.
        measures: role -> measure.
        judges: of the measures.
        style: sample -> its style picture (3, h, w) uint8.
        own_photos: also describe the samples' own photographs, where they have some.
        options: see `Options`.
        track: (items, description) -> items.

    Raises:
        Refusal: a sample without what a measure needs.
    """
    classes, single = labels.classes, {r: m for r, m in measures.items() if isinstance(m, PictureMeasure)}
    needs = frozenset().union(*(measure.needs for measure in single.values()))
    tally = Tally(counts=torch.zeros(len(classes), len(classes), dtype=torch.long), rows={role: [] for role in single})

    def read(indices: range) -> tuple[list[Any], Tensor, dict[str, Tensor]]:
        samples = [labels[i] for i in indices]
        for sample in samples:
            require_needs(sample, single)
        made = torch.stack([planes(pictures.read(s.name)) for s in samples])
        given = {what: torch.stack([_given(s, what) for s in samples]) for what in needs & {"image", "label"}}
        if "style" in needs:
            given["style"] = torch.stack([style(s) for s in samples])
        if "results" in needs:
            given["results"] = torch.stack([torch.stack([*map(planes, pictures.results(s.name))]) for s in samples])
        return samples, made, given

    described: dict[str, Gathered] = defaultdict(Gathered)
    own: dict[str, Gathered] = defaultdict(Gathered)
    work = batches(len(pictures.files), options.batch_size)
    for samples, made, given in prefetched(read, track(work, "scoring")):
        for sample, picture in zip(samples, made, strict=True):
            tally.labels.add(sample.name, (sample.image if sample.label is None else sample.label).numpy())
            tally.pictures.add(sample.name, picture.numpy())
        made = made.to(options.device)
        sample = Samples(made, {what: t.to(options.device) for what, t in given.items()}, judges)
        for role, measure in single.items():
            tally.rows[role].append(measure.per_picture(made, sample).cpu())
        if judges.segmenter is not None and "label" in given:
            tally.counts += _confusion(sample, classes)
            tally.counted = True
        for role, judge in judges.describing.items():
            described[role].add(judge(made))
            if own_photos and all(s.image is not None for s in samples):
                own[role].add(judge(torch.stack([s.image for s in samples]).to(options.device)))
    tally.features = {role: gathered.rows() for role, gathered in described.items()}
    tally.photos = {role: gathered.rows() for role, gathered in own.items()}
    return tally


def require_needs(sample: Any, measures: Mapping[str, Measure]) -> None:
    """Refuse a sample without the photograph or the label map that a measure needs."""
    for what, thing, has in (("image", "photograph", sample.image), ("label", "label map", sample.label)):
        lacking = [role for role, measure in measures.items() if what in measure.needs]
        if lacking and has is None:
            raise Refusal(
                f"{sample.name} has no {thing}, which {', '.join(lacking)} need{'s' if len(lacking) == 1 else ''}; "
                f"choose data with {thing}s, or other measures (measure=, scorer=none for these alone)"
            )


def require_depth(sample: Any, measures: Mapping[str, Measure]) -> None:
    """Refuse measures of 8-bit pictures for slices of more bits, and the other way round."""
    deep = sample.depth is not None
    if wrong := [role for role, measure in measures.items() if measure.hounsfield != deep]:
        what, instead = ("slices in Hounsfield units", "measure=psnr_hu+ssim_hu+rmse_hu scorer=none") if deep else (
            "8-bit pictures", "measure=psnr+ssim+rmse")  # fmt: skip
        raise Refusal(f"measure={'+'.join(wrong)} does not measure {what}, which these data are; use {instead}")


def _given(sample: Any, what: str) -> Tensor:
    """A sample's own tensor as measures read it: a slice in Hounsfield units."""
    found = getattr(sample, what)
    return sample.depth.units(found) if what == "image" and sample.depth is not None else found


def _confusion(sample: Samples, classes: ClassList) -> Tensor:
    return confusion(sample.prediction, sample.label, num_classes=len(classes), ignore=classes.ignore).cpu()
