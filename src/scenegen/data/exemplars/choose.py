"""Choice of each picture's exemplar: from ranked lists, at random, or out of a folder of the user's own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from scenegen.base.listing import few
from scenegen.base.records import Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.exemplars.index import read_lists
from scenegen.data.exemplars.measures import LabelHist
from scenegen.data.exemplars.rank import own_rows, rank
from scenegen.data.inspection import inspect, require_sound
from scenegen.data.labels import count_ids
from scenegen.data.layouts import read_classes
from scenegen.data.pairs import Files, match_files
from scenegen.data.samples import Exemplars, Pairs, Source

LOG = logging.getLogger(__name__)
RANKED = 10
"""Length of the lists made here, as of the authors' training lists."""


def retrieved(
    *,
    data: Pairs,
    gallery: Pairs,
    index: str | None,
    test_index: str | None,
    hard_reference_probability: float,
    real_reference_probability: float,
) -> Pairs:
    """A dataset whose samples carry exemplars out of ranked lists of training pictures.

    Args:
        data: the dataset; a training split draws easy, hard and self exemplars, another one takes the first.
        gallery: the training pictures.
        index: an index of `python -m scenegen.retrieve`, or a list of CoCosNet's or UNITE's authors; None ranks the
            training pictures by the shares of their classes when the first exemplar is asked for.
        test_index: the test split's list where `index` holds the training split's alone.
        hard_reference_probability, real_reference_probability: see `Retrieved`.

    Raises:
        Refusal: fewer than two training pictures, or an index that does not fit the data.
    """
    _require_gallery(data, gallery)
    training = data.framing.random
    path = index if training or test_index is None else test_index
    lists = None if path is None else _places(Path(path), data, gallery, split="train" if training else "test")
    chooser = Retrieved(
        queries=data.source,
        source=gallery.source,
        lists=lists,
        training=training,
        seed=data.seed,
        hard_reference_probability=hard_reference_probability,
        real_reference_probability=real_reference_probability,
    )
    return _with(data, chooser)


def at_random(*, data: Pairs, gallery: Pairs, real_reference_probability: float) -> Pairs:
    """A dataset whose samples carry random training pictures as exemplars, never their own but as a self reference.

    Args:
        data: the dataset; a training split gets another picture in every epoch, another split always the same one.
        gallery: the training pictures.
        real_reference_probability: of a training sample, that its exemplar is another picture and not itself.
    """
    _require_gallery(data, gallery)
    _require_probability("real_reference_probability", real_reference_probability)
    real = real_reference_probability if data.framing.random else 1.0
    own = own_rows(data.source, gallery.source)
    return _with(data, AtRandom(source=gallery.source, own=own, seed=data.seed, real_reference_probability=real))


def given(data: Pairs, folder: str, *, remap: Mapping[int, int] | None = None) -> Pairs:
    """A dataset whose samples carry exemplars out of a folder: one for all, or one per sample with its name.

    Args:
        data: the dataset.
        folder: holds images/ and labels/, a photograph and a label PNG of one stem each.
        remap: file id -> class id where they differ.

    Raises:
        Refusal: another layout, another class set, files that cannot be used, or samples without an exemplar.
    """
    root = Path(folder)
    if not (root / "images").is_dir() or not (root / "labels").is_dir():
        raise Refusal(f"exemplars={folder} should hold images/ and labels/, a photograph and a label PNG of one stem "
                      "each: one pair for all label maps, or one per label map with its name")  # fmt: skip
    if (root / "classes.json").is_file() and (there := read_classes(root / "classes.json")).names != data.classes.names:
        raise Refusal(f"exemplars={folder} has other classes than the model: {len(there)} ({few(there.names)}) in its "
                      f"classes.json, {len(data.classes)} ({few(data.classes.names)}) in the run's")  # fmt: skip
    pairs, unmatched = match_files(root / "labels", root / "images")
    files = Files(root, data.classes, pairs, unmatched, remap or {})
    exemplars = Pairs(files, framing=data.framing)
    require_sound(exemplars)
    there = {name: place for place, name in enumerate(exemplars.names)}
    without = [name for name in data.names if name not in there]
    if len(files) > 1 and without:
        raise Refusal(f"exemplars={folder} has {len(files)} pictures but none for {len(without)} of the {len(data)} "
                      f"label maps ({few(without)}); name each after its label map, or give one for all")  # fmt: skip
    return _with(data, Given(files, [there.get(name, 0) for name in data.names]))


class Retrieved:
    """Easy, hard and self exemplars out of ranked lists, by one uniform number p per (epoch, index).

    Training: the last of the list ("hard") where p < hard_reference_probability and p < real_reference_probability,
    the first ("easy") where p < real_reference_probability, the picture itself otherwise. Elsewhere always the first.

    Args:
        queries: the pictures that get exemplars.
        source: the training pictures.
        lists: per query the places of its exemplars in `source`, best first; None ranks them on first use.
        training: whether to draw.
        seed: of the draws.

    Source: Zhang et al., CVPR 2020 (CoCosNet), its published training; Zhan et al., CVPR 2021 (UNITE), the same.
    """

    def __init__(
        self,
        *,
        queries: Source,
        source: Source,
        lists: Sequence[Sequence[int]] | None,
        training: bool,
        seed: int,
        hard_reference_probability: float = 0.2,
        real_reference_probability: float = 0.7,
    ) -> None:
        _require_probability("hard_reference_probability", hard_reference_probability)
        _require_probability("real_reference_probability", real_reference_probability)
        self.queries = queries
        self.source = source
        self.training = training
        self.seed = seed
        self.hard = hard_reference_probability
        self.real = real_reference_probability
        self._given = lists

    @cached_property
    def lists(self) -> Sequence[Sequence[int]]:
        """Per query the places of its exemplars in `source`, best first."""
        if self._given is not None:
            return self._given
        LOG.info("exemplar.index=null: ranking %d pictures against %d training pictures by label_hist",
                 len(self.queries), len(self.source))  # fmt: skip
        return rank_by_labels(self.queries, self.source, top_k=min(RANKED, len(self.source) - 1)).tolist()

    def choose(self, epoch: int, index: int) -> int | None:
        ranked = self.lists[index]
        if not self.training:
            return ranked[0]
        p = hash_seed(self.seed, "reference", epoch, index) / 2**63
        if p >= self.real:
            return None
        return ranked[-1] if p < self.hard else ranked[0]


