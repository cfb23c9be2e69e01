"""Feature matching: generated and real pictures should look alike to the discriminator's layers.

Family: Features of a network
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Judgement, Refusal
from scenegen.losses.features import full_precision, refuse_unlike
from scenegen.losses.objective import Evidence, Term


def feature_matching(fake: Judgement, real: Judgement) -> Tensor:
    """L1 between discriminator features, summed over layers, averaged over scales.

    Args:
        fake, real: judgements with features (b, c, h, w) per scale and layer; no gradient flows into `real`.

    Returns:
        A scalar >= 0.

    Source: Wang et al., CVPR 2018 (pix2pixHD), eq. 4, without its division by the number of layers (SPADE's code).
    """
    if not any(fake.features):
        raise Refusal(
            "feature matching needs a discriminator that shows its features; use loss.feature_matching.weight=0"
        )
    per_scale = []
    for k, (fake_maps, real_maps) in enumerate(zip(fake.features, real.features, strict=True)):
        for f, r in zip(fake_maps, real_maps, strict=True):
            refuse_unlike(f, r, term="feature_matching", where=f"scale {k}")
        maps = zip(fake_maps, real_maps, strict=True)
        per_scale.append(sum(F.l1_loss(full_precision(f), full_precision(r.detach())) for f, r in maps))
    return torch.stack(per_scale).mean()


class FeatureMatching(Term):
    """`feature_matching` of the discriminator's two judgements.

    Formula: mean over scales of sum over layers of mean(abs(D_l(x) - D_l(y)))
    Range: the discriminator's features; >= 0, 0 for equal pictures
    """

    needs: frozenset[str] = frozenset({"judgement.features", "real_judgement"})

    def forward(self, evidence: Evidence) -> Tensor:
        return feature_matching(*evidence.judgements())
