"""Import of annotations: read by their kind, their words brought to classes, written as data=folder, and counted."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scenegen.base.files import copy_file, whole_folder, write_json
from scenegen.base.pictures import open_picture, save_png
from scenegen.base.refusal import Refusal
from scenegen.data.annotations import coco, labelme, painted
from scenegen.data.annotations.annotated import Annotated, Tally, fill_gaps, paint, words_of
from scenegen.data.annotations.sources import Source
from scenegen.data.annotations.words import class_of
from scenegen.data.classes import ClassList
from scenegen.data.photographs import Exif, Reading, nature_of, read_photo

UNLABELLED = "unlabelled"
MOST = 20
"""Files that a refusal names."""

Track = Callable[[Iterable[Any], str], Iterable[Any]]
"""(items, description) -> items, for a progress bar."""


@dataclass(frozen=True)
class Format:
    """A kind of annotation.

    Attributes:
        wants: its files in words.
        files: those below a source.
        read: the reader of one.
    """

    wants: str
    files: Callable[[Source], list[Path]]
    read: Callable[[Path, Source], Annotated | Iterable[Annotated | Refusal]]


@dataclass
class Imported:
    """Account of an import.

    Attributes:
        pictures: number per split.
        classes: class -> its words -> pixels.
        unknown: words that no rule knows -> pixels; their pixels are unlabelled.
        turned: photographs that were written turned, as their EXIF says.
        stored: photographs with an EXIF turn that were written as they are stored.
        filled: pixels that took the nearest class.
        skipped: broken files that were left out.
        blank: pictures without a labelled pixel, which were left out.
        unsplit: a picture below no folder of a split, "" without one.
        tally: polygons outside, clipped, empty.
    """

    pictures: Counter[str] = field(default_factory=Counter)
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    turned: int = 0
    stored: int = 0
    filled: int = 0
    skipped: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    unsplit: str = ""
    tally: Tally = field(default_factory=Tally)

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, for JSON."""
        return {
            "pictures": dict(self.pictures), "classes": self.classes, "unknown": self.unknown, "turned": self.turned,
            "stored": self.stored, "filled_pixels": self.filled, "skipped": self.skipped, "blank": self.blank,
            "polygons_outside": self.tally.outside, "polygons_clipped": self.tally.clipped,
            "polygons_without_area": self.tally.empty,
        }  # fmt: skip


FORMATS: Mapping[str, Format] = {
    "labelme_xml": Format("*.xml", lambda source: source.ending(".xml"), labelme.read_xml),
    "labelme_json": Format("*.json", lambda source: source.ending(".json"), labelme.read_desktop_json),
    "coco": Format("*.json", lambda source: source.ending(".json"), coco.read),
    "cityscapes": Format(
        "*_gtFine_labelIds.png", lambda source: source.ending("_labelids.png"), painted.read_cityscapes
    ),
    "ade20k": Format(
        "annotations/*/*.png of its scene parsing (ADEChallengeData2016)",
        lambda source: [
            path
            for path in source.ending(".png")
            if "annotations" in (source.root.name, *path.relative_to(source.root).parts)
        ],
        painted.read_ade20k,
    ),
}
"""Kinds that need nothing but their files; `colours` needs a table beside."""


def coloured(table: Path, *, tolerance: int) -> Format:
    """The kind of colour maps with a table of colours."""
    colours = painted.read_colour_table(table)
    read = functools.partial(painted.read_colours, table=colours, tolerance=tolerance)
    wants = "pictures in a folder called labels, masks, annotations, gt, segmentation or colors, or any with images="
    return Format(wants, lambda source: list(painted.colour_maps(source)), read)


@dataclass(frozen=True)
class Annotations:
    """Annotations of one kind below one folder; read anew for every pass, so that few are in memory at a time.

    Attributes:
        source: the folder.
        name, kind: of the annotations.
        skip_broken: leave out files that cannot be read.
    """

    source: Source
    name: str
    kind: Format
    skip_broken: bool

    def pictures(self, broken: list[Refusal]) -> Iterator[Annotated]:
        """Every annotated picture; takes the sentences about those that cannot be read into `broken`.

        Raises:
            Refusal: no file of that kind.
        """
        files = self.kind.files(self.source)
        if not files:
            raise Refusal(
                f"annotations={self.source.given} holds no file of format={self.name}, which reads {self.kind.wants}; "
                f"formats are {', '.join(FORMATS)}, colours"
            )
        for file in files:
            try:
                found = self.kind.read(file, self.source)
                for one in [found] if isinstance(found, Annotated) else found:
                    if isinstance(one, Refusal):
                        broken.append(one)
                    else:
                        yield one
            except Refusal as refusal:
                broken.append(refusal)


