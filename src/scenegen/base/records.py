"""The records that travel through the house, Batch -> Synthesis -> Shown -> Judgement, and the networks that make them.

Shapes: b batch, c channels, h height, w width. Pictures are floats in [-1, 1] with 1 or 3 channels, labels int64 class
ids. Absent means None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from scenegen.base.depth import Depth
from scenegen.base.kinds import KINDS, Kind
from scenegen.base.refusal import Refusal

__all__ = [
    "KINDS",
    "Batch",
    "Branches",
    "Completion",
    "Contrast",
    "Cycle",
    "Discriminator",
    "Gaussian",
    "Judgement",
    "Kind",
    "Posterior",
    "Refusal",
    "SceneModel",
    "Shown",
    "Synthesis",
    "Warp",
    "require_offered",
]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Batch:
    """The data of one step.

    Attributes:
        label: (b, h, w) class ids.
        image: (b, c, h, w) the picture that should come out.
        instance: (b, h, w) int64 instance ids.
        source: (b, c', h', w') the picture that is given (small, noisy, or of the other domain).
        hole: (b, 1, h, w) bool, true where the picture is missing.
        exemplar: (b, 3, h, w) a style picture. One that comes alone is a style for models with an encoder; one that
            comes with `exemplar_label` is for correspondences and for terms with `target: exemplar`.
        exemplar_label: (b, h, w) class ids of the exemplar.
        self_reference: (b,) bool, true where the exemplar is the picture itself.
        name: one name per sample, the stem of its file.
        classes: number of classes that every id of `label` and `exemplar_label` was checked against; None where nobody
            has checked.
        depth: meaning of the grey levels of slices of more than 8 bits; None for 8-bit pictures.
    """

    label: Tensor | None = None
    image: Tensor | None = None
    instance: Tensor | None = None
    source: Tensor | None = None
    hole: Tensor | None = None
    exemplar: Tensor | None = None
    exemplar_label: Tensor | None = None
    self_reference: Tensor | None = None
    name: tuple[str, ...] = ()
    classes: int | None = None
    depth: Depth | None = None
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def tensors(self) -> dict[str, Tensor]:
        """Field -> tensor, of the fields that are there."""
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def require(self, name: str) -> Tensor:
        """A field's tensor.

        Raises:
            Refusal: where it is absent.
        """
        found = self.tensors().get(name)
        if found is None:
            raise Refusal(f"this needs the {name} of every sample, but the data has none; use data that offers it")
        return found

    def __len__(self) -> int:
        return len(next(iter(self.tensors().values()))) if self.tensors() else len(self.name)

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return next(iter(self.tensors().values())).device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the pictures; float32 where there are none."""
        return next((value.dtype for value in self.tensors().values() if value.is_floating_point()), torch.float32)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=non_blocking) for name, value in self.tensors().items()
        }
        return dataclasses.replace(self, **moved)

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory."""
        pinned: dict[str, Any] = {name: value.pin_memory() for name, value in self.tensors().items()}
        return dataclasses.replace(self, **pinned)

    def rows(self, start: int, stop: int) -> Batch:
        """The samples start, ..., stop - 1."""
        some: dict[str, Any] = {name: value[start:stop] for name, value in self.tensors().items()}
        return dataclasses.replace(self, **some, name=self.name[start:stop])

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """A value that follows from the batch, computed when it is first asked for and kept as long as the batch."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


@dataclass(frozen=True)
class Posterior:
    """The style latent of a picture.

    Attributes:
        z: (b, n) the latent that was used, or (b, n, h, w) with one at every pixel.
        mu, logvar: (b, n) the encoder's posterior, of models with an encoder.
    """

    z: Tensor
    mu: Tensor | None = None
    logvar: Tensor | None = None


