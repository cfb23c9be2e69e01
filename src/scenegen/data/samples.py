"""Samples of one split at one size, and how they become a Batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from scenegen.base.depth import Depth
from scenegen.base.pictures import from_uint8
from scenegen.base.records import Batch, Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.classes import ClassList
from scenegen.data.degrade import Degrade, Given
from scenegen.data.pairs import Raw
from scenegen.data.transforms import Framing


class Source(Protocol):
    """Source of samples: files, or the procedural world."""

    @property
    def classes(self) -> ClassList: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def has_labels(self) -> bool: ...
    @property
    def has_instances(self) -> bool: ...
    @property
    def has_images(self) -> bool: ...
    @property
    def styles(self) -> Sequence[Mapping[str, float]] | None:
        """The known style of every picture, in order; None where the source knows none."""
        ...

    @property
    def label_counts(self) -> Sequence[Mapping[int, int]] | None:
        """Pixels per class id of every label map, in order; None where only reading the maps would tell."""
        ...

    def __len__(self) -> int: ...
    def load(self, index: int) -> Raw: ...


class Exemplars(Protocol):
    """Choice of each sample's style picture, as a function of (epoch, index)."""

    @property
    def source(self) -> Source:
        """Source of the style pictures."""
        ...

    def choose(self, epoch: int, index: int) -> int | None:
        """Place in `source`, or None where the sample is its own exemplar."""
        ...


@dataclass(frozen=True)
class Sample:
    """One sample; absent means None.

    Attributes:
        name: stem of its file.
        label, instance: (h, w) int64 ids.
        image: (c, h, w) uint8 the picture that should come out; float32 in [-1, 1] with `depth`.
        source: (c', h', w') the picture that is given, alike.
        hole: (1, h, w) bool, true where the picture is missing.
        exemplar: (3, h, w) uint8 and exemplar_label (h, w) int64, in a view of their own.
        self_reference: the exemplar is the sample itself.
        classes: number of classes that the ids were checked against; None where nobody has checked.
        depth: meaning of the grey levels of slices of more than 8 bits; None for 8-bit pictures.
    """

    name: str
    label: Tensor | None = None
    image: Tensor | None = None
    instance: Tensor | None = None
    source: Tensor | None = None
    hole: Tensor | None = None
    exemplar: Tensor | None = None
    exemplar_label: Tensor | None = None
    self_reference: bool = False
    classes: int | None = None
    depth: Depth | None = None


