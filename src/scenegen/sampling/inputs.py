"""Inputs of a model as tensors of stated shape and range, and drawn examples of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from scenegen.base.depth import Depth
from scenegen.base.records import Batch, SceneModel
from scenegen.networks.generators.restormer import Denoiser
from scenegen.networks.generators.rrdb import SuperResolution

LABELS = ("label", "instance", "exemplar_label")
PICTURES = ("exemplar", "source")
HOLES = ("hole",)

SHARES = (0.1, 0.5, 0.3, 0.7)
"""Parts of drawn pictures that are missing, by the seed."""


class Values(NamedTuple):
    """Values of an input in words, and code of one sample for each library."""

    words: str
    numpy: str
    torch: str


class Content(Enum):
    """Kinds of inputs."""

    IDS = Values("int64 ids", "np.zeros({shape}, np.int64)", "torch.zeros({shape}, dtype=torch.long)")
    PICTURE = Values("float32 in [-1, 1]", "np.zeros({shape}, np.float32)", "torch.zeros({shape})")
    SLICE = Values("float32 Hounsfield units", "np.zeros({shape}, np.float32)", "torch.zeros({shape})")
    HOLE = Values("bool, true where it is missing", "np.zeros({shape}, bool)", "torch.zeros({shape}, dtype=torch.bool)")
    NOISE = Values("float32, standard normal", "np.random.randn(*{shape}).astype(np.float32)", "torch.randn({shape})")


@dataclass(frozen=True)
class Input:
    """An input of a model; its first side is the batch.

    Attributes:
        name: a field of Batch, "noise", or "noise_<layer>" for class noise.
        sides: of one sample.
        content: of the tensor.
        classes: ids lie in [0, classes).
        step: of slices, whose height and width are any multiples of it; `sides` are those of examples.
        depth: of slices, the window in which they are seen.
    """

    name: str
    sides: tuple[int, ...]
    content: Content = Content.NOISE
    classes: int = 0
    step: int = 1
    depth: Depth | None = None

    @property
    def spelt(self) -> str:
        """Name, shape and content in words."""
        if self.depth is not None:
            window = f"{self.depth.low:g}..{self.depth.high:g}"
            return (f"{self.name} (batch, 1, height, width), {self.content.value.words}, clipped to {window}; height "
                    f"and width are multiples of {self.step}")  # fmt: skip
        last = f" 0..{self.classes - 1}" if self.content is Content.IDS else ""
        return f"{self.name} (batch, {', '.join(map(str, self.sides))}), {self.content.value.words}{last}"

    @property
    def code(self) -> Values:
        """Code that makes one sample."""
        return Values(*(text.format(shape=(1, *self.sides)) for text in self.content.value))

    def example(self, count: int, *, seed: int, longer: int = 0) -> Tensor:
        """A drawn tensor of so many samples: ids and holes in blocks, standard normal noise, or pictures of it.

        Args:
            count: of samples.
            seed: of the draw.
            longer: steps by which slices are higher than `sides`; they are wider by twice as many.
        """
        stream = torch.Generator().manual_seed(seed)
        if self.depth is not None:
            height, width = (side + k * longer * self.step for k, side in enumerate(self.sides[-2:], start=1))
            drawn = torch.randn(count, 1, height, width, generator=stream)
            return self.depth.units(drawn).float()
        if self.content in (Content.NOISE, Content.PICTURE):
            drawn = torch.randn(count, *self.sides, generator=stream)
            return drawn.clamp(-1, 1) if self.content is Content.PICTURE else drawn
        size = self.sides[-2:]
        if self.content is Content.HOLE:
            missing = torch.rand(count, 1, 8, 8, generator=stream) < SHARES[seed % len(SHARES)]
            return nn.functional.interpolate(missing.float(), size=size, mode="nearest") > 0
        blocks = torch.randint(self.classes, (count, 1, 4, 4), generator=stream).float()
        return nn.functional.interpolate(blocks, size=size, mode="nearest")[:, 0].long()


def inputs_of(model: SceneModel, *, size: tuple[int, int], depth: Depth | None = None) -> list[Input]:
    """The fields of Batch that a model's `sample` reads, then its noise.

    Args:
        model: one that paints.
        size: (height, width) of its pictures.
        depth: asks for a denoiser's slices in Hounsfield units, in the place of pictures.
    """
    if depth is not None and isinstance(model, Denoiser):
        sides = tuple(-(-side // model.step) * model.step for side in size)
        return [Input("source", (1, *sides), Content.SLICE, step=model.step, depth=depth)]
    scale = model.scale if isinstance(model, SuperResolution) else 1
    given = (size[0] // scale, size[1] // scale)
    found = [Input(name, size, Content.IDS, model.num_classes) for name in LABELS if name in model.reads]
    found += [Input(name, (model.channels, *given), Content.PICTURE) for name in PICTURES if name in model.reads]
    found += [Input(name, (1, *size), Content.HOLE) for name in HOLES if name in model.reads]
    if model.noise_shape is not None:
        found.append(Input("noise", model.noise_shape))
    return found


def batch_of(model: SceneModel, given: Mapping[str, Tensor], *, name: tuple[str, ...] = ()) -> Batch:
    """The batch of named inputs, whose ids count as checked."""
    fields: dict[str, Any] = {key: given[key] for key in (*LABELS, *PICTURES, *HOLES) if key in given}
    return Batch(**fields, name=name, classes=model.num_classes)