@dataclass(frozen=True)
class AtRandom:
    """Any training picture but the sample itself, or with the remaining probability the sample itself.

    Attributes:
        source: the training pictures.
        own: (n,) place of each sample in `source`, or -1.
        seed: of the draws.
        real_reference_probability: that the exemplar is another picture.
    """

    source: Source
    own: np.ndarray
    seed: int
    real_reference_probability: float

    def choose(self, epoch: int, index: int) -> int | None:
        if hash_seed(self.seed, "reference", epoch, index) / 2**63 >= self.real_reference_probability:
            return None
        own = int(self.own[index])
        others = len(self.source) - (own >= 0)
        place = hash_seed(self.seed, "random exemplar", epoch, index) % others
        return place + (0 <= own <= place)


@dataclass(frozen=True)
class Given:
    """The exemplars that the user names: `places` holds one place in `source` per sample."""

    source: Source
    places: Sequence[int]

    def choose(self, epoch: int, index: int) -> int | None:
        return self.places[index]


def rank_by_labels(queries: Source, gallery: Source, *, top_k: int) -> np.ndarray:
    """(n, top_k) places in the gallery by the shares of the classes of whole label maps; no photograph is read."""
    measure = LabelHist(classes=gallery.classes)
    x, y = (measure.of_counts(label_counts(source)) for source in (queries, gallery))
    return rank(x, y, measure=measure, top_k=top_k, own=own_rows(queries, gallery)).rows


def label_counts(source: Source) -> Iterable[Mapping[int, int]]:
    """Pixels per class id of every label map."""
    if isinstance(source, Files):
        return (item.counts for item in inspect(source, deep=False))
    known = source.label_counts
    return known if known is not None else [count_ids(source.load(i).ids) for i in range(len(source))]


def _places(path: Path, data: Pairs, gallery: Pairs, *, split: str) -> list[list[int]]:
    """The lists of a file as places in the gallery, the pictures themselves left out."""
    found = read_lists(path, split=split, classes=data.classes)
    if without := [name for name in data.names if name not in found]:
        raise Refusal(
            f"{path} has no exemplars for {len(without)} of the {len(data)} {split} pictures ({few(without)}); make it "
            "anew with python -m scenegen.retrieve for this data"
            + ("" if split == "train" else ", or give the test list as exemplar.test_index=PATH")
        )
    place = {name: i for i, name in enumerate(gallery.names)}
    wanted = {name for query in data.names for name in found[query]}
    if missing := sorted(wanted - set(place)):
        raise Refusal(f"{path} names {len(missing)} exemplars that are not among the {len(gallery)} training pictures: "
                      f"{few(missing)}; make it anew with python -m scenegen.retrieve for this data")  # fmt: skip
    own = own_rows(data.source, gallery.source)
    lists = [[place[name] for name in found[query]] for query in data.names]
    others = [[p for p in listed if p != own[i]] for i, listed in enumerate(lists)]
    if lonely := [name for name, listed in zip(data.names, others, strict=True) if not listed]:
        raise Refusal(f"{path} gives {len(lonely)} pictures no exemplar but themselves ({few(lonely)}); make it anew "
                      "with python -m scenegen.retrieve")  # fmt: skip
    if dropped := sum(len(a) != len(b) for a, b in zip(lists, others, strict=True)):
        LOG.info("%s lists %d pictures as their own exemplars; those entries are left out", path, dropped)
    return others


def _with(data: Pairs, exemplars: Exemplars) -> Pairs:
    return Pairs(data.source, framing=data.framing, seed=data.seed, exemplars=exemplars)


def _require_gallery(data: Pairs, gallery: Pairs) -> None:
    if data.classes.names != gallery.classes.names:
        theirs, ours = gallery.classes.names, data.classes.names
        raise Refusal(f"the training pictures are of another class set, {len(theirs)} classes ({few(theirs)}) against "
                      f"{len(ours)} ({few(ours)}) of the label maps")  # fmt: skip
    if len(gallery) < 2:
        raise Refusal(f"exemplars are other training pictures, but there is only {len(gallery)} of them; give the "
                      "training split at least two, or exemplar=none")  # fmt: skip
    if isinstance(gallery.source, Files) and gallery.source.pairs[0].image is None:
        raise Refusal("exemplars are photographs, but data.label_only=true reads none; use data.label_only=false, or "
                      "exemplar=none")  # fmt: skip


def _require_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise Refusal(f"exemplar.{name}={value}: a probability, 0..1")
