"""Cross-entropy of a network's own class scores with the label map: the objective of the task segmentation.

Family: Segmentation
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Classes, Evidence, Term
from scenegen.networks.frozen.extractors import Extractor

SMALLEST_SHARE = 1e-4
"""Floor of a class's share of a batch's pixels, so that a class of three pixels does not rule the loss."""


def class_counts(label: Tensor, *, num_classes: int) -> Tensor:
    """Pixels of each class, (num_classes,) int64; torch.bincount would have the CPU wait for a GPU's largest id.

    Args:
        label: int64 class ids, of any shape.
        num_classes: of the labels.
    """
    ids = label.flatten()
    return ids.new_zeros(num_classes).index_add_(0, ids, torch.ones_like(ids))


def class_balance(label: Tensor, *, num_classes: int, power: float, ignore: int | None = None) -> Tensor:
    """Weights share^-power of the classes of a batch; the average pixel weighs 1.

    Args:
        label: (b, h, w) int64 class ids.
        num_classes: of the labels.
        power: 0 counts pixels alike, 1 counts classes alike.
        ignore: the id whose pixels do not count, or None.

    Returns:
        (num_classes,) float32, 0 for classes that are not there.
    """
    counts = class_counts(label, num_classes=num_classes).double()
    if ignore is not None:
        counts[ignore] = 0
    share = counts / counts.sum().clamp(min=1)
    weight = share.clamp(min=SMALLEST_SHARE) ** -power * (counts > 0)
    return (weight / (weight * share).sum().clamp(min=1e-8)).float()


class CrossEntropy(Term):
    """Cross-entropy of the model's class scores with the label map, mean over the pixels that count.

    Scores of a lower resolution than the label map are compared with the ids in the middle of their cells.

    Args:
        balance: the power of `class_balance`.

    Formula: sum(w_m CE(k, m)) / sum(w_m), m the label, w_c = share_c^-balance
    Range: class scores k of any size; >= 0
    Source: the usual objective of segmentation (Long et al., CVPR 2015, section 4); weights by a power of the
        share between 0 (pixels alike) and Eigen and Fergus, ICCV 2015.
    """

    needs: frozenset[str] = frozenset({"logits", "label"})

    def __init__(self, *, balance: float) -> None:
        super().__init__()
        if not 0 <= balance <= 1:
            raise Refusal(f"loss.cross_entropy.balance={balance} must lie in [0, 1]; 0 counts pixels alike")
        self.balance = balance
        self.ignore: int | None = None

    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        """Take the data's id of unknown, whose pixels do not count."""
        self.ignore = None if classes is None else classes.ignore

    def forward(self, evidence: Evidence) -> Tensor:
        logits, label = evidence.synthesis.logits, evidence.label()
        if logits is None:
            raise Refusal("loss.cross_entropy needs class scores, which the model did not give; use model=scenenet")
        logits = full_precision(logits)
        if logits.shape[-2:] != label.shape[-2:]:  # coarser scores answer for the middle of their cells
            # ids have 16 bits at most, which float32 holds exactly
            label = F.interpolate(label[:, None].float(), size=logits.shape[-2:], mode="nearest-exact")[:, 0].long()
        weight = class_balance(label, num_classes=logits.shape[1], power=self.balance, ignore=self.ignore)
        weight = weight.to(logits.dtype)
        summed = F.cross_entropy(logits, label, weight=weight, reduction="sum")
        return summed / weight[label].sum().clamp(min=1e-8)  # 0 where no pixel of the batch counts