@dataclass(frozen=True)
class Warp:
    """The pictures that travelled along a correspondence.

    Attributes:
        warped: the exemplar warped to the label map, coarse to fine, each (b, 3, h', w').
        back: (b, 3, h', w') the coarsest warped exemplar, warped back to the exemplar's own frame.
        returned: (b, 3, h', w') the photograph warped to the exemplar's frame and back.
        label: (b, classes, h', w') the exemplar's one-hot labels, warped; they sum to 1.
        aligned: per level (label features, photograph features), both (b, c, h', w'), of unit length.
    """

    warped: tuple[Tensor, ...]
    back: Tensor | None = None
    returned: Tensor | None = None
    label: Tensor | None = None
    aligned: tuple[tuple[Tensor, Tensor], ...] | None = None


@dataclass(frozen=True)
class Cycle:
    """The pictures of two generators, one there and one back.

    Attributes:
        back: (b, c, h, w) the real picture, translated to the source's domain.
        there_and_back: (b, c, h, w) the source, translated and translated back.
        back_and_there: (b, c, h, w) the real picture, translated back and there again.
        same: (b, c, h, w) the real picture, translated to its own domain.
        same_back: (b, c, h, w) the source, translated to its own domain.
    """

    back: Tensor
    there_and_back: Tensor
    back_and_there: Tensor
    same: Tensor | None = None
    same_back: Tensor | None = None


Rows = tuple[tuple[Tensor, Tensor], ...]
"""Per layer (queries, keys), each (b, p, n) rows of unit length at the same p places of two pictures."""


@dataclass(frozen=True)
class Contrast:
    """A generator's own features of a picture that it made and of the one that it was made from.

    Attributes:
        there: rows of the generated picture (queries) and of the source (keys).
        same: rows of the real picture translated to its own domain, and of the real picture.
        mirrored: this step mirrored the pictures on their way through the generator.
    """

    there: Rows
    same: Rows | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class Gaussian:
    """Independent normal variables.

    Attributes:
        mu, sigma: of one shape; sigma above 0.
    """

    mu: Tensor
    sigma: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The variables where standard normal ones are `noise`."""
        return self.mu + self.sigma * noise


@dataclass(frozen=True)
class Completion:
    """The ways on which a model fills holes.

    Attributes:
        raw: (b, c, h, w) the generated picture, outside the hole too.
        generated: pictures from the visible half alone, coarse to fine, each (b, c, h', w'); the last is `raw`.
        reconstructed: pictures of the same sizes, from a latent of the missing half itself.
        prior: Gaussian of the latent, of the visible half.
        posterior: Gaussian of the latent, of the missing half.
        other: (b, c, h, w) a second generated picture of the same input and another latent.
        others: pictures of the same sizes as `generated`, the last is `other`.
        maps: (2b, c, h', w') at each size, the generator's maps of both pictures, those of `raw` first.
    """

    raw: Tensor
    generated: tuple[Tensor, ...] = ()
    reconstructed: tuple[Tensor, ...] = ()
    prior: Gaussian | None = None
    posterior: Gaussian | None = None
    other: Tensor | None = None
    others: tuple[Tensor, ...] = ()
    maps: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Branches:
    """The two outputs of a network that separates content and noise.

    Attributes:
        content: (b, c, h, w) the content branch's own picture, before it is fused with the other's.
        noise: (b, c, h, w) the source less the picture without noise.
    """

    content: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Synthesis:
    """A generator's output for one batch.

    Attributes:
        image: (b, c, h, w) the generated picture.
        posterior: of models with a latent.
        warp: of models that warp an exemplar.
        cycle: of models that translate there and back.
        contrast: of models that compare places of their own features.
        completion: of models that fill holes.
        branches: of models that separate content and noise.
        coarse: (b, c, h', w') the picture of an earlier stage.
        smaller: pictures that were made on the way, each half as large as the one before, the first of half the size.
        logits: (b, classes, h, w) class scores, of models that read label maps off pictures.
    """

    image: Tensor
    posterior: Posterior | None = None
    warp: Warp | None = None
    cycle: Cycle | None = None
    contrast: Contrast | None = None
    completion: Completion | None = None
    branches: Branches | None = None
    coarse: Tensor | None = None
    smaller: tuple[Tensor, ...] = ()
    logits: Tensor | None = None


@dataclass(frozen=True)
class Shown:
    """The input of a discriminator.

    Attributes:
        condition: (b, n, h, w) planes under which pictures are judged.
        fake, real: (b, c, h, w) the generated and the real pictures.
    """

    condition: Tensor | None
    fake: Tensor
    real: Tensor


@dataclass(frozen=True)
class Judgement:
    """A discriminator's output for one batch of pictures.

    Attributes:
        logits: per scale the raw score map, (b, 1, h', w') (or (b, classes + 1, h, w) for segmenting ones).
        features: per scale the feature maps before the score, shallow to deep.
        label: (b, h, w) int64 class ids under which a segmenting discriminator judged; -1 at pixels that do not
            count.
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


