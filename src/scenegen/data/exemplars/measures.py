"""Five measures of similarity: each describes pictures, and compares two descriptions exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.data.classes import ClassList
from scenegen.data.labels import count_ids

Net = Callable[[Tensor, list[str]], Mapping[str, Tensor]]


class Measure(Protocol):
    """Similarity of two pictures, by way of their descriptions.

    Attributes:
        photographs: whether `describe` looks at photographs, or at label maps alone.
        scalar: whether `similarity` is the scalar product of descriptions.
        stamp: what is compared, for the record.
    """

    photographs: ClassVar[bool]
    scalar: ClassVar[bool]
    stamp: str

    def describe(self, batch: Batch) -> Tensor:
        """(b, d) descriptions of a batch's pictures."""
        ...

    def similarity(self, x: Tensor, y: Tensor) -> Tensor:
        """(q, g) float64 in [0, 1] (cosines may be below) of every row of x (q, d) with every row of y (g, d)."""
        ...

    def within(self, x: Tensor) -> Tensor:
        """(b, m, m) float64 similarity of the rows of each of many short lists x (b, m, d)."""
        ...


class OfMaps(ABC):
    """Measures that compare two label maps of one size by the pixels that a class has in both of them.

    Args:
        classes: of the label maps; the unknown class counts as nothing.
    """

    photographs: ClassVar[bool] = False
    scalar: ClassVar[bool] = False
    stamp: str

    def __init__(self, *, classes: ClassList) -> None:
        self.classes = classes

    def describe(self, batch: Batch) -> Tensor:
        return _compact(batch.require("label"), self.classes)

    @abstractmethod
    def similarity(self, x: Tensor, y: Tensor) -> Tensor: ...

    @abstractmethod
    def within(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def of_pixels(self, both: np.ndarray, either: np.ndarray, *, kinds: np.ndarray, size: int) -> np.ndarray:
        """(m,) float64 similarity of a map to others, to the bit that of `similarity`; greater `both` make it no less.

        Args:
            both, either: (k, m) pixels of each of the map's classes that are in both maps, and in either.
            kinds: (m,) classes that either of the two maps shows.
            size: pixels of the map's classes.
        """


class MaskIou(OfMaps):
    """Intersection over union of the class masks, averaged over the classes that are in either map; exact."""

    stamp = "mean over classes of the label maps' intersection over union"

    def similarity(self, x: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros(len(x), len(y), dtype=torch.float64)
        sizes = [_sizes(maps, len(self.classes)) for maps in (x, y)]
        shown = [(size > 0).double() for size in sizes]
        for i, rows, columns, both in _overlaps(x, y, *sizes):
            either = sizes[0][rows, i, None] + sizes[1][columns, i] - both
            total[rows[:, None], columns] += both / either
        in_both = shown[0] @ shown[1].T
        in_either = shown[0].sum(1)[:, None] + shown[1].sum(1) - in_both
        return total / in_either.clamp(min=1)

    def within(self, x: Tensor) -> Tensor:
        total, kinds = (torch.zeros(*x.shape[:2], x.shape[1], dtype=torch.float64) for _ in range(2))
        for both in _shared(x, len(self.classes)):
            size = both.diagonal(dim1=1, dim2=2)
            either = size[:, :, None] + size[:, None] - both
            total += both / either.clamp(min=1)
            kinds += either > 0
        return total / kinds.clamp(min=1)

    def of_pixels(self, both: np.ndarray, either: np.ndarray, *, kinds: np.ndarray, size: int) -> np.ndarray:
        total = np.zeros(len(kinds))
        for shared, joined in zip(both, either, strict=True):  # one after another, as `similarity` adds them
            total += shared / joined
        return total / np.maximum(kinds, 1)


class PixelAcc(OfMaps):
    """Share of the query's labelled pixels where the other map has the same class; exact."""

    stamp = "share of pixels of equal class"

    def similarity(self, x: Tensor, y: Tensor) -> Tensor:
        right = torch.zeros(len(x), len(y), dtype=torch.float64)
        sizes = [_sizes(maps, len(self.classes)) for maps in (x, y)]
        for _, rows, columns, both in _overlaps(x, y, *sizes):
            right[rows[:, None], columns] += both
        return right / sizes[0].sum(1).clamp(min=1)[:, None]

    def within(self, x: Tensor) -> Tensor:
        right = torch.zeros(*x.shape[:2], x.shape[1], dtype=torch.float64)
        for both in _shared(x, len(self.classes)):
            right += both
        return right / right.diagonal(dim1=1, dim2=2).clamp(min=1)[:, :, None]

    def of_pixels(self, both: np.ndarray, either: np.ndarray, *, kinds: np.ndarray, size: int) -> np.ndarray:
        return both.sum(axis=0) / max(size, 1)


class LabelHist:
    """Bhattacharyya coefficient of the shares of the classes, wherever in the picture they lie.

    Args:
        classes: of the label maps; the unknown class counts as nothing.
    """

    photographs: ClassVar[bool] = False
    scalar: ClassVar[bool] = True

    def __init__(self, *, classes: ClassList) -> None:
        self.classes = classes
        self.stamp = "Bhattacharyya coefficient of the class shares"

    def describe(self, batch: Batch) -> Tensor:
        return self.of_counts(count_ids(ids) for ids in batch.require("label").numpy())

    def of_counts(self, counts: Iterable[Mapping[int, int]]) -> Tensor:
        """Descriptions from every map's pixels per class id; ids outside the classes are left out."""
        ids, ignore = range(len(self.classes)), self.classes.ignore
        shares = ([0.0 if i == ignore else float(pixels.get(i, 0)) for i in ids] for pixels in counts)
        rows = np.fromiter(shares, dtype=np.dtype((np.float64, len(self.classes))))  # no object a picture
        return F.normalize(torch.from_numpy(rows).sqrt(), dim=1)

    def similarity(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y.T

    def within(self, x: Tensor) -> Tensor:
        return x @ x.mT


class Vgg:
    """Cosine of the features behind the last pooling of a frozen network, as CoCosNet's lists were made.

    Args:
        net: called as net(image, [layer]) -> {layer: features}; `layers`, `stamp` and `resize_to` are an Extractor's.
        layer: which features; None is the deepest.

    Source: Zhang et al., CVPR 2020 (CoCosNet), and its authors' remarks on how the lists were made.
    """

    photographs: ClassVar[bool] = True
    scalar: ClassVar[bool] = True

    def __init__(self, *, net: Any, layer: str | None) -> None:
        self.net: Net = net
        self.layer = net.layers[-1] if layer is None else layer
        net.require([self.layer])
        shrunk = f", smaller side {net.resize_to} at most" if net.resize_to is not None else ""
        self.stamp = f"cosine of pooled {self.layer} of {net.stamp}{shrunk}"

    @torch.no_grad()
    def describe(self, batch: Batch) -> Tensor:
        features = self.net(batch.require("image"), [self.layer])[self.layer]
        return F.normalize(F.max_pool2d(features, 2, ceil_mode=True).flatten(1).float(), dim=1)

    def similarity(self, x: Tensor, y: Tensor) -> Tensor:
        return x.double() @ y.double().T

    def within(self, x: Tensor) -> Tensor:
        return x.double() @ x.double().mT


class Color:
    """Bhattacharyya coefficient of colour histograms in CIELAB.

    Args:
        bins: per axis, over lightness 0..100 and a, b -50..50 (what lies outside goes to the last bin).
    """

    photographs: ClassVar[bool] = True
    scalar: ClassVar[bool] = True

    def __init__(self, *, bins: int) -> None:
        if not 2 <= bins <= 32:
            raise Refusal(f"by.bins={bins}: 2 to 32 bins per axis")
        self.bins = bins
        self.stamp = f"Bhattacharyya coefficient of CIELAB histograms, {bins} bins per axis"

    def describe(self, batch: Batch) -> Tensor:
        b, cells = len(batch), self.bins**3
        lightness, red, blue = lab(batch.require("image")).unbind(1)
        axes = [lightness / 100, red / 100 + 0.5, blue / 100 + 0.5]
        level = [(axis * self.bins).floor().clamp(0, self.bins - 1).long() for axis in axes]
        cell = (level[0] * self.bins + level[1]) * self.bins + level[2]  # (b, h, w)
        place = cell.flatten(1) + torch.arange(b)[:, None] * cells
        counts = torch.bincount(place.flatten(), minlength=b * cells).view(b, cells)
        return F.normalize(counts.double().sqrt(), dim=1)

    def similarity(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y.T

    def within(self, x: Tensor) -> Tensor:
        return x @ x.mT


def lab(image: Tensor) -> Tensor:
    """CIELAB (b, 3, h, w) of sRGB pictures in [-1, 1], white point D65: lightness 0..100, a and b about -100..100.

    Source: IEC 61966-2-1 (sRGB) and CIE 15:2004, 8.2.1.
    """
    rgb = (image.double() + 1) / 2
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0) + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    matrix = torch.tensor(to_xyz, dtype=torch.float64)
    xyz = torch.einsum("ij,bjhw->bihw", matrix / matrix.sum(1, keepdim=True), linear)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-12) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def _overlaps(x: Tensor, y: Tensor, x_sizes: Tensor, y_sizes: Tensor) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """Per class: its id, the rows of x (r,) and of y (c,) that have it, and the pixels in both (r, c) float64.

    Most maps lack most classes, so a class costs one product of the masks of those that have it. Counts of pixels are
    sums of ones in float32, exact below 2**24.
    """
    for i in (x_sizes.any(0) & y_sizes.any(0)).nonzero()[:, 0].tolist():
        rows, columns = (sizes[:, i].nonzero()[:, 0] for sizes in (x_sizes, y_sizes))
        a, b = (maps[kept].eq(i).float() for maps, kept in ((x, rows), (y, columns)))
        yield i, rows, columns, (a @ b.T).double()


def _shared(x: Tensor, count: int) -> Iterator[Tensor]:
    """Per class that is there: pixels that it has in both of two maps of a list (b, m, m) float64, of x (b, m, p)."""
    for i in x.unique().tolist():
        if i < count:
            mask = x.eq(i).float()
            yield (mask @ mask.mT).double()


def _sizes(maps: Tensor, count: int) -> Tensor:
    """(n, count) float64 pixels of each class in each map."""
    place = maps.long() + torch.arange(len(maps))[:, None] * (count + 1)
    return torch.bincount(place.flatten(), minlength=len(maps) * (count + 1)).view(-1, count + 1)[:, :count].double()


def _compact(label: Tensor, classes: ClassList) -> Tensor:
    """(b, h w) class ids in the smallest type; the unknown class becomes len(classes), an id of no class."""
    nothing = len(classes)
    label = label if classes.ignore is None else label.masked_fill(label == classes.ignore, nothing)
    return label.flatten(1).to(torch.uint8 if nothing <= 255 else torch.int16)
