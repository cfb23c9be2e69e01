"""Layouts of data.root: the folders of each split, and the classes of their ids."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from scenegen.base.documents import of_shape, read_json, read_text
from scenegen.base.listing import few
from scenegen.base.records import Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.bridges import ADE20K, COCO_STUFF
from scenegen.data.classes import LANDSCAPE, ClassList, class_list
from scenegen.data.labels import IN_DATA
from scenegen.data.pairs import Fault, Files, Naming, match_files, natural_key
from scenegen.data.photographs import STRICT, Reading

LOG = logging.getLogger(__name__)

Id = Annotated[int, Interval(ge=0, le=65535)]
"""Id in a label file, as a key of classes.json."""


@dataclass(frozen=True)
class Layout:
    """Folder names under data.root; instance maps are used where their folder exists."""

    images: str
    labels: str
    instances: str | None = None


PHOTOS = ("images", "imgs", "img", "photos", "JPEGImages")
MAPS = ("labels", "masks", "annotations", "label", "mask", "SegmentationClass")
"""Names that folders of photographs and of label maps have in public data sets; the first of each are ours."""

NAMINGS = (
    Naming(),
    Naming("_leftImg8bit", "_gtFine_labelIds"),
    *(Naming("", end) for end in ("_labelIds", "_label", "_labels", "_mask", "_seg", "_gt")),
)
"""Ends of stems that are tried in turn, until files match."""


def known_layouts(split: str) -> list[Layout]:
    """Layouts of one split: {split}/images + {split}/labels under all their names, images/{split} + labels/{split},
    and Cityscapes' own; with split "" the folders alone."""
    pairs = [(image, label) for image in PHOTOS for label in MAPS]
    if not split:
        return [Layout(image, label, "instances") for image, label in pairs]
    first = [Layout(f"{split}/{image}", f"{split}/{label}", f"{split}/instances") for image, label in pairs]
    second = [Layout(f"{image}/{split}", f"{label}/{split}", f"instances/{split}") for image, label in pairs]
    return [*first, *second, Layout(f"leftImg8bit/{split}", f"gtFine/{split}")]


def open_files(
    root: str | None,
    expected: str,
    *,
    split: str,
    classes: ClassList | Path,
    train: Sequence[Layout] = (),
    test: Sequence[Layout] = (),
    whole: Sequence[Layout] = (),
    remap: Mapping[int, int] | None = None,
    fraction: float = 0.0,
    test_list: str | None = None,
    label_only: bool = False,
    instances: bool = True,
    cure: str = IN_DATA,
    reading: Reading = STRICT,
    namings: Sequence[Naming] = (Naming(),),
    nested: bool = False,
) -> Files:
    """Find the files of one split.

    The first layout whose folders exist is taken. Where the files come in train and test folders, those are
    the split; otherwise a share of the one folder is held out (see hold_out).

    Args:
        root: data.root as configured.
        expected: the layout, in words, for the sentence about a folder that has another one.
        classes: what the ids mean, or the classes.json that says it.
        label_only: photographs are neither needed nor read.
        cure: end of the sentence about an id of no class.
        reading: choices about photographs and sizes.
        namings: ends of stems, tried in turn until files match.
        nested: look into the subfolders of folders without pictures of their own.

    Raises:
        Refusal: no root, another layout, no pictures; the sentence draws the layout.
    """
    check_split(split)
    base = existing_root(root, expected)
    meaning = classes if isinstance(classes, ClassList) else read_classes(classes, expected=expected)
    training, testing = _first(base, train, label_only), _first(base, test, label_only)
    undivided = training or _first(base, whole, label_only)
    if testing is not None and test_list is None and (training is not None or undivided is None):
        chosen, divided = (training if split == "train" else testing), True
    else:
        chosen, divided = undivided, False
    if chosen is None:
        raise Refusal(f"data.root={root}: found {_contents(base)} there, but {expected}")
    folders = (
        base / chosen.labels,
        None if label_only else base / chosen.images,
        _existing(base, chosen.instances) if instances else None,
    )
    tried = [(naming, match_files(*folders, naming=naming, nested=nested)) for naming in namings[:1]]
    while not tried[-1][1][0] and len(tried) < len(namings):
        naming = namings[len(tried)]
        tried.append((naming, match_files(*folders, naming=naming, nested=nested)))
    naming, (pairs, unmatched) = tried[-1] if tried[-1][1][0] else tried[0]
    if naming != Naming():
        LOG.info("%s: names are read without their ends %r (photographs) and %r (label maps)",
                 base, naming.image, naming.label)  # fmt: skip
    if not pairs:
        raise Refusal(_empty_sentence(base / chosen.labels, unmatched, expected))
    if not divided:
        pairs = pairs.take(held_places(pairs.names, split=split, fraction=fraction, test=_read_names(test_list)))
    return Files(base, meaning, pairs, unmatched, {**meaning.remap, **(remap or {})}, cure, reading)


def existing_root(root: str | None, expected: str) -> Path:
    """The folder that data.root names, or a Refusal that ends with the expected layout."""
    if not root:
        raise Refusal(f"data.root is missing: write data.root=PATH; {expected}")
    base = Path(root).expanduser()
    if not base.is_dir():
        raise Refusal(f"data.root={root}: there is no such folder; {expected}")
    return base


