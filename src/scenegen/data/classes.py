"""Class lists: names, colours, the ids that files store for them, and the class that means "unknown"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scenegen.base.records import Refusal
from scenegen.data.colours import class_colours

LONGEST_NAME = 100
"""Letters of a class name, which stands in legends and tables."""


@dataclass(frozen=True)
class ClassList:
    """The classes of a label map, in id order.

    Attributes:
        names: one name per id; the number of names is the number of one-hot channels.
        colours: one RGB triple (0..255) per id, for pictures of label maps; by the words of the names where none are
            given.
        ignore: id of the class that means "unknown" and stays out of every score, or None.
        stored: (id in label files, id of the class) where the two differ; -1 for an id that stands for no class.
    """

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...] = field(default=(), repr=False)
    ignore: int | None = None
    stored: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise Refusal("a class list needs at least one name")
        if odd := [name for name in self.names if not (isinstance(name, str) and name.strip() and name.isprintable())]:
            raise Refusal(f"the class name {odd[0]!r} is no word, empty, or holds characters that cannot be shown")
        if long := [name for name in self.names if len(name) > LONGEST_NAME]:
            raise Refusal(f"the class name {long[0][:40]}... has {len(long[0])} letters; write {LONGEST_NAME} at most")
        if len(set(self.names)) != len(self.names):
            repeated = sorted({n for n in self.names if self.names.count(n) > 1})
            raise Refusal(f"class names repeat: {', '.join(repeated)}; give every id its own name")
        if not self.colours:
            object.__setattr__(self, "colours", class_colours(self.names))
        if len(self.colours) != len(self.names):
            raise Refusal(f"{len(self.names)} class names but {len(self.colours)} colours; give one per class")
        if wrong := next((c for c in self.colours if not all(0 <= part <= 255 for part in c)), None):
            raise Refusal(f"the colour {list(wrong)} is none; write three numbers in 0..255, red, green and blue")
        if self.ignore is not None and not 0 <= self.ignore < len(self.names):
            raise Refusal(f"ignore id {self.ignore} is not one of the {len(self.names)} classes")

    def __len__(self) -> int:
        return len(self.names)

    def read_by(self, names: Sequence[str]) -> bool:
        """True where a net of these classes reads the maps: the same ones, or all but an ignored last one."""
        labelled = self.names[:-1] if self.ignore == len(self) - 1 else self.names
        return tuple(names) in (self.names, labelled)

    @property
    def remap(self) -> dict[int, int]:
        """Id in label files -> id of the class, where the two differ."""
        return dict(self.stored)

    @property
    def remap_of_maps(self) -> dict[int, int]:
        """The same for label maps of any origin: 255 means "unknown" too, where there is such a class and no id 255."""
        unknown = {} if self.ignore is None or len(self) > 255 else {255: self.ignore}
        return {**unknown, **self.remap}

    @property
    def spelt(self) -> str:
        """The ids that label files may store, in words: "ids 0..28", "ids 0, 127, 255"."""
        if not self.stored:
            return f"ids 0..{len(self) - 1}"
        ids = sorted({*range(len(self)), *self.remap} - {i for i, place in self.stored if place < 0})
        run = ids == list(range(ids[0], ids[-1] + 1)) and len(ids) > 1
        return f"ids {ids[0]}..{ids[-1]}" if run else f"ids {', '.join(map(str, ids[:12]))}" + ", ..." * (len(ids) > 12)


EXTRA = "unlabelled"
"""Name of the class that is added for ids outside the named classes which mean "unknown"."""


def class_list(
    names: Sequence[str] | Mapping[int, str],
    *,
    unlabelled: int | Sequence[int] | None = None,
    colours: Sequence[tuple[int, int, int]] = (),
) -> ClassList:
    """The class list of names in id order, or of a mapping from the ids in label files to names.

    Args:
        names: one name per class; those of a mapping become classes in the order of their ids.
        unlabelled: the ids in label files that mean "unknown". One id of a named class makes that class the unknown
            one; ids outside the named classes (255, ...) become one more class. -1 stands for 255 and 65535, which
            is -1 stored in 8 and in 16 bits.
        colours: one per name, and one more or none for the class that is added.

    Raises:
        Refusal: ids below -1 or beyond 16 bits, several ids of named classes, or faults of the names and colours.
    """
    ids = sorted(names) if isinstance(names, Mapping) else list(range(len(names)))
    words = tuple(names[i] for i in ids) if isinstance(names, Mapping) else tuple(names)
    asked = {unlabelled} if isinstance(unlabelled, int) else set(unlabelled or ())
    if wrong := [i for i in (*ids, *asked) if not -(i in asked) <= i < 1 << 16]:
        raise Refusal(
            f"{wrong[0]} is no id that a label file can hold; write 0..65535 (unlabelled: -1 is 255 and 65535)"
        )
    unknown = (asked - {-1}) | ({255, 65535} if -1 in asked else set())
    inside = sorted(unknown & set(ids))
    if len(inside) > 1:
        raise Refusal(f"unlabelled names {len(inside)} classes ({', '.join(words[ids.index(i)] for i in inside)}); one "
                      "class is the unknown one: give these ids one name")  # fmt: skip
    if unknown and not inside:
        words, colours = (*words, _extra(words)), (*colours, (0, 0, 0)) if len(colours) == len(words) else colours
    ignore = None if not unknown else ids.index(inside[0]) if inside else len(words) - 1
    meaning = {**{i: place for place, i in enumerate(ids)}, **dict.fromkeys(unknown - set(inside), ignore or 0)}
    stored = {**dict.fromkeys(range(len(words)), -1), **meaning}
    differ = tuple((i, place) for i, place in sorted(stored.items()) if i != place)
    return ClassList(names=words, colours=tuple(colours), ignore=ignore, stored=differ)


def _extra(names: Sequence[str]) -> str:
    return EXTRA if EXTRA not in names else f"{EXTRA} pixels"


LANDSCAPE = ClassList(
    names=(
        "mountain",
        "sky",
        "water",
        "sea",
        "rock",
        "tree",
        "earth",
        "hill",
        "river",
        "sand",
        "land",
        "building",
        "grass",
        "plant",
        "person",
        "boat",
        "waterfall",
        "wall",
        "pier",
        "path",
        "lake",
        "bridge",
        "field",
        "road",
        "railing",
        "fence",
        "ship",
        "house",
        "other",
    ),
    colours=(
        (126, 122, 140),
        (135, 190, 235),
        (60, 130, 180),
        (20, 90, 160),
        (105, 100, 95),
        (30, 95, 45),
        (140, 100, 65),
        (110, 135, 80),
        (80, 160, 200),
        (225, 205, 150),
        (170, 140, 95),
        (180, 120, 110),
        (110, 180, 70),
        (60, 150, 60),
        (230, 60, 90),
        (200, 80, 40),
        (190, 225, 245),
        (150, 140, 130),
        (120, 85, 60),
        (200, 170, 120),
        (45, 115, 170),
        (160, 90, 140),
        (205, 195, 90),
        (90, 90, 95),
        (190, 190, 200),
        (165, 115, 75),
        (150, 45, 50),
        (215, 150, 105),
        (60, 60, 60),
    ),
)
"""The 29 classes of the Jittor landscape contest, 2022 and 2023, in id order (no unknown class)."""

NO_LABELS = ClassList(names=("picture",), colours=((128, 128, 128),))
"""Class list of data without label maps: one class, which no pixel carries."""