class Pairs(torch.utils.data.Dataset):
    """Samples of one split at one size; augmentation is a function of (seed, epoch, index).

    Index with (epoch, index), as StatelessBatchSampler yields, or with an index alone (epoch 0).

    Attributes:
        classes: what the label ids mean.
        names: one per sample, in order.
        has_instances: samples carry instance maps.
        has_exemplars: samples carry a style picture with its labels.
        source: where the samples come from (pairs.Files has the paths).
        exemplars: chooses the style pictures, or None.
        degrade: makes the source out of the photograph, or None.
        channels: of the pictures, 3 or 1.
    """

    channels: int = 3

    def __init__(
        self,
        source: Source,
        *,
        framing: Framing,
        seed: int = 0,
        exemplars: Exemplars | None = None,
        degrade: Degrade | None = None,
    ) -> None:
        if not len(source):
            raise Refusal("this split holds no pictures; give it some, or another data.val_fraction")
        self.source = source
        self.framing = framing
        self.seed = seed
        self.classes = source.classes
        self.names = source.names
        self.has_instances = source.has_instances
        self.exemplars = exemplars
        self.degrade = degrade
        self.has_exemplars = exemplars is not None

    @property
    def offers(self) -> frozenset[str]:
        """Fields of Batch that the samples fill."""
        found = {"label": self.source.has_labels, "image": self.source.has_images, "instance": self.has_instances}
        given = self.degrade.offers if self.degrade is not None and self.source.has_images else ()
        found |= dict.fromkeys(given, True)
        found |= dict.fromkeys(("exemplar", "exemplar_label", "self_reference"), self.has_exemplars)
        return frozenset(name for name, there in found.items() if there)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Everything that samples are read from."""
        return (self.source,)

    def still(self) -> Pairs:
        """The same samples without random cuts and mirrors, as a score and a reference set need them."""
        if not self.framing.random:
            return self
        return Pairs(self.source, framing=replace(self.framing, random=False), seed=self.seed, degrade=self.degrade)

    def reference(self) -> Pairs:
        """The pictures that should come out, still."""
        return self.still()

    def degraded(self, degrade: Degrade) -> Pairs:
        """The same samples, each with the source that its photograph makes."""
        if not self.source.has_images or self.offers >= {"source"}:
            raise Refusal("degrade= makes a source out of each photograph, but these samples have none, or a source of "
                          "their own; leave it out, or choose data of photographs such as data=pictures")  # fmt: skip
        return Pairs(self.source, framing=self.framing, seed=self.seed, exemplars=self.exemplars, degrade=degrade)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        raw = self.source.load(index)
        view = self.framing.view(raw.shape, seed=hash_seed(self.seed, "augment", epoch, index))
        image = None if raw.image is None else view.of_photo(raw.image)
        given = self._given(image, epoch, index)
        sample = Sample(
            name=self.names[index],
            label=None if raw.label is None else label_ids(view.of_ids(raw.label)),
            image=None if image is None else planes(image),
            instance=None if raw.instance is None else label_ids(view.of_ids(raw.instance)),
            source=None if given is None else planes(given.source),
            hole=None if given is None or given.hole is None else torch.from_numpy(given.hole)[None],
            classes=len(self.classes),  # a source refuses ids outside them when it reads a file
        )
        return sample if self.exemplars is None else self._with_exemplar(sample, raw, epoch, index, self.exemplars)

    def _given(self, image: np.ndarray | None, epoch: int, index: int) -> Given | None:
        """What is given in a photograph's place.

        Of samples that are still it is the same in every epoch and in every run, so that runs of unlike seeds are
        measured on the same holes.
        """
        if self.degrade is None or image is None:
            return None
        seed = hash_seed(self.seed, "degrade", epoch, index) if self.framing.random else hash_seed("degrade")
        return self.degrade.given(image, seed=seed, name=self.names[index])

    def _with_exemplar(self, sample: Sample, raw: Raw, epoch: int, index: int, exemplars: Exemplars) -> Sample:
        chosen = exemplars.choose(epoch, index)
        other = raw if chosen is None else exemplars.source.load(chosen)
        view = self.framing.view(other.shape, seed=hash_seed(self.seed, "exemplar", epoch, index))
        return replace(
            sample,
            exemplar=None if other.image is None else planes(view.of_photo(other.image)),
            exemplar_label=label_ids(view.of_ids(other.ids)),
            self_reference=chosen is None,
        )

    def exemplar_names(self) -> dict[str, str]:
        """Name of every sample -> name of its exemplar in epoch 0; empty without exemplars."""
        if self.exemplars is None:
            return {}
        chosen = [self.exemplars.choose(0, index) for index in range(len(self))]
        there = self.exemplars.source.names
        return {name: name if i is None else there[i] for name, i in zip(self.names, chosen, strict=True)}

    @property
    def styles(self) -> Sequence[Mapping[str, float]] | None:
        """The known style of every picture, where the source knows it (the procedural world)."""
        return self.source.styles


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one size to a Batch, pictures in [-1, 1]; a field that no sample has is None."""
    exemplar = _pictures([s.exemplar for s in samples])
    return Batch(
        label=_stacked([s.label for s in samples]),
        image=_pictures([s.image for s in samples]),
        instance=_stacked([s.instance for s in samples]),
        source=_pictures([s.source for s in samples]),
        hole=_stacked([s.hole for s in samples]),
        exemplar=exemplar,
        exemplar_label=_stacked([s.exemplar_label for s in samples]),
        self_reference=None if exemplar is None else torch.tensor([s.self_reference for s in samples]),
        name=tuple(s.name for s in samples),
        classes=samples[0].classes,
        depth=samples[0].depth,
    )


def _stacked(parts: Sequence[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    if there and len(there) < len(parts):
        raise Refusal(
            f"{len(there)} of {len(parts)} samples of a batch have a field that the others lack; give all of them the "
            "same kinds of files"
        )
    return torch.stack(there) if there else None


def _pictures(parts: Sequence[Tensor | None]) -> Tensor | None:
    stacked = _stacked(parts)
    return from_uint8(stacked) if stacked is not None and stacked.dtype == torch.uint8 else stacked


def label_ids(array: np.ndarray) -> Tensor:
    """(h, w) ids of any whole-number type as int64."""
    return torch.from_numpy(array.astype(np.int64))


def planes(array: np.ndarray) -> Tensor:
    """(h, w, c) to (c, h, w)."""
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()
