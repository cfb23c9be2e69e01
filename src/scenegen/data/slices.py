"""Pairs of a noisy and a clean slice of more than 8 bits, as samples: `source` and `image`, cut and mirrored alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import numpy as np

from scenegen.base.depth import Depth
from scenegen.base.records import Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.classes import NO_LABELS, ClassList
from scenegen.data.pairs import Raw
from scenegen.data.samples import Pairs, Sample
from scenegen.data.transforms import Framing


class Twins(ABC):
    """Base of the sources of slices in pairs, noisy and clean.

    Attributes:
        names: of the pairs, in order.
    """

    classes: ClassList = NO_LABELS
    has_labels: bool = False
    has_instances: bool = False
    has_images: bool = True
    styles: None = None
    label_counts: None = None
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The noisy and the clean slice, (h, w) float32 in Hounsfield units."""

    def load(self, index: int) -> Raw:
        """Refused: slices are no photographs."""
        raise Refusal("slices come in pairs and are no photographs; use them with model=cncl, cncl_unet or restormer")


class Slices(Pairs):
    """Samples with a noisy slice as `source` and its clean twin as `image`, one channel in the window of `depth`.

    Args:
        source: the pairs.
        depth: window and coding.
        patch: (height, width) that training cuts at random out of both; None takes slices whole.
        flip: probability of a mirrored training sample.
        seed: see `Pairs`.
    """

    channels: int = 1

    def __init__(
        self, source: Twins, *, depth: Depth, patch: tuple[int, int] | None, flip: float, seed: int = 0
    ) -> None:
        height, width = patch or (1, 1)
        super().__init__(
            source, framing=Framing(height=height, width=width, flip=flip, random=patch is not None), seed=seed
        )
        self.twins, self.depth, self.patch = source, depth, patch

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"source", "image"})

    def still(self) -> Slices:
        """The same slices, whole."""
        return Slices(self.twins, depth=self.depth, patch=None, flip=0.0, seed=self.seed)

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        noisy, clean = self.twins.pair(index)
        if self.patch is not None:
            noisy, clean = self._cut(noisy, clean, self.patch, epoch, index)
        source, image = (self.depth.picture(np.ascontiguousarray(one)) for one in (noisy, clean))
        return Sample(name=self.names[index], source=source, image=image, depth=self.depth)

    def _cut(
        self, noisy: np.ndarray, clean: np.ndarray, patch: tuple[int, int], epoch: int, index: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """One place and one mirroring for both."""
        (h, w), (height, width) = noisy.shape, patch
        if h < height or w < width:
            raise Refusal(f"{self.names[index]}: a slice of {w}x{h} holds no patch of {width}x{height}; give a smaller "
                          "size.height= and size.width=")  # fmt: skip
        mirror, down, across = np.random.default_rng(hash_seed(self.seed, "augment", epoch, index)).random(3)
        top, left = int(down * (h - height + 1)), int(across * (w - width + 1))
        step = -1 if mirror < self.framing.flip else 1
        both = (one[top : top + height, left : left + width][:, ::step] for one in (noisy, clean))
        return cast(tuple[np.ndarray, np.ndarray], tuple(both))
