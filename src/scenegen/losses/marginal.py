"""Marginal contrastive loss: label features should know their place among the photograph's features, by a margin.

Family: Correspondence with an exemplar
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Evidence, Term

ITSELF = -10.0
"""Cosine that stands for a row's own place among the negatives, before the temperature."""


def marginal_contrastive(q: Tensor, k: Tensor, *, margin: float = 0.25, temperature: float = 0.05) -> Tensor:
    """Cross-entropy of finding each row's counterpart, whose angle is made larger by a margin.

    Args:
        q: (b, p, c) rows of any length; negatives come from the same sample.
        k: (b, p, c) their counterparts in the same order; no gradient flows into them.
        margin: in radians.
        temperature: > 0.

    Returns:
        A scalar > 0, mean over rows.

    Source: Zhan et al., CVPR 2022 (MCL-Net), section 3.1, equations 2 and 3.
    """
    q, k = full_precision(q), full_precision(k.detach())
    with torch.autocast(q.device.type, enabled=False):
        q, k = (t / (torch.linalg.vector_norm(t, dim=2, keepdim=True) + 1e-7) for t in (q, k))
        cosine = q @ k.mT  # (b, p, p)
        own = cosine.diagonal(dim1=1, dim2=2)
        # rounding carries equal rows beyond 1, where the root is no number; at 1 its slope is infinite
        sine = (1 - own.square()).clamp(min=1e-12).sqrt()
        positive = own * math.cos(margin) - sine * math.sin(margin)
        same = torch.eye(q.shape[1], dtype=torch.bool, device=q.device)
        logits = torch.cat([positive[..., None], cosine.masked_fill(same, ITSELF)], dim=2) / temperature
        return (logits.logsumexp(2) - logits[..., 0]).mean()


class MarginalContrastive(Term):
    """`marginal_contrastive` between the aligned features of labels and photograph, mean over levels.

    Args:
        patches: positions drawn per map, or all where there are fewer.
        margin, temperature: see `marginal_contrastive`.

    Formula: -log(exp(cos(a_ii + m) / T) / (exp(cos(a_ii + m) / T) + sum_(j != i) exp(cos(a_ij) / T))), a_ij the angles
    Range: features of any size; > 0
    Source: Zhan et al., CVPR 2022 (MCL-Net), section 3.1.
    """

    needs: frozenset[str] = frozenset({"warp.aligned"})

    def __init__(self, *, patches: int, margin: float, temperature: float) -> None:
        super().__init__()
        if patches < 2:
            raise Refusal(f"loss.mcl.patches={patches} is not a number >= 2; 64 is published")
        if not 0 <= margin < math.pi / 2 or not 0 < temperature < math.inf:
            raise Refusal(f"loss.mcl needs 0 <= margin < pi / 2 and temperature > 0, got {margin} and {temperature}")
        self.patches, self.margin, self.temperature = patches, margin, temperature

    def forward(self, evidence: Evidence) -> Tensor:
        aligned = evidence.warp().aligned
        if not aligned:
            raise Refusal("loss.mcl compares aligned features, but the step has none; use a model that aligns them, "
                          "such as model=unite, or loss.mcl.weight=0")  # fmt: skip
        draw = torch.Generator().manual_seed(evidence.seed)
        options = {"margin": self.margin, "temperature": self.temperature}
        return torch.stack([marginal_contrastive(*self._rows(q, k, draw), **options) for q, k in aligned]).mean()

    def _rows(self, q: Tensor, k: Tensor, draw: torch.Generator) -> list[Tensor]:
        count = q.shape[2] * q.shape[3]
        if count < 2:
            raise Refusal("loss.mcl has no negatives on a 1x1 map; use larger pictures")
        chosen = torch.randperm(count, generator=draw)[: self.patches].to(q.device)
        return [t.flatten(2)[..., chosen].mT for t in (q, k)]
