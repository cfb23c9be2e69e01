"""Interfaces of the judges: every judge takes uint8 pictures, so that all of them see the same quantised ones.

A segmenter has `predict`, an aesthetic model gives one mark per picture, FID features one row per picture; all of
them have `name`, `stamp` (weights) and `stand_in` (true when a total with it does not compare with the contest's).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from scenegen.base.records import KINDS, Kind
from scenegen.base.refusal import Refusal
from scenegen.networks.frozen.families import family_of

BOTH = frozenset(KINDS)
PHOTOGRAPHS: frozenset[Kind] = frozenset({"photographs"})
RENDERED: frozenset[Kind] = frozenset({"rendered"})


class Judge(Protocol):
    """Members that every judge has; `ranks` names the kinds of pictures that it tells good from bad.

    Several threads call a judge at once, each with another batch.
    """

    name: str
    stamp: str
    stand_in: bool
    ranks: frozenset[Kind]


class Segmenting(Judge, Protocol):
    """Reads label maps off pictures."""

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids."""
        ...


class Marking(Judge, Protocol):
    """Marks pictures, or describes them for FID."""

    def __call__(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b,) marks in [0, 10], or (b, d) features."""
        ...


class Describing(Marking, Protocol):
    """Describes pictures for FID; `title` is the name of its distance, `resize` its way of resizing pictures."""

    title: str
    resize: str


@dataclass(frozen=True)
class Judges:
    """The judges of one score.

    Attributes:
        segmenter: reads label maps off pictures.
        aesthetic: marks pictures 0..10.
        fid: describes pictures for the distances.
        Each is None where no measure reads it.
        more: further ones that describe pictures, by role.
    """

    segmenter: Segmenting | None = None
    aesthetic: Marking | None = None
    fid: Describing | None = None
    more: Mapping[str, Describing] = field(default_factory=dict)

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Judges:
        """The judges by the names that marks and protocols use."""
        more = {role: judge for role, judge in held.items() if role not in ("segmenter", "aesthetic", "FID")}
        return cls(held.get("segmenter"), held.get("aesthetic"), held.get("FID"), more)

    @property
    def describing(self) -> dict[str, Describing]:
        """Those that describe pictures, by role."""
        return {**({"FID": self.fid} if self.fid is not None else {}), **self.more}

    def by_role(self) -> dict[str, Judge]:
        """The judges that there are, under the names that marks and protocols use."""
        roles: dict[str, Judge | None] = {
            "segmenter": self.segmenter,
            "aesthetic": self.aesthetic,
            "FID": self.fid,
            **self.more,
        }
        return {role: judge for role, judge in roles.items() if judge is not None}


def fid_title(fid: Describing, distance: str = "FID") -> str:
    """The name under which a distance may be shown: plain FID (or KID) only with the published Inception."""
    if is_random(fid):
        return f"{distance}({fid.name}, RANDOM WEIGHTS)"
    return fid.title.replace("FID", distance)


def is_random(judge: Judge) -> bool:
    """True where a judge's weights are random, which makes its numbers meaningless."""
    return "RANDOM WEIGHTS" in judge.stamp


def marks(judges: dict[str, Judge], *, kind: Kind | None, read: Collection[str] = ()) -> tuple[str, ...]:
    """Cautions that must stand beside every number of these judges.

    Args:
        judges: by role.
        kind: of the pictures that the generated ones should look like; None where nobody says.
        read: stamps of the networks that a loss or a discriminator read while the generator was trained.
    """
    random = [role for role, judge in judges.items() if is_random(judge)]
    stand_in = [role for role, judge in judges.items() if judge.stand_in]
    found = []
    if random:
        found.append(f"RANDOM WEIGHTS ({', '.join(random)}): these numbers mean nothing")
    if stand_in:
        found.append(f"stand-in scorer ({', '.join(stand_in)}), not comparable with contest numbers")
    if kind is not None and (blind := [f"{r} ({j.name})" for r, j in judges.items() if kind not in j.ranks]):
        what = "photographs" if kind == "photographs" else "rendered pictures"
        found.append(f"does not rank {what}: {', '.join(blind)}")
    networks = {_network(stamp) for stamp in read}
    if seen := [f"{role} ({judge.stamp})" for role, judge in judges.items() if _network(judge.stamp) in networks]:
        found.append(f"judge seen in training: {', '.join(seen)}; its number flatters what it trained")
    families = {family_of(stamp) for stamp in read} - {None}
    others = {role: judge for role, judge in judges.items() if _network(judge.stamp) not in networks}
    if kin := [f"{role} ({family_of(judge.stamp)})" for role, judge in others.items()
               if family_of(judge.stamp) in families]:  # fmt: skip
        found.append(f"of a family seen in training, which flatters: {', '.join(kin)}")
    return tuple(found)


def _network(stamp: str) -> str:
    """Network and weights of a stamp, without the way in which pictures are brought to it."""
    return stamp.partition(",")[0]


def require_uint8(image: Tensor, *, what: str) -> None:
    """Refuse pictures that are not (b, 3, h, w) uint8; `what` names the judge's number."""
    if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] != 3:
        raise Refusal(f"{what} needs (b, 3, h, w) uint8, got {tuple(image.shape)} {image.dtype}")
