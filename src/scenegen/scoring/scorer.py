"""Score a folder of made pictures against a dataset: every chosen measure, the contest's total, the protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenegen.base.records import Kind
from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.samples import Pairs
from scenegen.metrics.accuracy import class_iou, mean_iou
from scenegen.metrics.synonyms import forgiving_accuracy, synonym_confusion
from scenegen.scoring.contest import Contest
from scenegen.scoring.distances import FLOOR_LEAST, Found
from scenegen.scoring.gains import gains_of
from scenegen.scoring.generated import Generated, take
from scenegen.scoring.inputs import Chosen, Options, Pictures, Track, chosen_style
from scenegen.scoring.judges.protocols import Judge, Judges, fid_title, marks
from scenegen.scoring.judging import Tally, judge_generated, require_depth, require_needs
from scenegen.scoring.measures import HistCorr, Measure, PictureMeasure, SetMeasure, Sets
from scenegen.scoring.per_picture import PerPicture
from scenegen.scoring.protocol import protocol
from scenegen.scoring.record import Number, Score
from scenegen.scoring.reference import Notice, Reference, reference_of, require_folder
from scenegen.scoring.uncertainty import Interval, intervals

PARTS = ("mask_acc", "aesthetic", "hist_corr", "fid")
"""Roles of the contests' totals, whose rows have a place of their own in `PerPicture`."""

LEAST = 2
"""Pictures below which nothing is scored: an interval needs two."""


