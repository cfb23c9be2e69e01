"""OASIS' adversarial loss: cross-entropy of a discriminator that names every pixel's class, or calls it fake.

Family: Adversarial objectives
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.devices import sent
from scenegen.base.records import Judgement, Refusal
from scenegen.losses.cross_entropy import class_counts
from scenegen.losses.features import full_precision
from scenegen.losses.objective import AdversarialTerm, Classes, Evidence, Judge, Judged, Penalty
from scenegen.losses.penalties import checked_every
from scenegen.networks.frozen.extractors import Extractor

LEFT_OUT = -100
"""Wanted id of the pixels that do not count."""


def class_weights(label: Tensor, *, num_classes: int, unknown: int | None = None) -> Tensor:
    """Weights that make every class of a batch count alike, whatever its area.

    Args:
        label: (b, h, w) int64 class ids; -1 does not count.
        num_classes: of the labels.
        unknown: the id whose pixels do not count either, or None.

    Returns:
        (num_classes,) float32: b h w / (K n_c) for each of the K classes that are there, n_c pixels of it; else 0.

    Source: Sushko et al., ICLR 2021, eq. 2.
    """
    counts = class_counts(label + 1, num_classes=num_classes + 1)[1:].float()
    if unknown is not None:
        counts[unknown] = 0
    present = counts > 0
    weights = label.numel() / (present.sum().clamp(min=1) * counts.clamp(min=1))
    return weights * present


def named_right(judgement: Judgement, *, balanced: bool = True, unknown: int | None = None) -> Tensor:
    """Cross-entropy of the logits with the pixels' own classes, for real pictures and for the generator.

    Args:
        judgement: of a segmenting discriminator: logits (b, N + 1, h, w), 0 fake and c + 1 class c, and the label.
        balanced: weigh the pixels by `class_weights`; else all count alike, unknown ones too.
        unknown: see `class_weights`.

    Returns:
        A scalar >= 0: the mean over all pixels, those that do not count as 0 among them.

    Source: Sushko et al., ICLR 2021, eqs. 1-2.
    """
    logits, label = segmented(judgement)
    weights = None
    if balanced:
        of_classes = class_weights(label, num_classes=logits.shape[1] - 1, unknown=unknown)
        weights = F.pad(of_classes, (1, 0)).to(logits.dtype)
    wanted = counting(label + 1, label)
    return F.cross_entropy(logits, wanted, weight=weights, ignore_index=LEFT_OUT, reduction="sum") / label.numel()


def named_fake(judgement: Judgement) -> Tensor:
    """Cross-entropy of the logits with "fake" at every pixel, unweighted. Source: Sushko et al., ICLR 2021, eq. 1."""
    logits, label = segmented(judgement)
    return F.cross_entropy(logits, counting(torch.zeros_like(label), label), ignore_index=LEFT_OUT)


def counting(wanted: Tensor, label: Tensor) -> Tensor:
    """Wanted ids, LEFT_OUT where the label map has -1: pixels that a trick blanked name no class and are no fake."""
    return wanted.masked_fill(label < 0, LEFT_OUT)


def mix_mask(label: Tensor, coins: Tensor, *, chained: bool = False) -> Tensor:
    """The mask of LabelMix: every class is taken whole from one of two pictures.

    Args:
        label: (b, h, w) int64 class ids; pixels of -1, which do not count, take the generated picture.
        coins: (num_classes,) bool, true for classes taken from the real picture; the same for the whole batch.
        chained: the release's replacement of ids one after the other in one map: class 0 with coin 1 becomes
            class 1 and takes its coin, where class 1 is in the batch.

    Returns:
        (b, 1, h, w) bool.

    Source: Sushko et al., ICLR 2021, section 3.2.
    """
    if chained and len(coins) > 1:
        follows = (label == 1).any() & coins[0]
        coins = torch.cat([torch.where(follows, coins[1:2], coins[:1]), coins[1:]])
    return F.pad(coins, (1, 0))[label + 1].unsqueeze(1)


def labelmix(mixed: Tensor, fake: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    """Mean square difference between the logits of a mixed picture and the mixed logits.

    Args:
        mixed, fake, real: (b, N + 1, h, w) logits; gradients flow into all three.
        mask: (b, 1, h, w) bool, true where the mixed picture is the real one.

    Returns:
        A scalar >= 0.

    Source: Sushko et al., ICLR 2021, eq. 3.
    """
    return F.mse_loss(full_precision(mixed), torch.where(mask, full_precision(real), full_precision(fake)))


class SegmentationGan(AdversarialTerm):
    """D names real pixels' classes and calls generated ones fake; G wants its pixels named as the label map says.

    Args:
        real_label: 1; smoothing is not defined for classes with weights.
        unknown: id of the class that does not count in the balanced loss; null takes the data's class for unknown.

    Formula: G: mean(w_c CE(k, c + 1)); D: mean(w_c CE(r, c + 1)) + mean(CE(k, 0))
    Range: logits k (generated) and r (real) of num_classes + 1 classes; >= 0
    Source: Sushko et al., ICLR 2021, eqs. 1-2.
    """

    needs: frozenset[str] = frozenset({"segmentation"})
    balanced: ClassVar[bool] = True

    def __init__(self, *, real_label: float, unknown: int | None = None) -> None:
        super().__init__()
        if real_label != 1:
            raise Refusal(f"real_label={real_label} smooths scores, but loss=oasis has classes; use real_label=1")
        if unknown is not None and unknown < 0:
            raise Refusal(f"loss.gan.unknown={unknown} is not a class id; give one, or null for the data's")
        self.unknown = unknown

    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        """Take the data's id of unknown where none was given; refuse one that the data does not have."""
        if classes is None:
            return
        self.unknown = classes.ignore if self.unknown is None else self.unknown
        if self.unknown is not None and self.unknown >= len(classes.names):
            raise Refusal(
                f"loss.gan.unknown={self.unknown}, but the data has {len(classes.names)} classes; give an id below, "
                "or null for the data's"
            )

    def forward(self, evidence: Evidence) -> Tensor:
        return named_right(evidence.judgement(), balanced=self.balanced, unknown=self.unknown)

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        return {
            "D_fake": named_fake(fake),
            "D_real": named_right(real, balanced=self.balanced, unknown=self.unknown),
        }


