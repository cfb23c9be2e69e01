"""Inspection of every file before training: all faults are found at once, none hours into a run."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scenegen.base.kept import Notice
from scenegen.base.records import Refusal
from scenegen.data.colour_maps import colour_sentence, count_colours
from scenegen.data.degrade import Holes
from scenegen.data.labels import IN_DATA, ONE_CHANNEL, outside_sentence
from scenegen.data.looks import AT_ONCE, Facts, Looks
from scenegen.data.pairs import Fault, Files, Pair, size_problem
from scenegen.data.photographs import (
    Nature,
    Reading,
    Size,
    follows_stored,
    nature_problem,
)
from scenegen.data.photos import Photos
from scenegen.data.samples import Pairs
from scenegen.data.slice_files import SliceFiles, scan_slices

_PROFILE = {
    "ignore": "the numbers are taken as sRGB (data.icc=ignore)",
    "convert": "converted to sRGB (data.icc=convert)",
}
LOG = logging.getLogger(__name__)
SHOWN = 20
"""Kinds of faults that a Refusal spells out; it counts the rest."""
NAMED = 3
"""Files of one kind that are named."""
_NUMBERS = re.compile(r"\d+ pixels")
"""Numbers that differ from file to file in one kind of fault."""


@dataclass(frozen=True)
class Inspected:
    """The facts of one pair, the pixels per class id of its label map, and all that is wrong with it."""

    pair: Pair
    label: Facts
    image: Facts | None
    instance: Facts | None
    counts: Mapping[int, int]
    faults: tuple[Fault, ...]


def scan(dataset: Pairs, *, deep: bool = False) -> list[Fault]:
    """All faults of a dataset's files that would stop training on it.

    Label maps are decoded and their ids checked; of photographs the header and the end of the file are read.

    Args:
        dataset: datasets without files (the procedural world) have no faults.
        deep: decode every photograph as well.
    """
    masks = faults_of_masks(dataset)
    photos = [source for source in dataset.sources if isinstance(source, Photos)]
    if photos:
        return [*masks, *(fault for source in photos for fault in _scan_photos(source, deep=deep))]
    files = dataset.source
    if isinstance(files, SliceFiles):
        return scan_slices(files, whole=not dataset.framing.random)
    if not isinstance(files, Files):
        return masks
    faults = [fault for item in inspect(files, deep=deep) for fault in item.faults]
    return [*masks, *files.unmatched, *faults]


def faults_of_masks(dataset: Pairs) -> list[Fault]:
    """Faults of the mask files that hide parts of the samples."""
    degrade = dataset.degrade
    if not isinstance(degrade, Holes) or degrade.masks is None:
        return []
    return degrade.masks.faults((dataset.framing.height, dataset.framing.width))


def _scan_photos(source: Photos, *, deep: bool) -> Iterator[Fault]:
    """Faults of photographs without label maps."""
    with Looks(source.root, count=len(source), deep=deep) as looks:
        for first in range(0, len(source), AT_ONCE):
            for file, facts in looks.facts(source.photos.images[first : first + AT_ONCE], "photo").items():
                problem = facts.problem
                if problem is None and facts.nature is not None:
                    problem = nature_problem(facts.nature, reading=source.reading, label=None)
                if problem is not None:
                    yield Fault(str(file), problem)


def require_sound(*datasets: Pairs, deep: bool = False) -> None:
    """Raise one Refusal that lists the faults of all datasets by file (the first 20, and how many there are)."""
    found = list(dict.fromkeys(fault for dataset in datasets for fault in scan(dataset, deep=deep)))
    faults = [fault for fault in found if fault.stops]
    if not faults:
        for line in in_groups(found):
            LOG.warning("%s", line)
        return
    groups = in_groups(faults)
    lines = [f"  {line}" for line in groups[:SHOWN]]
    if len(groups) > SHOWN:
        lines.append(f"  ... and {len(groups) - SHOWN} kinds more; python -m scenegen.check lists all of them")
    some = "1 file" if len(faults) == 1 else f"{len(faults)} files"
    raise Refusal("\n".join([f"{some} cannot be used; mend or remove:", *lines]))


def in_groups(faults: Sequence[Fault]) -> list[str]:
    """One line per kind of fault: the file and its fault, or the number of files, the first ones and the fault."""
    groups: dict[str, list[Fault]] = {}
    for fault in faults:
        groups.setdefault(_NUMBERS.sub("", fault.problem), []).append(fault)
    lines = []
    for group in groups.values():
        first, others = group[0], len(group) - NAMED
        names = ", ".join(str(fault.file) if fault is first else Path(fault.file).name for fault in group[:NAMED])
        more = f" and {others} more" if others > 0 else ""
        lines.append(str(first) if len(group) == 1 else f"{len(group)} files ({names}{more}): {first.problem}")
    return lines


def inspect(
    files: Files, *, deep: bool, advance: Callable[[], None] = lambda: None, notice: Notice = LOG.warning
) -> Generator[Inspected, None, None]:
    """Look at every pair, several at a time; `advance` is called after each, `notice` is as in `Looks`."""
    with Looks(files.root, count=len(files.pairs), deep=deep, notice=notice) as looks:
        for first in range(0, len(files.pairs), AT_ONCE):
            pairs = list(files.pairs[first : first + AT_ONCE])
            for pair, facts in zip(pairs, _in_threes(looks, pairs), strict=True):
                yield _inspected(pair, *facts, files=files)
                advance()


def _in_threes(looks: Looks, pairs: Sequence[Pair]) -> Iterator[tuple[Facts, Facts | None, Facts | None]]:
    """Facts of label map, photograph and instance map of some pairs."""
    labels = looks.facts([pair.label for pair in pairs], "label")
    images = looks.facts([pair.image for pair in pairs if pair.image is not None], "photo")
    instances = looks.facts([pair.instance for pair in pairs if pair.instance is not None], "label")
    for pair in pairs:
        image, instance = pair.image and images[pair.image], pair.instance and instances[pair.instance]
        yield labels[pair.label], image, instance


def _inspected(pair: Pair, label: Facts, image: Facts | None, instance: Facts | None, *, files: Files) -> Inspected:
    """Facts and faults of one pair."""
    faults = []
    for path, facts in ((pair.label, label), (pair.image, image), (pair.instance, instance)):
        if facts is not None and facts.problem is not None:
            faults.append(Fault(str(path), facts.problem))
    if sentence := _meaning_problem(label, files):
        faults.append(Fault(str(pair.label), sentence))
    if image is not None and image.nature is not None:
        faults += _photo_faults(pair, label.size, image.nature, files.reading)
    if instance is not None and instance.colours:
        faults.append(Fault(str(pair.instance), ONE_CHANNEL))
    if instance is not None and label.size and instance.size and label.size != instance.size:
        faults.append(Fault(str(pair.instance), f"an instance map of another size than the label map {pair.label}"))
    return Inspected(pair, label, image, instance, _class_counts(label, files), tuple(faults))


def _photo_faults(pair: Pair, label: Size | None, nature: Nature, reading: Reading) -> Iterator[Fault]:
    """Faults of a photograph's metadata and of its label map's size, and remarks that do not stop training."""
    problem = nature_problem(nature, reading=reading, label=label)
    if problem is not None:
        yield Fault(str(pair.image), problem)
    if nature.turn != 1 and reading.exif == "ask" and follows_stored(nature, label):
        yield Fault(str(pair.image), f"EXIF orientation {nature.turn}, which its label map does not follow: the pixels "
                    "are taken as stored, as with data.exif=ignore", stops=False)  # fmt: skip
    remarks = {
        "CMYK, converted to RGB by the plain formula: save it as sRGB for its true colours": nature.cmyk,
        "16 bits per channel: the upper 8 are read": nature.deep,
        f"the colour profile {nature.profile!r}: {_PROFILE[reading.icc]}": nature.profile,
    }
    yield from (Fault(str(pair.image), remark, stops=False) for remark, holds in remarks.items() if holds)
    size = nature.upright_size if reading.exif == "apply" else nature.size
    asked = problem is not None and label in (nature.size, nature.upright_size)  # the choice mends the size
    if label is not None and not asked and (other := size_problem(label, size, reading=reading)):
        turned = nature.size if reading.exif == "apply" else nature.upright_size
        word = "ignore" if reading.exif == "apply" else "apply"
        fits = f" (it fits with data.exif={word})" * (label == turned and "exif" in reading.options)
        yield Fault(str(pair.label), other + fits)


def _meaning_problem(label: Facts, files: Files) -> str | None:
    """Sentence about ids or colours of no class, or None."""
    if label.ids is None:
        return None
    if label.colours:
        return colour_sentence(label.ids, classes=files.classes, own_list=files.cure == IN_DATA)
    return outside_sentence(label.ids, classes=files.classes, remap=files.remap, cure=files.cure)


def _class_counts(label: Facts, files: Files) -> dict[int, int]:
    """Pixels per class id."""
    if label.colours:
        return count_colours(label.ids or {}, classes=files.classes)
    out: dict[int, int] = {}
    for raw, count in (label.ids or {}).items():
        place = files.remap.get(raw, raw)
        out[place] = out.get(place, 0) + count
    return out