def _listed(broken: Sequence[Refusal]) -> list[str]:
    """Sentences about broken files, the first ones and how many there are; one about all strange colours."""
    strange = [refusal for refusal in broken if isinstance(refusal, painted.StrangeColours)]
    others = [str(refusal) for refusal in broken if not isinstance(refusal, painted.StrangeColours)]
    said = [*([str(painted.together(strange))] if strange else []), *others]
    return said[:MOST] + [f"and {len(said) - MOST} more"] * (len(said) > MOST)


@dataclass(frozen=True)
class Wishes:
    """Options of an import.

    Attributes:
        classes: the class list; None makes a class of every word.
        rules: plain word -> class.
        fill: give unlabelled pixels the nearest class.
        snap: polygon points this near to the frame lie on it, in pixels.
        exif: view that the annotations were drawn on where a photograph's EXIF turn leaves both possible.
    """

    classes: Sequence[str] | None
    rules: Mapping[str, str]
    fill: bool
    snap: float
    exif: Exif = "ask"


def import_annotations(annotations: Annotations, out: Path, wishes: Wishes, *, track: Track) -> Imported:
    """Write pictures and their label maps as data=folder, whole or not at all.

    Args:
        annotations: of one folder.
        out: the new folder: images/ and labels/, below train/ and val/ where the source has splits; classes.json.
        wishes: see its class.
        track: for a progress bar.

    Raises:
        Refusal: no picture, broken files, a photograph of another size than its annotation, a name twice, too many
            classes, or no known word.
    """
    done, meant, names = Imported(), dict[str, str | None](), wishes.classes
    if names is None:
        names = sorted(
            {word for picture in track(annotations.pictures([]), "words") for word in words_of(picture) if word}
        )
        meant.update(zip(names, names, strict=True))
    if len(names) > 254:
        raise Refusal(
            f"{len(names)} words would be as many classes, and 254 fit; bring them to fewer with words=FILE.yaml"
        )
    ClassList(names=(*names, UNLABELLED), ignore=len(names))  # refuses names that classes.json may not hold
    ids = {name: place for place, name in enumerate(names)}
    broken: list[Refusal] = []
    with whole_folder(out) as folder:
        for picture in track(annotations.pictures(broken), "importing"):
            for word in words_of(picture):
                if word not in meant:
                    meant[word] = class_of(word, wishes.rules) if wishes.classes is not None else None
            id_of = {word: ids[name] for word, name in meant.items() if name is not None}
            try:
                _write(picture, folder / picture.split, id_of, wishes, done=done, unlabelled=len(names))
            except UnfitPhotograph as refusal:
                broken.append(refusal)
        done.skipped += map(str, broken)
        if broken and not annotations.skip_broken:
            total = len(broken) + sum(done.pictures.values()) + len(done.blank)
            raise Refusal("\n  ".join([f"{len(broken)} of {total} files cannot be used:", *_listed(broken)]))
        if "all" in done.pictures and len(done.pictures) > 1:
            raise Refusal(_half_split(done))
        if not done.pictures:
            raise Refusal(_nothing(annotations, done, meant))
        write_json(folder / "classes.json", {"classes": [*names, UNLABELLED], "unlabelled": len(names)})
        for word in sorted(meant):
            pixels, name = done.tally.pixels[word], meant[word]
            rows = done.unknown if name is None else done.classes.setdefault(name, {})
            rows[word] = pixels
        write_json(folder / "import.json", done.as_dict())
    return done


def _nothing(annotations: Annotations, done: Imported, meant: Mapping[str, str | None]) -> str:
    """Sentence about an import without a picture."""
    if done.skipped:
        return f"no picture could be used ({'; '.join(done.skipped[:3])})"
    if not meant:
        return f"annotations={annotations.source.given} holds no annotated picture of format={annotations.name}"
    if not any(meant.values()):
        return f"none of the {len(meant)} words is known ({', '.join(list(meant)[:10])}); give words=FILE.yaml"
    return (
        f"none of the {len(done.blank)} pictures has a labelled pixel: {len(done.tally.outside)} polygons lie outside "
        f"their picture, {len(done.tally.empty)} have no area; give the annotated photographs as images=FOLDER"
    )


