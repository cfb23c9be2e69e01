"""Terms of the exemplar families: constraints on the correspondence, and on self-references.

Family: Correspondence with an exemplar
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import checked_layers, full_precision, refuse_unlike
from scenegen.losses.objective import Evidence, Term

SHARE_EPS = 1e-5
LOG_EPS = 1e-10


def shares(self_reference: Tensor) -> Tensor:
    """Every self-reference's share of the batch, 1 over their number; 0 for the others.

    Args:
        self_reference: (b,) bool.

    Returns:
        (b, 1, 1, 1) float32. Terms that take the mean over the batch with them shrink with the batch's size.

    Source: Zhang et al., CVPR 2020 (CoCosNet), in its released code.
    """
    own = self_reference.float()
    return (own / (own.sum() + SHARE_EPS)).view(-1, 1, 1, 1)


def warped_label_nll(
    warped: Tensor, label: Tensor, exemplar_label: Tensor, *, ignore: int | None = 0, eps: float = LOG_EPS
) -> Tensor:
    """Cross-entropy of warped exemplar labels, over pixels whose class occurs in the exemplar.

    Args:
        warped: (b, classes, h, w), rows of probabilities.
        label, exemplar_label: (b, h', w') class ids of any size, read at the nearest pixel.
        ignore: a class that stands for "unknown", left out; None for none.
        eps: inside the logarithm.

    Returns:
        A scalar >= 0; 0 where no class of the labels occurs in the exemplars.

    Source: Zhang et al., CVPR 2020 (CoCosNet), in its released code (`warp_mask`).
    """
    size = warped.shape[-2:]
    label, exemplar_label = small(label, size), small(exemplar_label, size)
    present = warped.new_zeros(warped.shape[:2]).scatter_(1, exemplar_label.flatten(1), 1) > 0  # (b, classes)
    weight = present.gather(1, label.flatten(1)).view_as(label).to(warped.dtype)
    if ignore is not None:
        weight = weight * (label != ignore)
    chosen = warped.gather(1, label[:, None])[:, 0]
    return -(weight * (chosen + eps).log()).sum() / (weight.sum() + SHARE_EPS)


def small(label: Tensor, size: Sequence[int]) -> Tensor:
    """(b, h', w') class ids read at the nearest pixel of (b, h, w)."""
    return F.interpolate(label[:, None].float(), size=tuple(size), mode="nearest")[:, 0].long()


class Aligned(Term):
    """Labels and their photograph have the same features, before anything is matched.

    Formula: sum over levels of mean(abs(F_label - F_photograph))
    Range: features of unit length; 0 to 2 / sqrt(channels) per level, 0 for equal features
    Source: Zhang et al., CVPR 2020 (CoCosNet), domain alignment; the photograph's side learns too, as released.
    """

    needs: frozenset[str] = frozenset({"warp.aligned"})

    def forward(self, evidence: Evidence) -> Tensor:
        levels = evidence.warp().aligned
        if levels is None:
            raise Refusal("loss.aligned compares aligned features, but the step has none; use a model that has them, "
                          "such as model=unite, or loss.aligned.weight=0")  # fmt: skip
        return torch.stack([F.l1_loss(full_precision(a), full_precision(b)) for a, b in levels]).sum()


class WarpCycle(Term):
    """The warped exemplar, warped back, is the exemplar.

    Args:
        two_cycle: also the photograph, sent to the exemplar's frame and back, is the photograph.

    Formula: mean(abs(back(warp(e)) - pool(e))) [+ mean(abs(warp(back(y)) - pool(y)))]
    Range: pictures in [-1, 1]; 0 to 2 (4 with two_cycle), 0 for a correspondence that is one to one
    Source: Zhang et al., CVPR 2020 (CoCosNet), correspondence regularisation.
    """

    def __init__(self, *, two_cycle: bool) -> None:
        super().__init__()
        found = {"warp.back", *({"warp.returned", "image"} if two_cycle else ())}
        self.needs = frozenset({"exemplar", *found})
        self.two_cycle = two_cycle

    def forward(self, evidence: Evidence) -> Tensor:
        loss = _l1_pooled(evidence.warp().back, evidence.picture("exemplar"))
        if self.two_cycle:
            loss = loss + _l1_pooled(evidence.warp().returned, evidence.picture("real"))
        return loss


class WarpSelf(Term):
    """The warped exemplar of a self-reference is the photograph, at every level.

    Formula: sum over levels of mean(s_b abs(warped - pool(y))), s_b = 1 / number of self-references, else 0
    Range: pictures in [-1, 1]; 0 to 2 / batch per level, 0 without self-references
    Source: Zhou et al., CVPR 2021 (CoCosNet v2), as released.
    """

    needs: frozenset[str] = frozenset({"exemplar", "self_reference", "image", "warp"})

    def forward(self, evidence: Evidence) -> Tensor:
        levels, share = evidence.warp().warped, _shares(evidence, term="warp_self")
        return torch.stack([_l1_pooled(level, evidence.picture("real"), share) for level in levels]).sum()


class WarpLabel(Term):
    """`warped_label_nll` of the exemplar's labels, warped.

    Args:
        ignore: a class that stands for "unknown" (0 in ADE20K's files); None for none.

    Formula: -mean(log(warped[label] + 1e-10)) over pixels whose class occurs in the exemplar
    Range: probabilities; 0 to 23, 0 where every label is warped onto itself
    """

    needs: frozenset[str] = frozenset({"exemplar", "exemplar_label", "label", "warp.label"})

    def __init__(self, *, ignore: int | None) -> None:
        super().__init__()
        if ignore is not None and ignore < 0:
            raise Refusal(f"loss.warp_label.ignore={ignore} is no class id; use null to ignore none")
        self.ignore = ignore

    def forward(self, evidence: Evidence) -> Tensor:
        warped, exemplar_label = evidence.warp().label, evidence.batch.exemplar_label
        if warped is None or exemplar_label is None:
            raise Refusal("loss.warp_label compares with the exemplars' labels, but the batch has none; use other data")
        return warped_label_nll(full_precision(warped), evidence.label(), exemplar_label, ignore=self.ignore)


class WarpLabelL1(Term):
    """The exemplar's labels, warped, are the labels.

    Formula: mean(abs(warped - one_hot(label)))
    Range: probabilities; 0 to 2 / classes, 0 where every label is warped onto itself
    Source: Zhan et al., CVPR 2021 (UNITE), as released: always with weight 500.
    """

    needs: frozenset[str] = frozenset({"exemplar", "label", "warp.label"})

    def forward(self, evidence: Evidence) -> Tensor:
        warped = evidence.warp().label
        assert warped is not None
        warped = full_precision(warped)
        ids = small(evidence.label(), warped.shape[-2:])
        return F.l1_loss(warped, torch.zeros_like(warped).scatter_(1, ids[:, None], 1))  # one_hot waits for the device


class Pseudo(Term):
    """A picture painted from its own (distorted) photograph has the photograph's features.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.

    Formula: sum over layers of w_l mean(s_b abs(f_l(x) - f_l(y))), s_b = 1 / number of self-references, else 0
    Range: features of pictures in [-1, 1]; >= 0, 0 without self-references or for equal pictures
    Source: Zhang et al., CVPR 2020 (CoCosNet), loss for pseudo exemplar pairs.
    """

    needs: frozenset[str] = frozenset({"exemplar", "self_reference", "image"})

    def __init__(self, *, extractor: str, layers: Mapping[str, float]) -> None:
        super().__init__()
        self.layers = checked_layers(layers, term="pseudo")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor = extractor

    def forward(self, evidence: Evidence) -> Tensor:
        share = _shares(evidence, term="pseudo")
        x, y = (evidence.features.get(picture, self.extractor) for picture in ("fake", "real"))
        for layer in self.layers:
            refuse_unlike(x[layer], y[layer], term="pseudo", where=layer)
        values = [weight * (share * (x[layer] - y[layer]).abs()).mean() for layer, weight in self.layers.items()]
        return torch.stack(values).sum()


def _shares(evidence: Evidence, *, term: str) -> Tensor:
    if evidence.batch.self_reference is None:
        raise Refusal(
            f"loss.{term} asks which exemplars are the photograph itself, but the batch does not say; "
            "use exemplar=retrieved"
        )
    return shares(evidence.batch.self_reference).to(evidence.synthesis.image.device)


def _l1_pooled(warped: Tensor | None, picture: Tensor, share: Tensor | None = None) -> Tensor:
    """Mean difference of a warped picture and the picture, averaged down to its size."""
    assert warped is not None
    h, w = warped.shape[-2:]
    difference = (full_precision(warped) - F.adaptive_avg_pool2d(picture, (h, w))).abs()
    return difference.mean() if share is None else (share.to(difference.dtype) * difference).mean()
