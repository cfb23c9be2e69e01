"""L1 of a network that separates content and noise, branch by branch.

Family: Denoising
"""

from __future__ import annotations

import math

from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import l1


class BranchL1(Term):
    """L1 of the fused picture, of the noise and of the content branch's own picture.

    Args:
        image: share of the fused picture, >= 0.
        noise: share of the noise branch, whose target is the source less the clean picture, >= 0.
        content: share of the content branch's own picture, >= 0; neither CNCL nor log 003 gave it any, so that only
            the fusion teaches that branch.

    Formula: image mean(abs(x - y)) + noise mean(abs(n - (s - y))) + content mean(abs(c - y))
    Range: pictures x, y, c and the source s in [-1, 1]; >= 0, 0 where all are right
    Source: Geng et al., IEEE Journal of Biomedical and Health Informatics 2022 (CNCL), equation 4.
    """

    needs: frozenset[str] = frozenset({"branches.content", "branches.noise", "source", "image"})

    def __init__(self, *, image: float, noise: float, content: float) -> None:
        super().__init__()
        shares = {"image": image, "noise": noise, "content": content}
        for name, share in shares.items():
            if not 0 <= share < math.inf:
                raise Refusal(f"loss.branches.{name}={share} must be 0 or more and finite; 0.5 for image and noise is "
                              "as published")  # fmt: skip
        self.shares = shares

    def forward(self, evidence: Evidence) -> Tensor:
        found = evidence.synthesis.branches
        if found is None:
            raise Refusal("loss.branches compares both branches of a denoiser, which the model did not give; use "
                          "model=cncl")  # fmt: skip
        source, clean = evidence.picture("source"), evidence.picture("real")
        value = self.shares["image"] * l1(evidence.picture("fake"), clean)
        value = value + self.shares["noise"] * l1(found.noise, source - clean)
        if self.shares["content"]:
            value = value + self.shares["content"] * l1(found.content, clean)
        return value
