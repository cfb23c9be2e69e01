"""Measures of made pictures: the options of `measure=`, and the parts of the contests' totals.

A measure is scoring's twin of a loss term. A PictureMeasure looks at every made picture beside its sample, a
SetMeasure at the features of all made pictures beside those of the reference. To add one, see docs/add_a_measure.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scenegen.base.records import Kind
from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList
from scenegen.metrics import fidelity
from scenegen.metrics.accuracy import class_pixels, iou_of, picture_hits
from scenegen.metrics.colour import histogram_correlation
from scenegen.metrics.neighbours import Coverage, coverage_of
from scenegen.metrics.rows import Rows
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.lpips_trunks import NETS, lpips_heads
from scenegen.scoring.contest import Contest
from scenegen.scoring.distances import Found, distances, kid
from scenegen.scoring.inputs import Options, Samples
from scenegen.scoring.judges.protocols import BOTH, Describing, Marking, Segmenting, fid_title, is_random
from scenegen.scoring.record import Better
from scenegen.scoring.reference import Reference


class Measure:
    """One number of a set of made pictures.

    Attributes:
        name: as it may be shown.
        stamp: identity of the measure, weights included; part of the protocol where the measure is chosen.
        needs: fields that a sample must have beside the made picture: of "image", "label", "style", "results".
        results: made pictures of each sample that it reads.
        judges: the frozen networks that look at the made pictures, by the names of `Samples`' views: "segmenter"
            (prediction), "aesthetic" (marks); every other one describes pictures, such as "FID".
        stand_in: true where the number replaces one that cannot be had.
        ranks: kinds of pictures that the measure itself tells good from bad; its judges have their own.
        better: direction in which the number improves, by which reports mark the best; None marks none.
        hounsfield: it measures slices (b, 1, h, w) float64 in Hounsfield units, not 8-bit pictures.
    """

    name: str
    stamp: str
    needs: frozenset[str] = frozenset()
    results: int = 1
    judges: Mapping[str, Any] = MappingProxyType({})
    stand_in: bool = False
    ranks: frozenset[Kind] = BOTH
    better: Better | None = None
    hounsfield: bool = False

    def to(self, device: str) -> None:
        """Move the networks that the measure reads."""
        for judge in self.judges.values():
            if isinstance(judge, nn.Module):
                judge.to(device)


class PictureMeasure(Measure):
    """A measure of single pictures."""

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        """Values of a batch; called by several threads at once.

        Args:
            made: (b, 3, h, w) uint8.
            sample: the pictures' samples, and the judges' readings of the pictures.

        Returns:
            (b,) real numbers, or (b, ...) counts that `value` puts together.
        """
        raise NotImplementedError(type(self).__name__)  # abstract; a stub need not have it

    def value(self, rows: np.ndarray) -> float:
        """The number of a set from its pictures' rows (n, ...); also called on every resample for the interval."""
        return float(rows.mean())


@dataclass(frozen=True)
class Sets:
    """Two sets of pictures as their features.

    Attributes:
        made: (n, d) of the made pictures.
        real: the reference.
        photos: (n, d) of the samples' own photographs; None where they are the reference.
        options: floor, infinity, and the seed of all subsets.
    """

    made: Rows
    real: Reference
    photos: Rows | None
    options: Options
    _coverage: dict[int, Coverage] = field(default_factory=dict, init=False, repr=False)

    def coverage(self, k: int) -> Coverage:
        """Precision, recall, density and coverage at the k-th neighbour, computed once for the four measures."""
        if k not in self._coverage:
            self._coverage[k] = coverage_of(self.made, self.real.features, k=k)
        return self._coverage[k]


class SetMeasure(Measure):
    """A measure of a set as a whole.

    Attributes:
        describer: of its judges the one that describes the pictures.
        most: photographs of the reference that are described at most; None is all.
    """

    describer: str = "FID"
    most: int | None = None

    def of_set(self, sets: Sets) -> Found:
        """The number of a set, with the numbers beside it."""
        raise NotImplementedError(type(self).__name__)  # abstract; a stub need not have it


