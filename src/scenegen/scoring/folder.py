"""Score a folder of generated pictures against a dataset: mask_acc, aesthetic, FID, the contest's total, protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenegen.data.classes import ClassList
from scenegen.metrics.accuracy import class_iou, mean_iou, pixel_accuracy
from scenegen.metrics.frechet import frechet
from scenegen.scoring.contest import Contest
from scenegen.scoring.intake import Generated, take
from scenegen.scoring.judges import Describing, Judges, Marking, Segmenting, fid_title, marks
from scenegen.scoring.protocol import protocol
from scenegen.scoring.record import Measure, Score, bootstrap_interval
from scenegen.scoring.tally import (
    FLOOR_LEAST,
    Options,
    Pictures,
    Reference,
    Tally,
    Track,
    chosen_style,
    describe_reference,
    judge_generated,
)
from scenegen.types import Refusal


class Scorer:
    """A contest total and its judges.

    Args:
        total: `contest.Jittor2022` or `contest.Jittor2023`.
        segmenter: reads label maps off pictures; None leaves out mask_acc and the total.
        aesthetic: marks pictures 0..10.
        fid: describes pictures for the Frechet distance.
        classes: of the label maps.
    """

    def __init__(
        self, *, total: Contest, segmenter: Segmenting | None, aesthetic: Marking, fid: Describing, classes: ClassList
    ) -> None:
        self.total = total
        self.judges = Judges(segmenter, aesthetic, fid)
        self.classes = classes

    def score(
        self,
        generated: Path,
        labels: Pictures,
        *,
        reference: Pictures | None = None,
        styles: Mapping[str, str] | None = None,
        options: Options | None = None,
        track: Track = lambda items, _: items,
    ) -> Score:
        """Score the pictures of a folder.

        Args:
            generated: folder with NAME.png per label map.
            labels: the label maps (and, if it has them, their photographs).
            reference: the photographs of the Frechet distance, e.g. the training split as in the contest;
                None takes the photographs of `labels`.
            styles: label name -> name of its style picture in `reference`, for hist_corr; None compares with
                the label map's own photograph.
            options: see `Options`.
            track: (items, description) -> items, for a progress bar.

        Raises:
            Refusal: pictures that do not fit the label maps, all at once; too few pictures; missing photographs.
        """
        options = options or Options()
        photos = labels if reference is None else reference
        pictures = self._take(generated, labels, options, track)
        count = len(pictures.files)
        self.judges.to(options.device)
        with torch.inference_mode():
            tally = judge_generated(
                pictures,
                labels,
                judges=self.judges,
                bins=self.total.bins,
                style=chosen_style(photos, styles),
                own_photos=options.floor and photos is not labels and count >= FLOOR_LEAST,
                options=options,
                track=track,
            )
            held = min(count, len(photos) // 2) if options.floor and tally.photos.count < count else 0
            held = held if held >= FLOOR_LEAST else 0
            real = describe_reference(photos, fid=self.judges.fid, held_out=held, options=options, track=track)
        return self._score(tally, real, options, self._measure(pictures, tally, real, styles is not None), pictures)

    def _take(self, generated: Path, labels: Pictures, options: Options, track: Track) -> Generated:
        count = min(len(labels), options.count or len(labels))
        if count < 2:
            raise Refusal(f"a score needs at least 2 pictures, there are {count} label maps")
        height, width = labels[0].label.shape
        names = list(labels.names[:count])
        size = (int(height), int(width))
        return take(generated, names, size=size, resize=options.resize, extra=options.extra, track=track)

    def _score(
        self, tally: Tally, real: Reference, options: Options, measure: dict[str, Any], pictures: Generated
    ) -> Score:
        parts = self._parts(tally, real, np.random.default_rng(options.seed))
        values = {role: part.value for role, part in parts.items()}
        values["aesthetic"] *= self.total.aesthetic_top / 10
        complete = set(self.total.parts) <= values.keys()
        return Score(
            scorer=self.total.name,
            total=self.total.total(**{role: values[role] for role in self.total.parts}) if complete else None,
            parts=parts,
            pictures=tally.fake.count,
            floor=self._floor(tally, real),
            marks=marks(self.judges.by_role()),
            warnings=pictures.warnings,
            protocol=protocol(measure=measure, seed=options.seed, config_hash=options.config_hash),
            **(self._accuracy(tally) if self.judges.segmenter is not None else {}),
        )

    def _parts(self, tally: Tally, real: Reference, rng: np.random.Generator) -> dict[str, Measure]:
        count, judges = tally.fake.count, self.judges
        parts: dict[str, Measure] = {}

        def mean(name: str, what: str, judge: str) -> Measure:
            values = tally.per_picture(what)
            interval = bootstrap_interval(values, np.ones_like(values), rng=rng)
            return Measure(name, float(values.mean()), count, judge, interval)

        if judges.segmenter is not None:
            value = float(pixel_accuracy(tally.counts))
            if math.isnan(value):
                raise Refusal("no pixel of the label maps counts, all carry the ignored id; check data and classes")
            interval = bootstrap_interval(tally.per_picture("right"), tally.per_picture("counted"), rng=rng)
            parts["mask_acc"] = Measure("mask_acc", value, count, judges.segmenter.stamp, interval)
        parts["aesthetic"] = mean(f"aesthetic({judges.aesthetic.name})", "aesthetic", judges.aesthetic.stamp)
        if tally.hist_corr:
            judge = f"joint RGB histogram, {self.total.bins} bins a channel"
            parts["hist_corr"] = mean("hist_corr", "hist_corr", judge)
        parts["fid"] = Measure(fid_title(judges.fid), float(frechet(tally.fake, real.real)), count, judges.fid.stamp)
        return parts

    def _accuracy(self, tally: Tally) -> dict[str, Any]:
        right, counted = tally.per_picture("right"), tally.per_picture("counted")
        iou = class_iou(tally.counts, ignore=self.classes.ignore)
        share = tally.counts.sum(1).double() / tally.counts.sum()
        found = [i for i in range(len(self.classes)) if not math.isnan(float(iou[i]))]
        return {
            "picture_acc": float((right[counted > 0] / counted[counted > 0]).mean()),
            "iou": {self.classes.names[i]: (float(iou[i]), float(share[i])) for i in found},
            "mean_iou": float(mean_iou(tally.counts, ignore=self.classes.ignore)),
        }

    def _floor(self, tally: Tally, real: Reference) -> Measure | None:
        """The distance of real pictures to real pictures: what no generator can be expected to beat at this N."""
        if tally.photos.count == tally.fake.count:
            held, rest, what = tally.photos, real.real, "the label maps' own photographs"
        elif real.held.count:
            held, rest, what = real.held, real.rest, "held-out reference photographs"
        else:
            return None
        judge = f"{what}, {held.count} against {rest.count}"
        name = f"{fid_title(self.judges.fid)} floor, real vs real"
        return Measure(name, float(frechet(held, rest)), held.count, judge)

    def _measure(self, pictures: Generated, tally: Tally, real: Reference, styled: bool) -> dict[str, Any]:
        """What the numbers depend on; equal for scores that compare."""
        judges: dict[str, Any] = {role: judge.stamp for role, judge in self.judges.by_role().items()}
        if self.total.bins is not None:
            judges["hist_corr"] = {"bins": self.total.bins, "style": "named" if styled else "own photograph"}
        fid = self.judges.fid
        return {
            "scorer": self.total.name,
            "judges": judges,
            "fid": {"name": fid_title(fid), "resize": fid.resize, "covariance": "unbiased, float64"},
            "quantisation": "uint8, once, as read from the files",
            "format": pictures.formats,
            "size": list(pictures.size),
            "resize": pictures.resize,
            "ignore": self.classes.ignore,
            "labels": {"hash": tally.labels.hexdigest(), "count": tally.fake.count},
            "reference": {"hash": real.hash, "count": real.real.count},
        }