def _half_split(done: Imported) -> str:
    """Sentence about pictures of a split beside pictures of none, which data=folder would not read together."""
    *named, last = (f"{count} of {split}" for split, count in done.pictures.items() if split != "all")
    return (
        f"{done.pictures['all']} pictures lie below no folder of a split (such as {done.unsplit}), beside "
        f"{' and '.join([*named, last])}; move them below train/ or val/, or rename these folders, so that "
        "data.val_fraction splits all; annotations=FOLDER imports one of them"
    )


def one_sided(out: Path) -> str:
    """Sentence about an import of validation pictures alone, with what trains on them."""
    return (
        f"the import is whole in {out}, but its files or folders name the split val alone, and a training needs both: "
        f"give a folder with both as annotations=, or train on these: data=folder data.root={out / 'val'} "
        f"data.classes={out / 'classes.json'}"
    )


class UnfitPhotograph(Refusal):
    """A photograph that cannot be written under its annotation: damaged, or of another size."""


def _write(
    picture: Annotated, place: Path, id_of: Mapping[str, int], wishes: Wishes, *, done: Imported, unlabelled: int
) -> None:
    """Write one picture and its label map; one without a labelled pixel is left out.

    Raises:
        UnfitPhotograph: see _write_photograph.
        Refusal: a name twice.
    """
    target = place / "labels" / f"{picture.name}.png"
    if target.exists():
        raise Refusal(f"two annotations are of a picture called {picture.name}; rename one, or import them apart: "
                      "annotations= takes one folder or one file")  # fmt: skip
    label = paint(picture, id_of=id_of, unlabelled=unlabelled, snap=wishes.snap, tally=done.tally)
    if (label == unlabelled).all():
        done.blank.append(picture.name)
        return
    try:
        treated = _write_photograph(picture, place / "images", exif=wishes.exif)
    except Refusal as refusal:
        raise UnfitPhotograph(str(refusal)) from refusal
    done.turned += treated == "turned"
    done.stored += treated == "stored"
    if wishes.fill:
        done.filled += int((label == unlabelled).sum())
        label = fill_gaps(label, unlabelled=unlabelled)
    save_png(target, label.astype(np.uint8))
    done.pictures[picture.split or "all"] += 1
    done.unsplit = done.unsplit or ("" if picture.split else picture.name)


def _write_photograph(picture: Annotated, folder: Path, *, exif: Exif) -> Literal["turned", "stored", ""]:
    """Write a photograph as its annotation was drawn on it, without an EXIF turn.

    Args:
        picture: with its annotation's size, which tells the view where only one fits.
        folder: of the photographs.
        exif: the view where both fit; "ask" leaves it to what is known of the annotations' kind.

    Returns:
        Treatment of a photograph with an EXIF turn, "" for one without.

    Raises:
        Refusal: damaged pixels, another size than the annotation's, or a turned photograph that would lose its alpha.
    """
    with open_picture(picture.image) as opened:
        nature = nature_of(opened, picture.image)
    fits = {turned: size == picture.size for turned, size in ((True, nature.upright_size), (False, nature.size))}
    if not any(fits.values()):
        height, width = nature.upright_size if picture.turned else nature.size
        raise Refusal(
            f"{picture.image.name} is {width}x{height}, and its annotation was drawn on {picture.size[1]}x"
            f"{picture.size[0]}; give the photographs that were annotated as images=FOLDER, or leave it out with "
            "broken=skip"
        )
    if nature.turn == 1:
        copy_file(picture.image, folder / f"{picture.name}{picture.image.suffix.lower()}")
        return ""
    chosen = picture.turned if exif == "ask" else exif == "apply"
    turned = chosen if all(fits.values()) else fits[True]
    reading = Reading(exif="apply" if turned else "ignore")
    save_png(folder / f"{picture.name}.png", np.asarray(read_photo(picture.image, reading=reading)))
    return "turned" if turned else "stored"
