"""What judges pictures: every judge eats uint8 pictures, so that all of them see the same quantised ones.

A segmenter has `predict`, an aesthetic model gives one mark per picture, FID features one row per picture; all of
them tell `name`, `stamp` (weights) and `stand_in` (true when a total with it does not compare with the contest's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.networks.frozen.scenenet import Segmenter


class Judge(Protocol):
    """What every judge tells about itself."""

    name: str
    stamp: str
    stand_in: bool


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
    """Describes pictures for FID: under which title its distance may be shown, and how it resizes pictures."""

    title: str
    resize: str


@dataclass(frozen=True)
class Judges:
    """The judges of one score.

    Attributes:
        segmenter: reads label maps off pictures; None leaves mask_acc out.
        aesthetic: marks pictures 0..10.
        fid: describes pictures for the Frechet distance.
    """

    segmenter: Segmenting | None
    aesthetic: Marking
    fid: Describing

    def by_role(self) -> dict[str, Judge]:
        """The judges that there are, under the names that marks and protocols use."""
        roles: dict[str, Judge | None] = {
            "segmenter": self.segmenter,
            "aesthetic": self.aesthetic,
            "FID": self.fid,
        }
        return {role: judge for role, judge in roles.items() if judge is not None}

    def to(self, device: str) -> None:
        """Move every judge that is a network."""
        for judge in self.by_role().values():
            if isinstance(judge, nn.Module):
                judge.to(device)


class SceneNetSegmenter(nn.Module):
    """This project's own segmenter, in place of the contest's, which was never published.

    Args:
        classes: the class list of the label maps.
        name: "scorer" (shipped), or a file that `python -m scenegen.train_scenenet role=scorer` wrote.
        folder: where another scenenet_<name>.safetensors is looked for first.

    Raises:
        Refusal: the segmenter was trained for other classes.
    """

    name = "scenenet"
    stand_in = True

    def __init__(self, *, classes: ClassList, name: str = "scorer", folder: str | None = None) -> None:
        super().__init__()
        self.net = Segmenter.load(name, folder=folder)
        self.stamp = self.net.stamp
        require_classes(self.net.classes, classes, stamp=self.stamp)

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids."""
        return self.net(image.float().div(127.5).sub(1)).argmax(1)


class SceneNetFeatures(nn.Module):
    """Pooled features of the scoring SceneNet: a Frechet distance of its own, `FID(scenenet)`, never plain FID.

    Args:
        name: "scorer" (shipped), or a file that `python -m scenegen.train_scenenet role=scorer` wrote.
        folder: where another scenenet_<name>.safetensors is looked for first.
    """

    name = "scenenet"
    title = "FID(scenenet)"
    stand_in = True
    resize = "none"

    def __init__(self, *, name: str = "scorer", folder: str | None = None) -> None:
        super().__init__()
        self.net = Segmenter.load(name, folder=folder)
        self.stamp = self.net.stamp

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, d) features."""
        return self.net.features(image.float().div(127.5).sub(1))


def require_classes(
    reads: tuple[str, ...], classes: ClassList, *, stamp: str, command: str = "train_scenenet role=scorer"
) -> None:
    """Refuse a segmenter that was trained for other classes than the label maps have, naming both lists."""
    if tuple(reads) != classes.names:
        raise Refusal(
            f"the segmenter {stamp} reads {len(reads)} classes ({', '.join(reads)}) but the label maps have "
            f"{len(classes)} ({', '.join(classes.names)}); train one for them with python -m "
            f"scenegen.{command} data=... and give it as segmenter.name=FILE.safetensors, "
            "or score without mask_acc: segmenter=none"
        )


def fid_title(fid: Describing, distance: str = "FID") -> str:
    """The name under which a distance may be shown: plain FID (or KID) only with the published Inception."""
    if is_random(fid):
        return f"{distance}({fid.name}, RANDOM WEIGHTS)"
    return fid.title.replace("FID", distance)


def is_random(judge: Judge) -> bool:
    """Whether a judge's weights are random, which makes its numbers meaningless."""
    return "RANDOM WEIGHTS" in judge.stamp


def marks(judges: dict[str, Judge]) -> tuple[str, ...]:
    """What has to stand beside every number that these judges gave."""
    random = [role for role, judge in judges.items() if is_random(judge)]
    stand_in = [role for role, judge in judges.items() if judge.stand_in]
    found = []
    if random:
        found.append(f"RANDOM WEIGHTS ({', '.join(random)}): these numbers mean nothing")
    if stand_in:
        found.append(f"stand-in scorer ({', '.join(stand_in)}), not comparable with contest numbers")
    return tuple(found)
