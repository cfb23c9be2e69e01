"""The records that travel through the house: Batch -> Synthesis -> Judgement.

Shapes: b batch, h height, w width. Pictures are RGB floats in [-1, 1], labels int64 class ids.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from scenegen.base.refusal import Refusal

__all__ = ["Batch", "Judgement", "Refusal", "SceneModel", "Synthesis"]

Record = TypeVar("Record", "Batch", "Synthesis")


@dataclass(frozen=True)
class Batch:
    """What the data gives for one step.

    Attributes:
        label: (b, h, w) int64 class ids in [0, num_classes).
        image: (b, 3, h, w) the photograph, in [-1, 1].
        instance: (b, h, w) int64 instance ids, or None.
        exemplar: (b, 3, h, w) a style picture, in [-1, 1], or None.
        exemplar_label: (b, h, w) int64 class ids of the exemplar, or None.
        self_reference: (b,) bool, true where the exemplar is the photograph itself, or None.
        name: one name per sample, the stem of its label file.
    """

    label: Tensor
    image: Tensor
    instance: Tensor | None = None
    exemplar: Tensor | None = None
    exemplar_label: Tensor | None = None
    self_reference: Tensor | None = None
    name: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.label.shape[0]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return _map(self, lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory."""
        return _map(self, lambda t: t.pin_memory())


@dataclass(frozen=True)
class Synthesis:
    """What a generator can tell about one batch; absent means None.

    Attributes:
        image: (b, 3, h, w) the generated picture, in [-1, 1].
        mu, logvar: (b, z) the encoder's posterior (VAE models).
        z: (b, z) the latent that was used.
        warped: the exemplar warped to the label map, coarse to fine, each (b, 3, h', w') (exemplar models).
        warped_back: (b, 3, h', w') the coarsest warped exemplar, warped back to the exemplar's own frame.
        returned: (b, 3, h', w') the photograph warped to the exemplar's frame and back.
        warped_label: (b, classes, h', w') the exemplar's one-hot labels, warped; they sum to 1.
        aligned: per level (label features, photograph features), both (b, c, h', w'), of unit length.
    """

    image: Tensor
    mu: Tensor | None = None
    logvar: Tensor | None = None
    z: Tensor | None = None
    warped: tuple[Tensor, ...] | None = None
    warped_back: Tensor | None = None
    returned: Tensor | None = None
    warped_label: Tensor | None = None
    aligned: tuple[tuple[Tensor, Tensor], ...] | None = None


@dataclass(frozen=True)
class Judgement:
    """What a discriminator says of one batch of pictures.

    Attributes:
        logits: per scale the raw score map, (b, 1, h', w') (or (b, classes + 1, h, w) for segmenting ones).
        features: per scale the feature maps before the score, shallow to deep.
        label: (b, h, w) int64 class ids under which a segmenting discriminator judged, or None.
    """

    logits: tuple[Tensor, ...]
    features: tuple[tuple[Tensor, ...], ...] = ()
    label: Tensor | None = None

    def split(self, sizes: list[int]) -> list[Judgement]:
        """Cut along the batch axis, e.g. a joint (fake, real) pass into its two halves."""
        logits = [t.split(sizes) for t in self.logits]
        features = [[t.split(sizes) for t in scale] for scale in self.features]
        labels = self.label.split(sizes) if self.label is not None else [None] * len(sizes)
        return [
            Judgement(
                logits=tuple(parts[i] for parts in logits),
                features=tuple(tuple(parts[i] for parts in scale) for scale in features),
                label=labels[i],
            )
            for i in range(len(sizes))
        ]


class SceneModel(Protocol):
    """What training and sampling ask of a generator family; every model of the house is an nn.Module that has it.

    Attributes:
        offers: names of the Synthesis fields that `forward` fills; "encode" where it has encode(image, frozen=...)
            -> (mu, logvar); "again" where other noise makes another picture of the same labels.
        noise_shape: shape of one sample's noise, or None for a deterministic model.
        num_classes: of the labels.
        semantic_channels: channels of `semantics`.
        training: as in nn.Module.
    """

    offers: frozenset[str]
    noise_shape: tuple[int, ...] | None
    num_classes: int
    semantic_channels: int
    training: bool

    def semantics(self, batch: Batch) -> Tensor:
        """(b, semantic_channels, h, w) one-hot labels, with the edge channel where instances are used."""
        ...

    def __call__(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The training pass: may read the photograph (a VAE encodes it)."""
        ...

    def sample(self, batch: Batch, *, noise: Tensor | None = None, style: Tensor | None = None) -> Synthesis:
        """The test pass: reads labels, noise, exemplars and an optional style picture, never the photograph."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def train(self, mode: bool = True) -> Self: ...

    def eval(self) -> Self: ...


def _map(record: Record, move) -> Record:
    changes = {
        f.name: move(value) for f in dataclasses.fields(record) if isinstance(value := getattr(record, f.name), Tensor)
    }
    return dataclasses.replace(record, **changes)