class SceneModel(nn.Module):
    """Base of every generator family: the members that training and sampling ask for.

    Attributes:
        reads: fields of Batch without which the model cannot paint.
        offers: parts of Synthesis that `forward` fills, as paths ("posterior.mu", "warp.label"); "encode" where it has
            the method; "again" where other noise makes another picture of the same input; "features" where it shows
            features of its own.
        noise_shape: shape of one sample's noise, or None for a deterministic model.
        condition_channels: channels of `shown(...).condition`, 0 for none.
        channels: of the pictures that it reads and makes, 3 or 1.
        num_classes: of the labels that it reads; 0 for a model that reads none.
        smaller: pictures at 1/2, 1/4, ... of the size that `shown` puts beside the whole ones, in planes of their own.
        pretrained: stamp of the weights with which a part of it started; "" where all of it starts anew.
        size_step: divisor of both sides where the model paints label maps of any size at test time; None where it
            paints at the size that it was built for.
        domains: pictures of three channels each that stand side by side in what `shown` gives.
        judged_first: the discriminator steps before the generator, on the same pictures.
        keeps_start: the initial weights are those that the constructor drew; otherwise the run's init_gain rules.
        normal_start: initial weights are N(0, init_gain), not Xavier's.
        xavier_everywhere: the published start reaches the spectrally normalised weights too.
    """

    reads: frozenset[str] = frozenset()
    offers: frozenset[str] = frozenset()
    noise_shape: tuple[int, ...] | None = None
    condition_channels: int = 0
    channels: int = 3
    num_classes: int = 0
    smaller: int = 0
    pretrained: str = ""
    size_step: int | None = None
    domains: ClassVar[int] = 1
    judged_first: ClassVar[bool] = False
    keeps_start: ClassVar[bool] = False
    normal_start: ClassVar[bool] = False
    xavier_everywhere: ClassVar[bool] = False

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The training pass; may read the picture that should come out (a VAE encodes it)."""
        return self.sample(batch, noise=noise)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The test pass; a model that makes the picture of `batch.image` never reads it here."""
        raise NotImplementedError(f"{type(self).__name__} has no sample()")  # abstract; a stub need not have it

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """The pictures that the discriminator judges, and the condition under which it does.

        Raises:
            Refusal: for a batch without the picture that should come out.
        """
        if batch.image is None:
            raise Refusal("a discriminator compares with real pictures, but the batch has none; use data with pictures")
        return Shown(condition=self.condition(batch), fake=synthesis.image, real=batch.image)

    def condition(self, batch: Batch) -> Tensor | None:
        """(b, condition_channels, h, w) planes that the discriminator sees beside a picture, or None."""
        return None

    def encode(self, image: Tensor, *, frozen: bool = False) -> tuple[Tensor, Tensor]:
        """The style posterior (mu, logvar) of pictures; models that offer "encode" have it."""
        raise Refusal("this model has no encoder; use model=gaugan model.vae=true")

    def prior(self, count: int, *, seed: int) -> Tensor | None:
        """(count, *noise_shape) standard normal noise on the CPU, or None for a deterministic model."""
        if self.noise_shape is None:
            return None
        return torch.randn(count, *self.noise_shape, generator=torch.Generator().manual_seed(seed))

    def paint(self, batch: Batch, *, seed: int) -> Synthesis:
        """`sample` with noise from a seed, in eval mode and without a graph."""
        training = self.training
        self.eval()
        noise = self.prior(len(batch), seed=seed)
        with torch.no_grad():
            synthesis = self.sample(batch, noise=None if noise is None else noise.to(batch.device, batch.dtype))
        self.train(training)
        return synthesis


