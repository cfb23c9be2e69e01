"""Files of ranked exemplars: the JSON index of `python -m scenegen.retrieve`, and the lists of CoCosNet and UNITE."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scenegen.base.documents import of_shape, read_json, read_text
from scenegen.base.kept import Notice
from scenegen.base.listing import few
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.exemplars.described import KeptLists, describe, log_once
from scenegen.data.exemplars.keys import Ranked
from scenegen.data.exemplars.measures import Measure
from scenegen.data.exemplars.rank import Track, own_rows, rank, require_lists, untracked
from scenegen.data.pairs import Files
from scenegen.data.samples import Pairs

FORMAT = "scenegen exemplars 1"
WHAT, CURE = "exemplar.index", "make it anew with python -m scenegen.retrieve"
"""Name of the file and its cure, in a refusal."""

Scored = Sequence[tuple[str, float]]
"""Names of training pictures and their similarity, in order."""


class Lists(Mapping[str, Scored]):
    """Name of a picture -> its list, which is made when it is asked for.

    Args:
        names: of the pictures.
        gallery: names of the training pictures.
        ranked: their places in the gallery.
    """

    def __init__(self, names: Sequence[str], gallery: Sequence[str], ranked: Ranked) -> None:
        self.names, self.gallery, self.ranked = names, gallery, ranked

    @cached_property
    def places(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> Scored:
        return self.at(self.places[name])

    def at(self, place: int) -> Scored:
        """The list of the picture at a place."""
        rows: list[int] = self.ranked.rows[place].tolist()
        scores: list[float] = self.ranked.scores[place].tolist()
        return [(self.gallery[row], score) for row, score in zip(rows, scores, strict=True)]

    def items(self) -> ItemsView[str, Scored]:
        return _Items(self)


class _Items(ItemsView[str, Scored]):
    """Names and lists in order, without looking the names up."""

    def __init__(self, lists: Lists) -> None:
        super().__init__(lists)
        self.lists = lists

    def __iter__(self) -> Iterator[tuple[str, Scored]]:
        return ((name, self.lists.at(place)) for place, name in enumerate(self.lists.names))


@dataclass(frozen=True)
class Index:
    """Ranked exemplars of every picture.

    Attributes:
        about: how they were found: by, stamp, top_k, diversity, size, data.
        classes: names of the classes, in id order.
        lists: split -> name of the picture -> (name of the training picture, similarity), in order.
    """

    about: Mapping[str, Any]
    classes: Sequence[str]
    lists: Mapping[str, Mapping[str, Scored]]

    def as_json(self) -> Iterator[str]:
        """Text of the index, piece by piece; one line per picture, so that two can be compared line by line."""
        head = {"format": FORMAT, **self.about, "num_classes": len(self.classes), "classes": list(self.classes)}
        yield "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
        for split, lists in self.lists.items():
            yield f",\n {json.dumps(split)}: {{\n"
            for place, (name, listed) in enumerate(lists.items()):
                yield ",\n" * (place > 0) + f"  {json.dumps(name)}: {json.dumps(listed)}"
            yield "\n }"
        yield "\n}\n"

    def first_score(self, split: str) -> float:
        """Mean similarity of the pictures of a split to the first of their lists."""
        return float(np.mean([listed[0][1] for _, listed in self.lists[split].items()]))

    def as_list(self, split: str, *, queries: Pairs, gallery: Pairs, style: str) -> Iterator[str]:
        """Lines of the lists in the authors' format: one line per picture, its file's name and those of its exemplars.

        Args:
            split: "train" or "test".
            queries, gallery: where the pictures' files are.
            style: "photographs" writes `photo.jpg,ref.jpg,...` as the published lists of CoCosNet and UNITE;
                "contest" writes `label.png,ref.png,...,` with a trailing comma, as those of the landscape contest.
        """
        (own, usual), (others, usual_others) = (
            _suffixes(data) if style == "photographs" else ({}, ".png") for data in (queries, gallery)
        )
        for query, listed in self.lists[split].items():
            names = [query + own.get(query, usual)]
            names += [name + others.get(name, usual_others) for name, _ in listed]
            yield ",".join(names) + ("," if style == "contest" else "") + "\n"


def is_index(content: bytes) -> bool:
    """True for the content of a file that `Index.as_json` has made."""
    return f'"format": {json.dumps(FORMAT)}'.encode() in content[:200]


def make_index(
    splits: Mapping[str, Pairs],
    *,
    by: str,
    measure: Measure,
    top_k: int,
    diversity: float,
    about: Mapping[str, Any],
    batch_size: int = 16,
    workers: int = 0,
    track: Track = untracked,
    notice: Notice = log_once,
) -> Index:
    """Rank the training pictures for every picture of every split.

    Args:
        splits: the datasets; "train" is the gallery too.
        by: name of the measure.
        measure: compares pictures.
        top_k, diversity: see `rank`.
        about: more to write down, such as the data's config.
        batch_size, workers: pictures per pass, processes that read them.
        track: (items, description) -> items, for a progress bar.
        notice: receives a sentence about kept descriptions that cannot be used.

    Raises:
        Refusal: fewer than two training pictures, or top_k is more than there are others.
    """
    gallery = splits["train"]
    require_lists(len(gallery), top_k=top_k, diversity=diversity)
    found = {
        split: describe(data, measure=measure, batch_size=batch_size, workers=workers, track=track, notice=notice)
        for split, data in splits.items()
    }
    lists = {}
    for split, data in splits.items():
        own = own_rows(data.source, gallery.source)
        with KeptLists(found[split], found["train"], top_k=top_k, diversity=diversity, notice=notice) as known:
            ranked = rank(found[split].rows, found["train"].rows, measure=measure, top_k=top_k, own=own,
                          diversity=diversity, width=gallery.framing.width, known=known, track=track)  # fmt: skip
        lists[split] = Lists(data.names, gallery.names, ranked)
    size = [gallery.framing.height, gallery.framing.width]
    facts = {"by": by, "stamp": measure.stamp, "top_k": top_k, "diversity": diversity, "size": size, **about}
    counts = {split: len(data) for split, data in splits.items()}
    return Index(about={**facts, "pictures": counts}, classes=gallery.classes.names, lists=lists)


def read_lists(path: Path, *, split: str, classes: ClassList) -> dict[str, list[str]]:
    """Name of every picture -> names of its exemplars, in order, from an index or a list.

    Args:
        path: a .json index, or a list with one line `name,name,...` per picture; endings of names do not matter there.
        split: "train" or "test"; a list holds one split alone, so whatever it holds is taken.
        classes: of the data that the lists are for.

    Raises:
        Refusal: no such file, another format, or an index of another class set.
    """
    if not path.is_file():
        raise Refusal(f"exemplar.index={path}: there is no such file; make one with python -m scenegen.retrieve, or "
                      "give null to rank by label_hist at the start")  # fmt: skip
    if path.suffix.lower() == ".json":
        return _read_json(path, split, classes)
    return _read_list(path, read_text(path, what=WHAT, cure="each line is name,exemplar,exemplar,..."))


def _read_json(path: Path, split: str, classes: ClassList) -> dict[str, list[str]]:
    content = read_json(path, what=WHAT, cure=CURE, shape=dict[str, Any])
    if "classes" not in content:
        raise Refusal(f"{WHAT} {path} is no index of python -m scenegen.retrieve (it has no classes); {CURE}")
    theirs = tuple(of_shape(content["classes"], list[str], what=f"{WHAT} {path}, classes", cure=CURE))
    said = {key: content[key] for key, own in (("format", FORMAT), ("num_classes", len(theirs)))
            if key in content and content[key] != own}  # fmt: skip
    if said:
        key, value = next(iter(said.items()))
        wanted = f'where "{FORMAT}" is read' if key == "format" else f"with {len(theirs)} names in classes"
        raise Refusal(f"{WHAT} {path} has {key} {json.dumps(value, default=str)[:60]}, {wanted}; {CURE}")
    shape = dict[str, list[tuple[str, float]]]
    lists = of_shape(content.get(split, {}), shape, what=f"{WHAT} {path}, {split}", cure=CURE)
    found = {name: [chosen for chosen, _ in listed] for name, listed in lists.items()}
    if theirs != classes.names:
        raise Refusal(
            f"{path} is of another class set: {len(theirs)} classes ({few(theirs)}), but the data has {len(classes)} "
            f"({few(classes.names)}); make it anew with python -m scenegen.retrieve for this data"
        )
    return found


def _read_list(path: Path, text: str) -> dict[str, list[str]]:
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        names = [Path(name.strip()).stem for name in line.split(",") if name.strip()]
        if len(names) == 1:
            raise Refusal(f"{path}, line {number} names a picture without exemplars ({line.strip()!r}); each line is "
                          "name,exemplar,exemplar,...")  # fmt: skip
        if names:
            found[names[0]] = names[1:]
    return found


def _suffixes(data: Pairs) -> tuple[Mapping[str, str], str]:
    """Ending of the photographs' files, by name where it is not the usual one; .png for data without files."""
    source = data.source
    if not isinstance(source, Files) or not source.has_images:
        return {}, ".png"
    ((usual, _),) = Counter(pair.image.suffix for pair in source.pairs if pair.image).most_common(1)
    return {p.name: p.image.suffix for p in source.pairs if p.image and p.image.suffix != usual}, usual