class MaskAcc(PictureMeasure):
    """Share of the pixels whose class a segmenter reads as in the label map, pooled over all pictures.

    Args:
        segmenter: reads label maps off pictures.
        classes: of the label maps.
    """

    name = "mask_acc"
    needs = frozenset({"label"})
    better = "higher"

    def __init__(self, *, segmenter: Segmenting, classes: ClassList) -> None:
        self.judges = {"segmenter": segmenter}
        self.stamp, self.ignore = segmenter.stamp, classes.ignore

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        """(b, 2) int64: pixels read right, and pixels that count."""
        return torch.stack(picture_hits(sample.prediction, sample.label, ignore=self.ignore), 1)

    def value(self, rows: np.ndarray) -> float:
        return float(rows[:, 0].sum() / max(rows[:, 1].sum(), 1))


class MeanIou(PictureMeasure):
    """Mean intersection over union of the classes that occur, pooled over all pictures.

    Args:
        segmenter: reads label maps off pictures.
        classes: of the label maps.
    """

    name = "mean_iou"
    needs = frozenset({"label"})
    better = "higher"

    def __init__(self, *, segmenter: Segmenting, classes: ClassList) -> None:
        self.judges = {"segmenter": segmenter}
        self.stamp, self.classes = segmenter.stamp, classes

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        """(b, 3, classes) int64: pixels of each class that are read right, that are true, that are read."""
        return class_pixels(sample.prediction, sample.label, num_classes=len(self.classes), ignore=self.classes.ignore)

    def value(self, rows: np.ndarray) -> float:
        return float(iou_of(torch.from_numpy(rows.sum(0)), ignore=self.classes.ignore).nanmean())


class Aesthetic(PictureMeasure):
    """Mean mark of an aesthetic model, 0..10.

    Args:
        aesthetic: marks pictures.
    """

    better = "higher"

    def __init__(self, *, aesthetic: Marking) -> None:
        self.judges = {"aesthetic": aesthetic}
        self.name, self.stamp = f"aesthetic({aesthetic.name})", aesthetic.stamp

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return sample.marks.double()


class HistCorr(PictureMeasure):
    """Mean correlation of the colour histograms with those of the style pictures, -1..1.

    Args:
        bins: bins per channel.
    """

    name = "hist_corr"
    needs = frozenset({"style"})
    better = "higher"

    def __init__(self, *, bins: int) -> None:
        self.bins = bins
        self.stamp = f"joint RGB histogram, {bins} bins a channel"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return histogram_correlation(made, sample.style, bins=self.bins)


class Fid(SetMeasure):
    """Frechet distance to the reference, with KID, the distance at infinite N and the real-vs-real floor beside it.

    Args:
        fid: describes pictures.
    """

    better = "lower"

    def __init__(self, *, fid: Describing) -> None:
        self.fid, self.judges = fid, {"FID": fid}
        self.name, self.stamp = fid_title(fid), fid.stamp

    def of_set(self, sets: Sets) -> Found:
        return distances(sets.made, sets.real, photos=sets.photos, fid=self.fid, options=sets.options)


class Kid(SetMeasure):
    """Kernel distance to the reference, mean over random subsets.

    Args:
        fid: describes pictures.
    """

    better = "lower"

    def __init__(self, *, fid: Describing) -> None:
        self.fid, self.judges = fid, {"FID": fid}
        self.name, self.stamp = fid_title(fid, "KID"), fid.stamp

    def of_set(self, sets: Sets) -> Found:
        return Found(kid(sets.made, sets.real, self.fid, sets.options.seed).value)


class L1(PictureMeasure):
    """Mean of `fidelity.l1` to the sample's own photograph; lower is better."""

    name, stamp = "l1", "mean absolute difference, 0..1"
    needs = frozenset({"image"})
    better = "lower"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return fidelity.l1(made, sample.image)


class Rmse(PictureMeasure):
    """Mean of `fidelity.rmse` to the sample's own photograph; lower is better."""

    name, stamp = "rmse", "root mean square difference, 0..1"
    needs = frozenset({"image"})
    better = "lower"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return fidelity.rmse(made, sample.image)


class Psnr(PictureMeasure):
    """Mean over the pictures of `fidelity.psnr` to the sample's own photograph, in decibels; higher is better.

    A picture that equals its photograph counts with `fidelity.psnr_ceiling`, so that the mean stays finite.
    """

    name, stamp = "psnr", "255 grey levels, mean over pictures, dB"
    needs = frozenset({"image"})
    better = "higher"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return fidelity.psnr(made, sample.image).clamp(max=fidelity.psnr_ceiling(made.shape[1:]))