class UnbalancedSegmentationGan(SegmentationGan):
    """`SegmentationGan` in which every pixel counts alike, unknown ones too; the paper's ablation.

    Formula: G: mean(CE(k, c + 1)); D: mean(CE(r, c + 1)) + mean(CE(k, 0))
    Range: logits k (generated) and r (real) of num_classes + 1 classes; >= 0
    Source: Sushko et al., ICLR 2021, eq. 1.
    """

    balanced: ClassVar[bool] = False


class LabelMix(Penalty):
    """D should judge a picture mixed along class borders as it judged the parts: one coin per class and step.

    Args:
        chained: see `mix_mask`.
        every: steps between two penalties, each then counted so many times.

    Formula: mean((D(M y + (1 - M) x) - (M D(y) + (1 - M) D(x)))^2), M one coin per class
    Range: logits of num_classes + 1 classes; >= 0
    Source: Sushko et al., ICLR 2021, eq. 3 (weight 10; 5 for Cityscapes).
    """

    needs: frozenset[str] = frozenset({"segmentation"})

    def __init__(self, *, chained: bool, every: int) -> None:
        super().__init__()
        self.chained, self.every = chained, checked_every(every)

    def penalty(self, judge: Judge, fake: Tensor, real: Tensor, *, seed: int, judged: Judged) -> Tensor:
        """The unweighted penalty on one batch, (b, 3, h, w) generated and real."""
        (of_fake, label), (of_real, _) = segmented(judged[0]), segmented(judged[1])
        mask = mix_mask(label, sent(thrown(of_real.shape[1] - 1, seed), label.device), chained=self.chained)
        of_mixed, _ = segmented(judge(torch.where(mask, real, fake)))
        return labelmix(of_mixed, of_fake, of_real, mask)


def thrown(num_classes: int, seed: int) -> Tensor:
    """(num_classes,) bool coins that depend on the seed alone, drawn on the CPU."""
    return torch.rand(num_classes, generator=torch.Generator().manual_seed(seed)) < 0.5


def segmented(judgement: Judgement) -> tuple[Tensor, Tensor]:
    """The logits (b, N + 1, h, w), in float32 or wider, and the label (b, h, w) of a segmenting discriminator.

    Raises:
        Refusal: for a judgement of scores.
    """
    if judgement.label is None:
        raise Refusal("this loss reads pixel classes, which this discriminator does not give; use discriminator=oasis")
    return full_precision(judgement.logits[0]), judgement.label