class Discriminator(nn.Module):
    """Base of every discriminator: `(condition, image) -> Judgement`.

    Attributes:
        condition_channels: of the planes beside a picture, 0 for none.
        domains: pictures of three channels each that stand side by side in what is judged.
        joint: generated and real pictures are judged in one pass (batch statistics see both).
        per_sample: a picture's judgement does not depend on the others of the pass.
        slope_bounded: the scores' slope is bounded by construction, so that a penalty on it has nothing left to do.
        offers: "judgement" for scores, "segmentation" for class scores at every pixel, "judgement.features" where
            one of them shows feature maps beside these.
        keeps_start, normal_start, xavier_everywhere: see `SceneModel`.
    """

    condition_channels: int = 0
    domains: ClassVar[int] = 1
    joint: bool = True
    per_sample: bool = False
    slope_bounded: ClassVar[bool] = False
    keeps_start: ClassVar[bool] = False
    normal_start: ClassVar[bool] = False
    xavier_everywhere: ClassVar[bool] = False
    offers: ClassVar[frozenset[str]] = frozenset({"judgement"})

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Judge pictures under a condition.

        Args:
            condition: (b, n, h, w), or None where the model shows none.
            image: (b, c, h, w) in [-1, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward()")  # abstract; a stub need not have it

    def take_smaller(self, count: int) -> None:
        """Judge `count` smaller pictures beside each, which come as further planes (small_pictures.stacked)."""
        raise Refusal("trick=multi_scale_gradient shows pictures of several sizes, and this discriminator has no "
                      "scales for them; use discriminator=patch or sesame, or leave the trick out")  # fmt: skip

    def planes(self, condition: Tensor | None, image: Tensor) -> Tensor:
        """The condition as (b, condition_channels, h, w) in the picture's dtype; no channels where none is shown.

        Raises:
            Refusal: when the channels or the sizes differ.
        """
        planes = image[:, :0] if condition is None else condition
        if planes.shape[1] != self.condition_channels or planes.shape[2:] != image.shape[2:]:
            raise Refusal(
                f"the discriminator needs a condition (b, {self.condition_channels}, h, w) as large as the pictures, "
                f"got {tuple(planes.shape)} beside {tuple(image.shape)}"
            )
        return planes.to(image.dtype)


def require_offered(
    who: str, wanted: frozenset[str], offered: frozenset[str], *, by: str, cures: Mapping[str, str], otherwise: str = ""
) -> None:
    """The one form of both checks: a model's reads within the data, a term's needs within model and data.

    Args:
        who: the asking side, as the user spells it, with its verb ("loss.kld needs", "model=unite reads").
        wanted, offered: names of fields.
        by: the side that should offer them.
        cures: name -> what offers it.
        otherwise: the cure that leaves out the asking side.

    Raises:
        Refusal: with what is missing and the cure.
    """
    if missing := sorted(wanted - offered):
        advice = " and ".join(dict.fromkeys(cures.get(name, "use a model or data that offers it") for name in missing))
        raise Refusal(f"{who} {', '.join(missing)}, which {by} not offer; {advice}{otherwise}")
