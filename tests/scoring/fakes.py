"""A small world whose label maps can be read off its pictures, and judges that do so: scores known in advance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scenegen.data.classes import ClassList
from scenegen.scoring.contest import Jittor2022
from scenegen.scoring.judges.protocols import BOTH
from scenegen.scoring.measures import of_contest
from scenegen.scoring.scorer import Scorer

CLASSES = ClassList(
    names=("sky", "sea", "sand", "unknown"),
    colours=((100, 150, 250), (20, 60, 140), (220, 200, 120), (0, 0, 0)),
    ignore=3,
)
COLOURS = torch.tensor(CLASSES.colours)


@dataclass(frozen=True)
class Sample:
    name: str
    label: Tensor | None
    image: Tensor | None
    depth: None = None


class World:
    """`count` pictures of 12 x 16, painted in the colours of their labels with a little noise."""

    classes = CLASSES

    def __init__(self, count: int, *, seed: int = 0, photos: bool = True, classes: ClassList = CLASSES) -> None:
        stream = torch.Generator().manual_seed(seed)
        self.classes = classes
        self.labels = torch.randint(0, 3, (count, 12, 16), generator=stream)
        noise = torch.randint(-15, 16, (count, 3, 12, 16), generator=stream)
        self.images = (paint(self.labels) + noise).clamp(0, 255).to(torch.uint8)
        self.photos = photos
        self.names = [f"map_{seed}_{i:03d}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.names[index], self.labels[index], self.images[index] if self.photos else None)

    def write(self, folder: Path, *, suffix: str = ".png") -> Path:
        """Save the photographs as if they had been generated."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in zip(self.names, self.images, strict=True):
            Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0))).save(folder / f"{name}{suffix}")
        return folder


def paint(label: Tensor) -> Tensor:
    """(b, h, w) ids -> (b, 3, h, w) colours."""
    return COLOURS[label].permute(0, 3, 1, 2)


class NearestColour:
    """Segmenter: the class of the nearest colour."""

    name, stamp, stand_in, ranks = "nearest", "nearest-colour", False, BOTH

    def predict(self, image: Tensor) -> Tensor:
        assert image.dtype == torch.uint8
        distance = (image[:, None].long() - COLOURS.view(1, 4, 3, 1, 1)).square().sum(2)
        return distance.argmin(1)


class Brightness:
    """Aesthetic: mean grey level / 25.5."""

    name, stamp, stand_in, ranks = "brightness", "brightness", False, BOTH

    def __call__(self, image: Tensor) -> Tensor:
        assert image.dtype == torch.uint8
        return image.float().mean((1, 2, 3)) / 25.5


class MeanColour:
    """FID features: mean and deviation per channel."""

    name, resize, ranks = "colour", "none", BOTH

    def __init__(self, *, stamp: str = "colour-1", stand_in: bool = False) -> None:
        self.stamp, self.stand_in = stamp, stand_in
        self.title = "FID(colour)" if stand_in else "FID"

    def __call__(self, image: Tensor) -> Tensor:
        assert image.dtype == torch.uint8
        flat = image.float().flatten(2)
        return torch.cat([flat.mean(2), flat.std(2)], 1)


def scorer(**changes) -> Scorer:
    """A scorer of the fakes, with some of its parts exchanged."""
    parts = {
        "total": Jittor2022(),
        "segmenter": NearestColour(),
        "aesthetic": Brightness(),
        "fid": MeanColour(),
        "classes": CLASSES,
    }
    parts |= changes
    return Scorer(measures=of_contest(**parts), classes=parts["classes"], total=parts["total"])
