"""Groups of a config: plain options or objects, and the arguments that build.py adds to the objects.

A new group is one entry of GROUPS, with its folder conf/<group>/.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from scenegen.base.refusal import Refusal

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Size:
    """Group `size`: height and width of the pictures, in pixels; a trained run also knows "training" and "own"."""

    height: int | Literal["training", "own"]
    width: int | Literal["training", "own"]

    @property
    def wanted(self) -> tuple[int, int] | Literal["training", "own"]:
        """(height, width), or the word that stands for both.

        Raises:
            Refusal: a word and a number, or two words.
        """
        if isinstance(self.height, int) and isinstance(self.width, int):
            return self.height, self.width
        if isinstance(self.height, int) or self.height != self.width:
            raise Refusal(
                f"size.height={self.height} and size.width={self.width} do not go together; give both in pixels"
            )
        return self.height

    @property
    def pixels(self) -> tuple[int, int]:
        """(height, width).

        Raises:
            Refusal: a word, which only a trained run can turn into pixels.
        """
        if isinstance(wanted := self.wanted, str):
            raise Refusal(f"size={wanted} is for scenegen.sample; give size.height and size.width in pixels")
        return wanted


@dataclass(frozen=True)
class Width:
    """Group `width`: base widths of the networks, and the hidden width of their normalisations."""

    ngf: int
    ndf: int
    hidden: int


@dataclass(frozen=True)
class Weights:
    """Group `weights`: source of the pretrained weights."""

    policy: str
    dir: str | None


@dataclass(frozen=True)
class Extractors:
    """Group `extractor`: the frozen networks, and the one that each kind of term reads."""

    nets: dict[str, Any]
    perceptual: str
    dists: str
    dists_layers: list[str]
    dists_coefficients: str
    lpips: str
    lpips_heads: str
    lpips_layers: list[str] | None
    segmenter: str


@dataclass(frozen=True)
class Ledger:
    """A recipe's row of the contest log, and the numbers that it records."""

    row: str
    description: str
    batch_size: int | None
    mask_acc: float | None
    aesthetic: float | None
    fid: float | None
    total: float | None


@dataclass(frozen=True)
class Sweep:
    """Group `sweep`: options of a search, documented in conf/sweep/tpe.yaml."""

    trials: int
    seed: int
    direction: Direction
    random_trials: int
    space: dict[str, str | None]
    prune_on: str | None
    prune_direction: Direction
    prune_every: int | None
    prune_after: int
    batch: int

    def __post_init__(self) -> None:
        for name in ("trials", "random_trials", "prune_every", "prune_after", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise Refusal(f"sweep.{name}={value} must be 1 or more")


@dataclass(frozen=True)
class Group:
    """One group of the config.

    Attributes:
        record: describes its values where other options only read them; None where they become objects, which
            are checked by their constructors' signatures.
        supplied: constructor arguments that build.py adds to the config's own.
        kept: keys of an option that build.py reads itself, which are no arguments.
        additive: its options add up (`loss=a+b`), each under a key of its own.
        ordered: the order in which its options are named is the order in which they act.
        slots: the keys that its options may fill; None leaves them free.
        computes: false where it does not change what a run computes, so that it stays out of the run's digest.
    """

    record: type | None = None
    supplied: Iterable[str] = field(default=frozenset())
    kept: Iterable[str] = field(default=frozenset())
    additive: bool = False
    ordered: bool = False
    slots: tuple[str, ...] | None = None
    computes: bool = True


LAYER_SLOTS = ("noise", "enlarging", "borders", "start", "small")
"""Slots of `trick` that change the generator's layers when it is built; the others are slots of the round."""

GROUPS = {
    "size": Group(record=Size),
    "width": Group(record=Width),
    "weights": Group(record=Weights),
    "extractor": Group(record=Extractors),
    "data": Group(supplied={"split", "height", "width", "seed"}, kept={"kind"}),
    "degrade": Group(),
    "exemplar": Group(supplied={"data", "gallery"}),
    "model": Group(supplied={"num_classes", "edges", "planes"}),
    "planes": Group(supplied={"num_classes"}, additive=True),
    "encoder": Group(),
    "discriminator": Group(supplied={"semantic_channels", "num_classes"}),
    "attention": Group(),
    "loss": Group(additive=True, kept={"weight", "schedule"}),
    "trick": Group(
        supplied={"model", "objective", "samples", "height", "width", "domains"},
        additive=True,
        slots=("average", "augment", "clip", "accumulate", "pace", "smoothing", "history", "grow", *LAYER_SLOTS),
    ),
    "post": Group(supplied={"model", "step", "pictures", "first_picture"}, additive=True, ordered=True),
    "optim": Group(),
    "trainer": Group(),
    "logger": Group(supplied={"folder", "config"}, additive=True),
    "segmenter": Group(supplied={"classes"}),
    "aesthetic": Group(),
    "fid": Group(),
    "scorer": Group(),
    "measure": Group(supplied={"segmenter", "aesthetic", "fid", "classes"}, additive=True, computes=False),
    "by": Group(supplied={"classes"}),
    "sweep": Group(record=Sweep, computes=False),
    "ledger": Group(record=Ledger, computes=False),
    "task": Group(computes=False),
    "experiment": Group(),
    "debug": Group(),
}
"""Every key at the root of a config that is no scalar of a command."""

ADDITIVE = tuple(name for name, group in GROUPS.items() if group.additive)

LATER = ("attention", "encoder", "planes", "evaluate_size")
"""Keys that came when recipes and runs had digests already: without a choice they are no part of one."""

ORDERED = tuple(name for name, group in GROUPS.items() if group.ordered)

COMMON = ("extensions",)
"""Scalars at the root of every command's config that builds objects; config/targets.py reads them."""

VOLATILE = frozenset(
    {"name", "resume", "beside", "hydra", *COMMON} | {name for name, group in GROUPS.items() if not group.computes}
)
"""Root keys that do not change what a run computes."""


def supplied_at(path: str) -> frozenset[str]:
    """Arguments that build.py adds to the object at a config path ("model", "logger.wandb")."""
    group = _group_of(path)
    return frozenset(group.supplied) if group else frozenset()


def kept_at(path: str) -> frozenset[str]:
    """Keys that build.py reads itself at a config path ("data", "loss.cx")."""
    group = _group_of(path)
    return frozenset(group.kept) if group else frozenset()


def _group_of(path: str) -> Group | None:
    """The group whose option stands at a path; None below it."""
    name, _, below = path.partition(".")
    group = GROUPS.get(name, Group())
    return group if group.additive == bool(below) and "." not in below else None
