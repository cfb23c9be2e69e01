"""Score a folder of generated pictures against a dataset: mask_acc, aesthetic, FID, the contest's total, protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList
from scenegen.metrics.accuracy import class_iou, mean_iou, pixel_accuracy
from scenegen.metrics.synonyms import forgiving_accuracy, synonym_confusion
from scenegen.scoring.contest import Contest
from scenegen.scoring.distances import FLOOR_LEAST, distances
from scenegen.scoring.gains import waterfall
from scenegen.scoring.generated import Generated, take
from scenegen.scoring.inputs import Options, Pictures, Track, chosen_style
from scenegen.scoring.judges.protocols import Describing, Judges, Marking, Segmenting, fid_title, marks
from scenegen.scoring.judging import Tally, judge_generated
from scenegen.scoring.per_picture import PerPicture
from scenegen.scoring.protocol import protocol
from scenegen.scoring.record import Measure, Score
from scenegen.scoring.reference import Notice, Reference, reference_of, require_folder
from scenegen.scoring.uncertainty import Interval, intervals


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
        notice: Notice = lambda _: None,
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
            notice: is told of the reference's cache.

        Raises:
            Refusal: pictures that do not fit the label maps, all at once; too few pictures; missing photographs.
        """
        options = options or Options()
        photos = labels if reference is None else reference
        pictures = self._take(generated, labels, options, track)
        require_folder(options.cache)
        self.judges.to(options.device)
        with torch.inference_mode():
            tally = judge_generated(
                pictures,
                labels,
                judges=self.judges,
                bins=self.total.bins,
                style=chosen_style(photos, styles),
                own_photos=options.floor and photos is not labels and len(pictures.files) >= FLOOR_LEAST,
                options=options,
                track=track,
            )
        real = reference_of(photos, fid=self.judges.fid, options=options, track=track, notice=notice)
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
        features = torch.cat(tally.features)
        photos = torch.cat(tally.photos) if tally.photos else None
        found = distances(features, real, photos=photos, fid=self.judges.fid, options=options)
        rows = _rows(tally, list(pictures.files), found.influence)
        spread = intervals(rows, fid=found.fid, total=self.total, rng=np.random.default_rng(options.seed))
        parts = self._parts(tally, rows, found.fid, spread)
        values = {role: part.value for role, part in parts.items()}
        complete = set(self.total.parts) <= values.keys()
        scaled = values | {"aesthetic": values["aesthetic"] * self.total.aesthetic_top / 10}
        record = protocol(measure=measure, seed=options.seed, config_hash=options.config_hash)
        record["circumstances"]["reference"] = real.source
        return Score(
            scorer=self.total.name,
            total=self.total.total(**{role: scaled[role] for role in self.total.parts}) if complete else None,
            total_interval=spread.get("total"),
            parts=parts,
            beside=found.beside,
            waterfall=waterfall(self.total, values) if complete else {},
            pictures=len(rows),
            per_picture=rows,
            floor=found.floor,
            marks=marks(self.judges.by_role()) + _in_reference(tally, real),
            warnings=(*pictures.warnings, *([found.warning] if found.warning else [])),
            protocol=record,
            **(self._accuracy(tally, rows) if self.judges.segmenter is not None else {}),
        )

    def _parts(self, tally: Tally, rows: PerPicture, fid: float, spread: Mapping[str, Interval]) -> dict[str, Measure]:
        count, judges = len(rows), self.judges
        parts: dict[str, Measure] = {}

        def add(role: str, name: str, value: float, judge: str) -> None:
            parts[role] = Measure(name, value, count, judge, spread.get(role))

        if judges.segmenter is not None:
            value = float(pixel_accuracy(tally.counts))
            if math.isnan(value):
                raise Refusal("no pixel of the label maps counts, all carry the ignored id; check data and classes")
            add("mask_acc", "mask_acc", value, judges.segmenter.stamp)
        name = f"aesthetic({judges.aesthetic.name})"
        add("aesthetic", name, float(rows.aesthetic.mean()), judges.aesthetic.stamp)
        if rows.hist_corr is not None:
            judge = f"joint RGB histogram, {self.total.bins} bins a channel"
            add("hist_corr", "hist_corr", float(rows.hist_corr.mean()), judge)
        add("fid", fid_title(judges.fid), fid, judges.fid.stamp)
        return parts

    def _accuracy(self, tally: Tally, rows: PerPicture) -> dict[str, Any]:
        assert rows.right is not None
        assert rows.counted is not None
        names, seen = self.classes.names, rows.counted > 0
        iou = class_iou(tally.counts, ignore=self.classes.ignore)
        share = tally.counts.sum(1).double() / tally.counts.sum()
        found = [i for i in range(len(names)) if not math.isnan(float(iou[i]))]
        return {
            "picture_acc": float((rows.right[seen] / rows.counted[seen]).mean()),
            "iou": {names[i]: (float(iou[i]), float(share[i])) for i in found},
            "mean_iou": float(mean_iou(tally.counts, ignore=self.classes.ignore)),
            "synonyms": synonym_confusion(tally.counts, names),
            "forgiving_acc": float(forgiving_accuracy(tally.counts, names)),
        }

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
            "labels": {"hash": tally.labels.hexdigest(), "count": len(pictures.files)},
            "reference": {"hash": real.hash, "count": len(real)},
        }


def _rows(tally: Tally, names: list[str], influence: np.ndarray) -> PerPicture:
    features, aesthetic = tally.per_picture("features"), tally.per_picture("aesthetic")
    assert features is not None
    assert aesthetic is not None
    return PerPicture(
        names=np.array(names),
        right=tally.per_picture("right"),
        counted=tally.per_picture("counted"),
        aesthetic=aesthetic,
        hist_corr=tally.per_picture("hist_corr"),
        fid_influence=influence,
        features=features,
    )


def _in_reference(tally: Tally, real: Reference) -> tuple[str, ...]:
    """The mark of a score whose generated pictures stand, pixel by pixel, in the reference set."""
    places = {digest: name for name, digest in real.digests.items()}
    same = [(name, places[digest]) for name, digest in tally.pictures.digests.items() if digest in places]
    if not same:
        return ()
    listed = ", ".join(f"{name} = {place}" for name, place in same[:3]) + (", ..." if len(same) > 3 else "")
    return (
        f"{len(same)} of {len(tally.pictures.digests)} generated pictures are pictures of the reference set "
        f"({listed}): a distance to a set that holds them means nothing",
    )
