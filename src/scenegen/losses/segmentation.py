"""Segmentation consistency: a frozen segmenter should read the label map back off the generated picture.

Family: Features of a network
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Classes, Evidence, Term
from scenegen.networks.frozen.extractors import Extractor


def segmentation(logits: Tensor, label: Tensor, *, ignore: int | None = None) -> Tensor:
    """Cross-entropy of a segmenter's classes with the label map, mean over pixels that count.

    Args:
        logits: (b, classes, h', w'); another size than the label map's is brought to it, bilinear.
        label: (b, h, w) int64 class ids.
        ignore: the id that does not count, or None.

    Returns:
        A scalar >= 0, the segmenter's own doubt at best; 0 where no pixel counts.

    Raises:
        Refusal: on a CPU, for ids that the segmenter does not have.
    """
    logits = full_precision(logits)
    if logits.shape[-2:] != label.shape[-2:]:
        logits = F.interpolate(logits, size=label.shape[-2:], mode="bilinear", align_corners=False)
    counts = label.new_ones(label.shape, dtype=logits.dtype) if ignore is None else (label != ignore).to(logits.dtype)
    known = label if ignore is None else label.masked_fill(label == ignore, 0)
    if label.device.type == "cpu" and known.numel() and int(known.max()) >= logits.shape[1]:
        raise Refusal(
            f"loss.seg reads {logits.shape[1]} classes, but the label maps hold id {int(known.max())}; use a "
            "segmenter of the data's classes, or loss.seg.ignore for the id of unknown"
        )
    return (F.cross_entropy(logits, known, reduction="none") * counts).sum() / counts.sum().clamp(min=1)


class Segmentation(Term):
    """`segmentation` by an extractor that has a layer "logits"; never by the net that scores.

    Args:
        extractor: name of the extractor.
        ignore: the label id that does not count, or null.

    Formula: cross-entropy(S(x), m), S a frozen segmenter
    Range: pictures in [-1, 1]; >= 0, the segmenter's own doubt at best
    Source: the log's "+seg", of which it tells the weight alone.
    """

    def __init__(self, *, extractor: str, ignore: int | None) -> None:
        super().__init__()
        if ignore is not None and ignore < 0:
            raise Refusal(f"loss.seg.ignore={ignore} is not a class id; give one, or null")
        self.reads = {extractor: ("logits",)}
        self.extractor, self.ignore = extractor, ignore

    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        """Refuse a segmenter of other classes than the data's, and an unknown class that would count."""
        if classes is None:
            return
        if self.ignore != classes.ignore:
            raise Refusal(
                f"loss.seg.ignore={_spell(self.ignore)}, but the data's id of unknown is {_spell(classes.ignore)}; "
                f"use loss.seg.ignore={_spell(classes.ignore)}"
            )
        net = extractors[self.extractor]
        if net.classes is not None and not classes.read_by(net.classes):
            read = net.classes
            raise Refusal(
                f"{net.stamp} reads {len(read)} classes ({', '.join(read[:4])}, ...), but the data has "
                f"{len(classes.names)} ({', '.join(classes.names[:4])}, ...); train one for them by python -m "
                "scenegen.train model=scenenet model.role=trunk and name it by extractor.nets.segmenter.name"
            )

    def forward(self, evidence: Evidence) -> Tensor:
        logits = evidence.features.get("fake", self.extractor)["logits"]
        return segmentation(logits, evidence.label(), ignore=self.ignore)


def _spell(ignore: int | None) -> str:
    return "null" if ignore is None else str(ignore)
