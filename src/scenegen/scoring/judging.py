"""The pass of a score over the generated pictures, with every judge; and how a folder is scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.metrics.accuracy import confusion, picture_hits
from scenegen.metrics.colour import histogram_correlation
from scenegen.scoring.generated import Generated
from scenegen.scoring.judges.protocols import Judges
from scenegen.scoring.prefetch import ahead
from scenegen.scoring.protocol import SetHash

Track = Callable[[Iterable[Any], str], Iterable[Any]]
Style = Callable[[Any], Tensor]


class Pictures(Protocol):
    """What a dataset gives to a score: items have name, label (h, w) int64 and image (3, h, w) uint8 or None."""

    classes: ClassList

    @property
    def names(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class Options:
    """How a folder is scored.

    Attributes:
        count: score only the first so many label maps; None is all.
        resize: "none" refuses generated pictures of another size, "bicubic" takes them.
        extra: "refuse" or "ignore" pictures that belong to no label map.
        floor: also measure the Frechet distance of real pictures to real pictures.
        infinity: also extrapolate it to infinitely many pictures.
        cache: where descriptions of reference photographs are kept: "off", "auto" (the user's cache) or a folder.
        batch_size: pictures per pass.
        device: where the judges run.
        seed: of the bootstrap and of the floor's split.
        config_hash: name of the config's content, for the protocol.
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
    config_hash: str | None = None

    @classmethod
    def of(cls, settings: Any, *, config_hash: str) -> Options:
        """The options among a command's settings, which bear the same names."""
        named = [f.name for f in dataclasses.fields(cls) if f.name != "config_hash"]
        return cls(**{name: getattr(settings, name) for name in named}, config_hash=config_hash)


@dataclass
class Tally:
    """What the pass over the generated pictures gathers.

    Attributes:
        counts: (classes, classes) pixels by true and predicted id.
        right, counted, aesthetic, hist_corr: per picture.
        features: of the generated pictures.
        photos: of the label maps' own photographs, where the floor needs them.
        labels: hash of the label maps.
        pictures: hash of the generated pictures.
    """

    counts: Tensor
    right: list[Tensor] = field(default_factory=list)
    counted: list[Tensor] = field(default_factory=list)
    aesthetic: list[Tensor] = field(default_factory=list)
    hist_corr: list[Tensor] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)
    photos: list[Tensor] = field(default_factory=list)
    labels: SetHash = field(default_factory=SetHash)
    pictures: SetHash = field(default_factory=SetHash)

    def per_picture(self, what: str) -> np.ndarray | None:
        """The values of one of its lists, one row per picture; None where nothing was gathered."""
        values = getattr(self, what)
        return torch.cat(values).numpy() if values else None


def judge_generated(
    pictures: Generated,
    labels: Pictures,
    *,
    judges: Judges,
    bins: int | None,
    style: Style,
    own_photos: bool,
    options: Options,
    track: Track,
) -> Tally:
    """Show every generated picture, as the same uint8 batch, to every judge.

    Args:
        pictures: the generated pictures.
        labels: the label maps, of which the pictures' names are the first.
        judges: segmenter, aesthetic model, FID features.
        bins: bins per channel of the colour histograms; None computes none.
        style: sample -> its style picture (3, h, w) uint8.
        own_photos: also describe the label maps' own photographs, where they have some.
        options: see `Options`.
        track: (items, description) -> items.
    """
    classes = labels.classes
    tally = Tally(counts=torch.zeros(len(classes), len(classes), dtype=torch.long))

    def read(indices: range) -> tuple[list[Any], Tensor, Tensor | None]:
        samples = [labels[i] for i in indices]
        image = torch.stack([torch.from_numpy(pictures.read(s.name)).permute(2, 0, 1) for s in samples])
        return samples, image, torch.stack([style(s) for s in samples]) if bins is not None else None

    work = batches(len(pictures.files), options.batch_size)
    for samples, image, styles in ahead(read, track(work, "scoring")):
        for sample, picture in zip(samples, image, strict=True):
            tally.labels.add(sample.name, sample.label.numpy())
            tally.pictures.add(sample.name, picture.numpy())
        if styles is not None and bins is not None:
            tally.hist_corr.append(histogram_correlation(image, styles, bins=bins))
        image = image.to(options.device)
        if judges.segmenter is not None:
            _count(tally, judges.segmenter.predict(image).cpu(), torch.stack([s.label for s in samples]), classes)
        tally.aesthetic.append(judges.aesthetic(image).double().cpu())
        tally.features.append(judges.fid(image).float().cpu())
        if own_photos and all(s.image is not None for s in samples):
            tally.photos.append(judges.fid(torch.stack([s.image for s in samples]).to(options.device)).float().cpu())
    return tally


def chosen_style(photos: Pictures, styles: Mapping[str, str] | None) -> Style:
    """Sample -> its style picture: the one that is named for it, or its own photograph.

    Args:
        photos: where named style pictures are looked up.
        styles: label name -> picture name, or None.

    Raises:
        Refusal: a named picture is not there; the returned function also for a sample without one.
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
    """The same pictures without random cuts and mirrors: a reference set is what its files are."""
    framing = getattr(pictures, "framing", None)
    if framing is None or not framing.random:
        return pictures
    return type(pictures)(pictures.source, framing=dataclasses.replace(framing, random=False), seed=pictures.seed)


def batches(count: int, size: int) -> list[range]:
    """Consecutive ranges of at most `size` that cover range(count)."""
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _count(tally: Tally, prediction: Tensor, label: Tensor, classes: ClassList) -> None:
    tally.counts += confusion(prediction, label, num_classes=len(classes), ignore=classes.ignore)
    right, counted = picture_hits(prediction, label, ignore=classes.ignore)
    tally.right.append(right)
    tally.counted.append(counted)
