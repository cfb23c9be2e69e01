"""ADE20K's published SegFormers as judges, bridged to the label maps' classes by name."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scenegen.networks.frozen.weights as pinned
from scenegen.base.refusal import Refusal
from scenegen.data.bridges import ADE20K, bridge
from scenegen.data.classes import ClassList
from scenegen.networks.frozen.extractors import IMAGENET_MEAN, IMAGENET_STD, Normalise
from scenegen.scoring.judges.protocols import BOTH
from scenegen.scoring.judges.smp import as_large_as

SEGFORMER_DEPTHS = {
    "b0": (2, 2, 2, 2),
    "b1": (2, 2, 2, 2),
    "b2": (3, 4, 6, 3),
    "b3": (3, 4, 18, 3),
    "b4": (3, 8, 27, 3),
    "b5": (3, 6, 40, 3),
}
"""Layers per stage, for random weights. Source: Xie et al., SegFormer (2021), table 6."""


class SegformerSegmenter(nn.Module):
    """A published SegFormer of ADE20K, its 150 classes bridged to the label maps' by name.

    All 28 named classes of the landscape contest are ADE20K classes, everything else becomes "other".

    Args:
        classes: the class list of the label maps: the landscape's, ADE20K's, or another with a class "other".
        variant: "b0" (small) to "b5" (the best, and slow).
        short_side: pictures are read with their shorter side at this size; None reads them as they are.
        weights: "published" or "random" (seeded, stamped as such).
        folder: where a folder with the published files lies; None is the library's cache.

    Source: Xie et al., SegFormer (2021); weights nvidia/segformer-<variant>-finetuned-ade-*.
    """

    name = "segformer"
    ranks = BOTH
    stand_in = True  # nobody knows which SegFormer the contest used

    def __init__(
        self,
        *,
        classes: ClassList,
        variant: str,
        short_side: int | None,
        weights: str,
        folder: str | None,
    ) -> None:
        super().__init__()
        if variant not in SEGFORMER_DEPTHS:
            raise Refusal(f"segmenter.variant={variant} is not one of {', '.join(SEGFORMER_DEPTHS)}")
        if weights not in ("published", "random"):
            raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
        self.table = nn.Buffer(ade20k_table(classes))
        self.short_side = short_side
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        transformers = pinned.extra("transformers", choice="segmenter=segformer")  # nosec B610  # no database
        model = transformers.SegformerForSemanticSegmentation
        if weights == "random":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self.net = model(_config(transformers, variant))
            self.stamp = f"segformer-{variant} {pinned.RANDOM_STAMP}"
        else:
            repo = f"nvidia/segformer-{variant}-finetuned-ade-{'640-640' if variant == 'b5' else '512-512'}"
            without = "segmenter=scenenet, or segmenter=smp with a net of your own"
            self.net = pinned.from_hub(model.from_pretrained, repo, folder=folder, without=without)
            if (found := self.net.config.num_labels) != len(self.table):
                raise Refusal(f"the SegFormer in {folder} reads {found} classes, not ADE20K's {len(self.table)}")
            self.stamp = f"segformer-{variant}-ade20k:{pinned.state_digest(self.net)}"
        self.requires_grad_(False).eval()
        read = "as they are" if short_side is None else f"shorter side {short_side}"
        self.stamp += f", {read}"

    def predict(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 -> (b, h, w) int64 ids."""
        x = image.float().div(127.5).sub(1)
        if self.short_side is not None and min(x.shape[-2:]) != self.short_side:
            factor = self.short_side / min(x.shape[-2:])
            size = [round(side * factor) for side in x.shape[-2:]]
            x = F.interpolate(x, size=size, mode="bilinear", antialias=True)
        logits = self.net(pixel_values=self.normalise(x)).logits
        return self.table[as_large_as(logits, image).argmax(1)]


def ade20k_table(classes: ClassList) -> Tensor:
    """(150,) int64 class ids for the ids of a segmenter of ADE20K, which count from 0 without the unknown.

    Raises:
        Refusal: the classes are not ADE20K's, and have no "other" for what has no name among them.
    """
    if classes.names == ADE20K.names:
        return torch.arange(1, len(ADE20K))
    if "other" not in classes.names:
        raise Refusal(
            f"segmenter=segformer reads ADE20K's 150 classes, and the label maps' {len(classes)} classes "
            f"({', '.join(classes.names[:6])}, ...) have no `other` for the rest; choose segmenter=scenenet or smp"
        )
    return torch.from_numpy(bridge(ADE20K, classes)[1:]).long()


def _config(transformers, variant: str):
    small = variant in ("b0", "b1")
    widths = (32, 64, 160, 256) if variant == "b0" else (64, 128, 320, 512)
    return transformers.SegformerConfig(
        depths=list(SEGFORMER_DEPTHS[variant]),
        hidden_sizes=list(widths),
        decoder_hidden_size=256 if small else 768,
        num_labels=len(ADE20K) - 1,
    )
