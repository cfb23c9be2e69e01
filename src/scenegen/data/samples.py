"""Samples of one split at one size, and how they become a Batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from scenegen.base.pictures import from_uint8
from scenegen.base.records import Batch, Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.classes import ClassList
from scenegen.data.pairs import Raw
from scenegen.data.transforms import Framing


class Source(Protocol):
    """Where samples come from: files, or the procedural world."""

    @property
    def classes(self) -> ClassList: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def has_instances(self) -> bool: ...
    def __len__(self) -> int: ...
    def load(self, index: int) -> Raw: ...


class Exemplars(Protocol):
    """Which style picture a sample gets, as a function of (epoch, index)."""

    @property
    def source(self) -> Source:
        """Where the style pictures come from."""
        ...

    def choose(self, epoch: int, index: int) -> int | None:
        """Place in `source`, or None where the sample is its own exemplar."""
        ...


@dataclass(frozen=True)
class Sample:
    """One sample: label (h, w) int64, image (3, h, w) uint8 or None, instance (h, w) int64 or None.

    With exemplars also exemplar (3, h, w) uint8 and exemplar_label (h, w) int64, both in a view of their own, and
    whether they are the sample itself.
    """

    name: str
    label: Tensor
    image: Tensor | None = None
    instance: Tensor | None = None
    exemplar: Tensor | None = None
    exemplar_label: Tensor | None = None
    self_reference: bool = False


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
    """

    def __init__(self, source: Source, *, framing: Framing, seed: int = 0, exemplars: Exemplars | None = None) -> None:
        if not len(source):
            raise Refusal("this split holds no pictures; give it some, or another data.val_fraction")
        self.source = source
        self.framing = framing
        self.seed = seed
        self.classes = source.classes
        self.names = source.names
        self.has_instances = source.has_instances
        self.exemplars = exemplars
        self.has_exemplars = exemplars is not None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        raw = self.source.load(index)
        view = self.framing.view(raw.label.shape, seed=hash_seed(self.seed, "augment", epoch, index))
        sample = Sample(
            name=self.names[index],
            label=_ids(view.of_ids(raw.label)),
            image=None if raw.image is None else _planes(view.of_photo(raw.image)),
            instance=None if raw.instance is None else _ids(view.of_ids(raw.instance)),
        )
        return sample if self.exemplars is None else self._with_exemplar(sample, raw, epoch, index, self.exemplars)

    def _with_exemplar(self, sample: Sample, raw: Raw, epoch: int, index: int, exemplars: Exemplars) -> Sample:
        chosen = exemplars.choose(epoch, index)
        other = raw if chosen is None else exemplars.source.load(chosen)
        view = self.framing.view(other.label.shape, seed=hash_seed(self.seed, "exemplar", epoch, index))
        return replace(
            sample,
            exemplar=None if other.image is None else _planes(view.of_photo(other.image)),
            exemplar_label=_ids(view.of_ids(other.label)),
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
    def styles(self) -> list[dict[str, float]] | None:
        """The known style of every picture, where the source knows it (the procedural world)."""
        return getattr(self.source, "styles", None)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one size to a Batch.

    Returns:
        Batch with image in [-1, 1]; (b, 3, 0, 0) for samples without photographs, so that no network takes it
        for a picture.
    """
    photos = [s.image for s in samples if s.image is not None]
    instances = [s.instance for s in samples if s.instance is not None]
    exemplars = [s.exemplar for s in samples if s.exemplar is not None]
    theirs = [s.exemplar_label for s in samples if s.exemplar_label is not None]
    return Batch(
        label=torch.stack([s.label for s in samples]),
        image=from_uint8(torch.stack(photos)) if photos else torch.empty(len(samples), 3, 0, 0),
        instance=torch.stack(instances) if instances else None,
        exemplar=from_uint8(torch.stack(exemplars)) if exemplars else None,
        exemplar_label=torch.stack(theirs) if theirs else None,
        self_reference=torch.tensor([s.self_reference for s in samples]) if exemplars else None,
        name=tuple(s.name for s in samples),
    )


def _ids(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.int64))


def _planes(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()