class Tv(PictureMeasure):
    """Mean of `fidelity.total_variation` of the made pictures; 0 for flat ones, so that neither direction is better."""

    name, stamp = "tv", "root of the squared differences to the next pixels, wrapping around, 255 grey levels"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return fidelity.total_variation(made)


class Ssim(PictureMeasure):
    """Mean of `fidelity.ssim` to the sample's own photograph; 1 for equal pictures.

    Args:
        window: taps of the Gaussian a side.
        sigma: its width in pixels.
    """

    name = "ssim"
    needs = frozenset({"image"})
    better = "higher"

    def __init__(self, *, window: int, sigma: float) -> None:
        if window < 3 or window % 2 == 0 or not sigma > 0:
            raise Refusal(
                f"measure.ssim.window={window} and sigma={sigma} make no Gaussian; give an odd window of 3 or more "
                "and a sigma above 0, as 11 and 1.5"
            )
        self.window, self.sigma = window, sigma
        self.stamp = f"{window}x{window} Gaussian of sigma {sigma:g}, RGB, no downscaling"

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        return fidelity.ssim(made, sample.image, window=self.window, sigma=self.sigma)


class Lpips(PictureMeasure):
    """Mean of `fidelity.lpips` to the sample's own photograph; 0 for equal pictures.

    Args:
        extractor: the trunk; never one that a loss reads.
        heads: "alex", "vgg" or "squeeze" (learned for that trunk and its layers), or "uniform": every channel weighs
            1 / (number of layers). Values with uniform heads compare with no published number.
        layers: of uniform heads, shallow to deep; None with learned heads, which have their own.
    """

    needs = frozenset({"image"})
    better = "lower"

    def __init__(self, *, extractor: Extractor, heads: str, layers: Sequence[str] | None) -> None:
        if heads != "uniform" and heads not in NETS:
            raise Refusal(f"measure.lpips.heads={heads} is not one of {', '.join((*NETS, 'uniform'))}")
        own = () if heads == "uniform" else NETS[heads].layers
        if not own and not layers:
            raise Refusal("measure.lpips.heads=uniform needs measure.lpips.layers, e.g. [relu1_2, relu2_2]")
        if own and layers is not None and tuple(layers) != own:
            raise Refusal(f"the {heads} heads of measure.lpips read {', '.join(own)}; give measure.lpips.layers=null")
        self.extractor, self.layers = extractor, own or tuple(layers or ())
        extractor.require(self.layers)
        self.heads = list(lpips_heads(heads)) if own else None
        self.stamp = f"{extractor.stamp}, {heads} heads"
        self.name = f"lpips({heads}, RANDOM WEIGHTS)" if is_random(self) else f"lpips({heads})"

    def to(self, device: str) -> None:
        self.extractor.to(device)

    def per_picture(self, made: Tensor, sample: Samples) -> Tensor:
        x, y = (self.maps(picture) for picture in (made, sample.image))
        return fidelity.lpips(x, y, self.heads_of(x))

    def heads_of(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Weights of the channels of each layer, (c,)."""
        return self.heads or [f.new_full((f.shape[1],), 1 / len(maps)) for f in maps]

    def maps(self, picture: Tensor) -> list[Tensor]:
        """Features of pictures (b, 3, h, w) uint8, per layer (b, c, h', w')."""
        found = self.extractor(picture.float() / 127.5 - 1, self.layers)
        return [found[layer] for layer in self.layers]


def of_contest(
    total: Contest,
    *,
    classes: ClassList,
    segmenter: Segmenting | None = None,
    aesthetic: Marking | None = None,
    fid: Describing | None = None,
) -> dict[str, Measure]:
    """The measures behind the roles of a contest's total, in the total's order; a role without its judge is left out.

    Args:
        total: the contest.
        classes: of the label maps.
        segmenter, aesthetic, fid: the judges.
    """
    found: dict[str, Measure] = {}
    for role in total.parts:
        if role == "mask_acc" and segmenter is not None:
            found[role] = MaskAcc(segmenter=segmenter, classes=classes)
        elif role == "aesthetic" and aesthetic is not None:
            found[role] = Aesthetic(aesthetic=aesthetic)
        elif role == "hist_corr" and total.bins is not None:
            found[role] = HistCorr(bins=total.bins)
        elif role == "fid" and fid is not None:
            found[role] = Fid(fid=fid)
    return found
