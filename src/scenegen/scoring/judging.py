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
from scenegen.scoring.prefetch import prefetched, shared_out
from scenegen.scoring.protocol import SetHash


@dataclass(frozen=True)
class Seen:
    """A batch as judges and measures of single pictures see it.

    Attributes:
        samples, made: the batch; made (b, 3, h, w) uint8.
        rows: role of a picture measure -> its rows.
        counts: see `Tally`; None where nothing is counted.
        features, photos: see `Tally`.
    """

    samples: list[Any]
    made: Tensor
    rows: Mapping[str, Tensor]
    counts: Tensor | None
    features: Mapping[str, Tensor]
    photos: Mapping[str, Tensor]


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

    def add(self, seen: Seen) -> None:
        """Take in the next batch, but for its features."""
        for sample, picture in zip(seen.samples, seen.made, strict=True):
            self.labels.add(sample.name, (sample.image if sample.label is None else sample.label).numpy())
            self.pictures.add(sample.name, picture.numpy())
        for role, rows in seen.rows.items():
            self.rows[role].append(rows)
        if seen.counts is not None:
            self.counts += seen.counts
            self.counted = True

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

    def look(batch: tuple[list[Any], Tensor, dict[str, Tensor]]) -> Seen:
        samples, made, given = batch
        on_device = {what: tensor.to(options.device) for what, tensor in given.items()}
        shown = Samples(made.to(options.device), on_device, judges)
        photos = None
        if own_photos and all(s.image is not None for s in samples):
            photos = torch.stack([s.image for s in samples]).to(options.device)
        return Seen(
            samples,
            made,
            rows={role: measure.per_picture(shown.made, shown).cpu() for role, measure in single.items()},
            counts=_confusion(shown, classes) if judges.segmenter is not None and "label" in given else None,
            features={role: judge(shown.made) for role, judge in judges.describing.items()},
            photos={} if photos is None else {role: judge(photos) for role, judge in judges.describing.items()},
        )

    described: dict[str, Gathered] = defaultdict(Gathered)
    own: dict[str, Gathered] = defaultdict(Gathered)
    work = prefetched(read, track(batches(len(pictures.files), options.batch_size), "scoring"))
    for seen in shared_out(look, work, device=options.device):
        tally.add(seen)
        for kept, features in ((described, seen.features), (own, seen.photos)):
            for role, found in features.items():
                kept[role].add(found)
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
