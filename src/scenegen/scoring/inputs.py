"""The input of a score: label maps with their photographs, style pictures, and the options of the pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.samples import Pairs
from scenegen.scoring.judges.protocols import Judges

Track = Callable[[Iterable[Any], str], Iterable[Any]]
Style = Callable[[Any], Tensor]


class Pictures(Protocol):
    """Dataset of a score: its items have name, label (h, w) int64 and image (3, h, w) uint8; absent is None."""

    classes: ClassList

    @property
    def names(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class Options:
    """Options of a score.

    Attributes:
        count: number of label maps to score, from the first on; None is all.
        resize: "none" refuses generated pictures of another size, "bicubic" takes them, "squash" other shapes too.
        extra: "refuse" or "ignore" pictures that belong to no label map.
        floor: also measure the Frechet distance of real pictures to real pictures.
        infinity: also extrapolate it to infinitely many pictures.
        cache: place of the described reference photographs: "off", "auto" (the user's cache) or a folder.
        batch_size: pictures per pass.
        device: of the judges.
        seed: of the bootstrap and of the floor's split.
        posts: stamps of the posts that the pictures went through, for the protocol.
        chosen_on: names of the maps by which the model was chosen; a score of one of them is marked.
        config_hash: name of the config's content, for the protocol.
        read: stamps of the frozen networks that the training read or that chose the noise; judges among them are
            marked.
    """

    count: int | None = None
    resize: str = "none"
    extra: str = "refuse"
    floor: bool = True
    infinity: bool = True
    cache: str = "off"
    batch_size: int = 16
    device: str = "cpu"
    seed: int = 0
    posts: tuple[str, ...] = ()
    chosen_on: tuple[str, ...] = ()
    config_hash: str | None = None
    read: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Any, *, config_hash: str) -> Options:
        """Options from a command's settings of the same names."""
        own = {"config_hash", "posts", "chosen_on", "read"}
        named = [f.name for f in dataclasses.fields(cls) if f.name not in own]
        return cls(**{name: getattr(settings, name) for name in named}, config_hash=config_hash)


@dataclass(frozen=True)
class Samples:
    """Samples of a batch of made pictures, and the judges' readings of these pictures, each computed once.

    Attributes:
        made: (b, 3, h, w) uint8, the made pictures.
        given: the samples' own tensors, of "image" (b, 3, h, w) uint8, "label" (b, h, w) int64, and "style"
            (b, 3, h, w) uint8, and "results" (b, n, 3, h, w) uint8; only those that some measure needs.
        judges: segmenter, aesthetic model, FID features.
    """

    made: Tensor
    given: Mapping[str, Tensor]
    judges: Judges

    @property
    def image(self) -> Tensor:
        """(b, 3, h, w) uint8, the samples' own photographs."""
        return self._given("image")

    @property
    def label(self) -> Tensor:
        """(b, h, w) int64 ids."""
        return self._given("label")

    @property
    def style(self) -> Tensor:
        """(b, 3, h, w) uint8, the style pictures."""
        return self._given("style")

    @property
    def results(self) -> Tensor:
        """(b, n, 3, h, w) uint8, all made pictures of each sample; `made` is the first of them."""
        return self._given("results")

    @cached_property
    def prediction(self) -> Tensor:
        """(b, h, w) int64 ids that the segmenter reads off the made pictures."""
        assert self.judges.segmenter is not None, "a measure that reads label maps brings the segmenter in `judges`"
        return self.judges.segmenter.predict(self.made)

    @cached_property
    def marks(self) -> Tensor:
        """(b,) marks of the aesthetic model, 0..10."""
        assert self.judges.aesthetic is not None, "a measure that reads marks brings the aesthetic model in `judges`"
        return self.judges.aesthetic(self.made)

    def _given(self, what: str) -> Tensor:
        assert what in self.given, f"a measure that reads {what} names it in `needs`"
        return self.given[what]


def chosen_style(photos: Pictures, styles: Mapping[str, str] | None) -> Style:
    """Function from a sample to its style picture: the one named for it, or its own photograph.

    Args:
        photos: source of the named style pictures.
        styles: label name -> picture name, or None.

    Raises:
        Refusal: a named picture is not there; the returned function refuses a sample without a style picture.
    """
    if styles is None:
        return photo_of
    place = {name: i for i, name in enumerate(photos.names)}
    if absent := [f"{label}: {name}" for label, name in styles.items() if name not in place]:
        raise Refusal(f"{len(absent)} style pictures are not in the reference: {', '.join(absent[:10])}")

    def style(sample: Any) -> Tensor:
        if sample.name not in styles:
            raise Refusal(f"no style picture is named for the label map {sample.name}; add it to the style file")
        return photo_of(photos[place[styles[sample.name]]])

    return style


def photo_of(sample: Any) -> Tensor:
    """A sample's photograph (3, h, w) uint8, refused where it has none."""
    if sample.image is None:
        raise Refusal(
            f"{sample.name} has no photograph to compare with; give a split with photographs as reference=train, "
            "and for jittor2023 a file of style pictures as styles=FILE.json"
        )
    return sample.image


def still(pictures: Any) -> Any:
    """The same pictures without random cuts and mirrors, as a reference set needs them."""
    return pictures.still() if isinstance(pictures, Pairs) else pictures


class Chosen:
    """Some pictures of a data set, in the order of their indices."""

    def __init__(self, pictures: Pictures, indices: Sequence[int]) -> None:
        self.pictures, self.indices = pictures, tuple(indices)
        self.classes = pictures.classes

    @property
    def names(self) -> Sequence[str]:
        names = self.pictures.names
        return [names[index] for index in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Any:
        return self.pictures[self.indices[index]]


def batches(count: int, size: int) -> list[range]:
    """Consecutive ranges of at most `size` that cover range(count), as even as can be.

    Where eight are left in each they are a multiple of four, or of two, so that cores which share them out end
    together. Their number does not depend on the machine, nor do the features then.
    """
    least = -(-count // size)
    rounded = [-(-least // cores) * cores for cores in (4, 2)]
    number = next((n for n in rounded if 8 * n <= count), least)
    ends = [count * k // number for k in range(number + 1)] if count else []
    return [range(first, last) for first, last in pairwise(ends)]