class Scorer:
    """Measures, and the contest total of their roles.

    Args:
        measures: role -> measure, those of the total first.
        classes: of the label maps.
        total: `contest.Jittor2022` or `contest.Jittor2023`; None gives the measures alone.
        left_out: numbers that cannot be had, with the reason; a mark of every score; "" for none.
        kind: of the data's pictures; judges that do not rank it are marked. None marks none.

    Attributes:
        judges: the frozen networks that the measures read.
        results: made pictures of each sample that the measures read.

    Raises:
        Refusal: without a measure.
    """

    def __init__(
        self,
        *,
        measures: Mapping[str, Measure],
        classes: ClassList,
        total: Contest | None = None,
        left_out: str = "",
        kind: Kind | None = None,
    ) -> None:
        if not measures:
            raise Refusal("nothing is measured; choose measure=psnr+ssim or others, or scorer=jittor2022")
        self.total, self.measures, self.classes = total, dict(measures), classes
        self.left_out = left_out
        self.kind: Kind | None = kind
        held = {role: judge for measure in self.measures.values() for role, judge in measure.judges.items()}
        self.judges = Judges.of(held)
        self.results = max(measure.results for measure in self.measures.values())

    def require(self, labels: Pictures) -> None:
        """Refuse data of a single sample, or whose samples lack what the measures need, by the first of them."""
        if len(labels) < LEAST:
            raise Refusal(f"a score needs at least {LEAST} pictures, and there is {len(labels)} to test on; hold out "
                          "more (data.val_fraction, or a folder of test pictures)")  # fmt: skip
        require_needs(labels[0], self.measures)
        require_depth(labels[0], self.measures)

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
            notice: receives sentences about the reference's cache.

        Raises:
            Refusal: pictures that do not fit the label maps, all at once; too few pictures; missing photographs.
        """
        options = options or Options()
        photos = labels if reference is None else reference
        self.require(labels)
        pictures = self._take(generated, labels, options, track)
        require_folder(options.cache)
        for measure in self.measures.values():
            measure.to(options.device)
        with torch.inference_mode():
            tally = judge_generated(
                pictures,
                labels,
                measures=self.measures,
                judges=self.judges,
                style=chosen_style(photos, styles),
                own_photos=options.floor and photos is not labels and len(pictures.files) >= FLOOR_LEAST,
                options=options,
                track=track,
            )
        real = {
            role: reference_of(self._described(photos, role), fid=judge, options=options, track=track, notice=notice)
            for role, judge in self.judges.describing.items()
        }
        measured = self._measured(pictures, tally, real, styled=styles is not None, posts=options.posts)
        return self._score(tally, real, options, measured, pictures)

    def _described(self, photos: Pictures, role: str) -> Pictures:
        """The reference's photographs that a judge describes."""
        limits = [m.most for m in self.measures.values() if isinstance(m, SetMeasure) and m.describer == role]
        most = None if None in limits else max(filter(None, limits), default=None)
        if most is None or len(photos) <= most:
            return photos
        return Chosen(photos, [i * len(photos) // most for i in range(most)])

    def _take(self, generated: Path, labels: Pictures, options: Options, track: Track) -> Generated:
        count = min(len(labels), options.count or len(labels))
        if count < LEAST:
            raise Refusal(f"a score needs at least {LEAST} pictures, count={count} leaves fewer; give count={LEAST} or "
                          "more")  # fmt: skip
        first = labels[0]
        height, width = (first.image if first.label is None else first.label).shape[-2:]
        names = list(labels.names[:count])
        size = (int(height), int(width))
        framed = labels if isinstance(labels, Pairs) else None
        return take(
            generated, names, size=size, labels=framed, depth=first.depth, resize=options.resize, extra=options.extra,
            results=self.results, track=track,
        )  # fmt: skip

    def _score(
        self,
        tally: Tally,
        real: Mapping[str, Reference],
        options: Options,
        measured: dict[str, Any],
        pictures: Generated,
    ) -> Score:
        found = self._of_sets(tally, real, options)
        rows = self._rows(tally, list(pictures.files), found)
        fid = found["fid"].value if "fid" in found else None
        values = {r: m.value for r, m in self.measures.items() if r in rows.measures and isinstance(m, PictureMeasure)}
        values |= dict.fromkeys(_further(found), _not_below_zero)
        spread = intervals(rows, fid=fid, total=self.total, rng=np.random.default_rng(options.seed), values=values)
        accuracy = self._accuracy(tally, rows)
        parts = self._parts(tally, found, len(rows), spread)
        record = protocol(measure=measured, seed=options.seed, config_hash=options.config_hash)
        if real:
            record["circumstances"]["reference"] = next(iter(real.values())).source
        return Score(
            scorer=None if self.total is None else self.total.name,
            total_interval=spread.get("total"),
            parts=parts,
            beside={r: n for one in found.values() for r, n in one.beside.items() if r not in parts},
            pictures=len(rows),
            per_picture=rows,
            floor=next((one.floor for one in found.values() if one.floor is not None), None),
            marks=tuple([f"left out: {self.left_out}"] if self.left_out else [])
            + marks(self._judged_by(), kind=self.kind, read=options.read)
            + _chosen(options.chosen_on, pictures)
            + _in_reference(tally, real),
            warnings=(*pictures.warnings, *dict.fromkeys(one.warning for one in found.values() if one.warning)),
            protocol=record,
            **self._total({role: part.value for role, part in parts.items()}),
            **accuracy,
        )

    def _of_sets(self, tally: Tally, real: Mapping[str, Reference], options: Options) -> dict[str, Found]:
        sets = {role: Sets(tally.features[role], one, tally.photos.get(role), options) for role, one in real.items()}
        chosen = {role: measure for role, measure in self.measures.items() if isinstance(measure, SetMeasure)}
        return {role: measure.of_set(sets[measure.describer]) for role, measure in chosen.items()}

    def _rows(self, tally: Tally, names: list[str], found: Mapping[str, Found]) -> PerPicture:
        mask = tally.of("mask_acc") if "mask_acc" in tally.rows else None
        features = tally.features.get("FID")
        return PerPicture(
            names=np.array(names),
            right=None if mask is None else mask[:, 0],
            counted=None if mask is None else mask[:, 1],
            aesthetic=tally.of("aesthetic") if "aesthetic" in tally.rows else None,
            hist_corr=tally.of("hist_corr") if "hist_corr" in tally.rows else None,
            fid_influence=found["fid"].influence if "fid" in found else None,
            features=features.numpy() if isinstance(features, torch.Tensor) else features,
            measures={role: tally.of(role) for role in tally.rows if role not in PARTS} | _further(found),
        )

    def _parts(
        self, tally: Tally, found: Mapping[str, Found], count: int, spread: Mapping[str, Interval]
    ) -> dict[str, Number]:
        parts = {}
        for role, measure in self.measures.items():
            value = measure.value(tally.of(role)) if isinstance(measure, PictureMeasure) else found[role].value
            interval = spread.get(role)
            parts[role] = Number(measure.name, value, count, measure.stamp, interval, measure.better)
        return parts

    def _total(self, values: Mapping[str, float]) -> dict[str, Any]:
        """The total and its gains; the total is None where a part was not measured."""
        if self.total is None or not set(self.total.parts) <= values.keys():
            return {"total": None}
        own = {role: values[role] for role in self.total.parts}
        if "aesthetic" in own:
            own["aesthetic"] = own["aesthetic"] * self.total.aesthetic_top / 10
        return {"total": self.total.total(**own), "waterfall": gains_of(self.total, values)}

    def _accuracy(self, tally: Tally, rows: PerPicture) -> dict[str, Any]:
        """IoU and accuracies beside mask_acc, from the confusion of the classes; empty without a segmenter."""
        if not tally.counted:
            return {}
        if not tally.counts.sum():
            raise Refusal("no pixel of the label maps counts, all carry the ignored id; check data and classes")
        names = self.classes.names
        iou = class_iou(tally.counts, ignore=self.classes.ignore)
        share = tally.counts.sum(1).double() / tally.counts.sum()
        found = [i for i in range(len(names)) if not math.isnan(float(iou[i]))]
        return {
            "picture_acc": None if rows.right is None else _picture_acc(rows),
            "iou": {names[i]: (float(iou[i]), float(share[i])) for i in found},
            "mean_iou": float(mean_iou(tally.counts, ignore=self.classes.ignore)),
            "synonyms": synonym_confusion(tally.counts, names),
            "forgiving_acc": float(forgiving_accuracy(tally.counts, names)),
        }

    def _judged_by(self) -> dict[str, Judge]:
        """Judges, and measures without a judge, by the names that marks use."""
        judgeless: dict[str, Judge] = {role: measure for role, measure in self.measures.items() if not measure.judges}
        return self.judges.by_role() | judgeless

    def _measured(
        self, pictures: Generated, tally: Tally, real: Mapping[str, Reference], *, styled: bool, posts: Sequence[str]
    ) -> dict[str, Any]:
        """Everything that the numbers depend on; equal for scores that compare."""
        judges: dict[str, Any] = {role: judge.stamp for role, judge in self.judges.by_role().items()}
        for role, measure in self.measures.items():
            if isinstance(measure, HistCorr):
                judges[role] = {"bins": measure.bins, "style": "named" if styled else "own photograph"}
        measured: dict[str, Any] = {
            "scorer": None if self.total is None else self.total.name,
            "judges": judges,
            "quantisation": "uint8, once, as read from the files",
            "format": pictures.formats,
            "size": list(pictures.size),
            "resize": pictures.resize,
            "ignore": self.classes.ignore,
            "labels": {"hash": tally.labels.hexdigest(), "count": len(pictures.files)},
        }
        if pictures.fit is not None:
            measured["fit"] = f"{pictures.fit}, as the label maps"
        if (fid := self.judges.fid) is not None:
            measured["fid"] = {"name": fid_title(fid), "resize": fid.resize, "covariance": "unbiased, float64"}
        if real:
            described = next(iter(real.values()))
            measured["reference"] = {"hash": described.hash, "count": len(described)}
        parts = PARTS if self.total is None else (*PARTS, *self.total.parts)
        if posts:
            measured["posts"] = list(posts)
        if more := {role: measure.stamp for role, measure in self.measures.items() if role not in parts}:
            measured["measures"] = more
        return measured


def _picture_acc(rows: PerPicture) -> float:
    """Mean accuracy of the pictures in which any pixel counts."""
    assert rows.right is not None
    assert rows.counted is not None
    seen = rows.counted > 0
    return float((rows.right[seen] / rows.counted[seen]).mean())


def _further(found: Mapping[str, Found]) -> dict[str, np.ndarray]:
    """Role -> (n,) parts of the pictures in a set's number, their mean; the Frechet distance has a place of its own."""
    known = {role: one for role, one in found.items() if role not in PARTS}
    return {role: one.value + one.influence for role, one in known.items() if one.influence is not None}


def _not_below_zero(rows: np.ndarray) -> float:
    return max(0.0, float(rows.mean()))


def _chosen(names: Sequence[str], pictures: Generated) -> tuple[str, ...]:
    """The mark of a score on maps by which the model's checkpoints were chosen."""
    seen = len(set(names) & set(pictures.files))
    told = f"{seen} of {len(pictures.files)} maps chose the checkpoints of this model, which flatters it; score others"
    return (told,) if seen else ()


def _in_reference(tally: Tally, real: Mapping[str, Reference]) -> tuple[str, ...]:
    """The mark of a score whose generated pictures stand, pixel by pixel, in the reference set."""
    places = {digest: name for one in real.values() for name, digest in one.digests.items()}
    same = [(name, places[digest]) for name, digest in tally.pictures.digests.items() if digest in places]
    if not same:
        return ()
    listed = ", ".join(f"{name} = {place}" for name, place in same[:3]) + (", ..." if len(same) > 3 else "")
    return (
        f"{len(same)} of {len(tally.pictures.digests)} generated pictures are pictures of the reference set "
        f"({listed}): a distance to a set that holds them means nothing",
    )