def chosen_classes(root: str | None, names: str | Sequence[str] | None, unlabelled: int | None) -> ClassList | Path:
    """The classes of data.classes, by name or as a list, or the path of the classes.json that says them."""
    if isinstance(names, str):
        return named_classes(names)
    if names is not None:
        return class_list(names, unlabelled=unlabelled)
    if unlabelled is not None:
        raise Refusal(f"data.unlabelled={unlabelled} goes with data.classes=[...]; classes.json says its own: write "
                      f'"unlabelled": {unlabelled} there')  # fmt: skip
    return Path(root or ".") / "classes.json"


def check_split(split: str) -> str:
    """The split itself, or a Refusal."""
    if split not in ("train", "test"):
        raise Refusal(f"split={split}: there are train and test")
    return split


def held_places(
    names: Sequence[str], *, split: str, fraction: float, test: Sequence[str] | None = None
) -> list[int]:
    """Places of one side of a split that is a function of the names alone.

    Args:
        names: all names of a folder without a split of its own.
        split: "train" or "test".
        fraction: share of the names that are held out (those with the smallest hash); 0 gives all to both sides.
        test: hold out exactly these instead.
    """
    if test is not None:
        unknown = sorted(set(test) - set(names), key=natural_key)
        if unknown:
            raise Refusal(f"data.test_list names {len(unknown)} pictures that are not there: {', '.join(unknown[:5])}")
        held = set(test)
    elif not 0.0 <= fraction < 1.0:
        raise Refusal(f"data.val_fraction={fraction}: the share of held-out pictures lies in 0..1 (below 1)")
    elif fraction == 0:
        return list(range(len(names)))
    elif len(names) < 2:
        raise Refusal(f"{len(names)} pair cannot be split in two; data.val_fraction=0 uses it for both sides")
    else:
        count = min(len(names) - 1, max(1, round(fraction * len(names))))
        held = set(heapq.nsmallest(count, names, key=lambda name: hash_seed("held out", name)))
    return [place for place, name in enumerate(names) if (name in held) == (split == "test")]


_SPELLINGS = {"unlabeled": "unlabelled", "ignore": "unlabelled", "ignore_index": "unlabelled", "colors": "colours",
              "palette": "colours", "names": "classes", "labels": "classes"}  # fmt: skip
_CURE = (
    'write {"classes": ["sky", ...]} in id order or {"classes": {"0": "sky", "127": ...}}, and if need be '
    '"unlabelled": 255 and "colours": [[r, g, b], ...]'
)


def read_classes(path: Path, *, expected: str = "") -> ClassList:
    """The class list of a classes.json.

    {"classes": [names in id order], or {"id in the files": name}; "unlabelled": id, or [ids], that means "unknown",
    if there is one; "colours": [[r, g, b], ...], one per class, if they matter}. See class_list.

    Raises:
        Refusal: no such file, or another content; names the file, the place in it and the cure.
    """
    if not path.exists():
        raise Refusal(f"{path}: what do the ids mean? No such file; write it, or data.classes=[...]; {expected}")
    what = "the class list"
    content = read_json(path, what=what, cure=_CURE, shape=dict[str, Any])
    if wrong := next((f"{key!r} is spelt {right!r} here" for key, right in _SPELLINGS.items() if key in content), None):
        raise Refusal(f"{what} {path}: {wrong}; {_CURE}")
    if "classes" not in content:
        raise Refusal(f'{what} {path} has no "classes"; {_CURE}')
    kinds = {
        "classes": dict[Id, str] if isinstance(content["classes"], dict) else list[str],
        "unlabelled": list[int] if isinstance(content.get("unlabelled"), list) else int | None,
        "colours": list[tuple[int, int, int]],
    }
    parts = {
        key: of_shape(content[key], kind, what=f"{what} {path}, {key}", cure=_CURE)
        for key, kind in kinds.items()
        if key in content
    }
    if len(parts["classes"]) < len(content["classes"]):
        raise Refusal(f"{what} {path}, classes: an id stands twice; {_CURE}")
    try:
        return class_list(parts["classes"], unlabelled=parts.get("unlabelled"), colours=parts.get("colours", ()))
    except Refusal as refusal:
        raise Refusal(f"{what} {path}: {refusal}") from refusal


def named_classes(name: str) -> ClassList:
    """The classes of landscape, coco_stuff or ade20k, or those of a file like classes.json."""
    known = {"landscape": LANDSCAPE, "coco_stuff": COCO_STUFF, "ade20k": ADE20K}
    return known[name] if name in known else read_classes(Path(name))


def _first(base: Path, layouts: Sequence[Layout], label_only: bool) -> Layout | None:
    """The first layout whose label (and photograph) folders exist."""
    for layout in layouts:
        if (base / layout.labels).is_dir() and (label_only or (base / layout.images).is_dir()):
            return layout
    return None


def _existing(base: Path, name: str | None) -> Path | None:
    return base / name if name is not None and (base / name).is_dir() else None


def _read_names(path: str | None) -> list[str] | None:
    """Stems of a list file, one picture per line."""
    if path is None:
        return None
    if not Path(path).is_file():
        raise Refusal(f"data.test_list={path}: there is no such file; one picture name per line")
    lines = read_text(Path(path), what="data.test_list", cure="one picture name per line").split("\n")
    return [Path(line.strip()).stem for line in lines if line.strip()]


def _contents(base: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in base.iterdir())
    return few(names) or "nothing"


def _empty_sentence(folder: Path, unmatched: Sequence[Fault], expected: str) -> str:
    if not unmatched:
        return f"{folder}: holds no pictures; {expected}"
    return f"{folder}: not one of {len(unmatched)} files has its partner (first: {unmatched[0]}); {expected}"
