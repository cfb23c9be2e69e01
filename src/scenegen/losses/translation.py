"""Terms of translations between two domains of pictures that come in no pairs.

Family: Translation
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scenegen.base.records import Cycle, Refusal, Rows
from scenegen.losses.contrastive import patchnce
from scenegen.losses.features import checked_shares
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import l1


class CycleConsistency(Term):
    """L1 between each picture and what comes back of it, there and back again.

    Args:
        there: share of the source's return, >= 0.
        back: share of the real picture's return, >= 0.

    Formula: there mean(abs(B(A(x)) - x)) + back mean(abs(A(B(y)) - y))
    Range: pictures x (source) and y (real) in [-1, 1]; >= 0, 0 where both generators undo each other
    Source: Zhu et al., ICCV 2017 (CycleGAN), eq. 2.
    """

    needs: frozenset[str] = frozenset({"cycle.there_and_back", "cycle.back_and_there", "source", "image"})

    def __init__(self, *, there: float, back: float) -> None:
        super().__init__()
        self.there, self.back = checked_shares("cycle", there=there, back=back)

    def forward(self, evidence: Evidence) -> Tensor:
        cycle, source, image = _cycle(evidence), evidence.picture("source"), evidence.picture("real")
        return self.there * l1(cycle.there_and_back, source) + self.back * l1(cycle.back_and_there, image)


class Identity(Term):
    """L1 between each picture and its translation to its own domain.

    Args:
        there: share of the generator there on the real picture, >= 0.
        back: share of the generator back on the source, >= 0.

    Formula: there mean(abs(A(y) - y)) + back mean(abs(B(x) - x))
    Range: pictures x (source) and y (real) in [-1, 1]; >= 0, 0 where nothing changes
    Source: Zhu et al., ICCV 2017 (CycleGAN), section 5.2 (photographs from paintings).
    """

    needs: frozenset[str] = frozenset({"cycle.same", "cycle.same_back", "source", "image"})

    def __init__(self, *, there: float, back: float) -> None:
        super().__init__()
        self.there, self.back = checked_shares("identity", there=there, back=back)

    def forward(self, evidence: Evidence) -> Tensor:
        cycle = _cycle(evidence)
        assert cycle.same is not None
        assert cycle.same_back is not None
        there = l1(cycle.same, evidence.picture("real"))
        return self.there * there + self.back * l1(cycle.same_back, evidence.picture("source"))


class OwnPatchNce(Term):
    """`patchnce` between the model's own features of its picture and of the source, mean over layers.

    Where the model translates real pictures to their own domain too, half of it is theirs.

    Args:
        temperature: see `patchnce`.

    Formula: mean_l NCE(q_l, k_l), or half of it + half of the same of real pictures in their own domain
    Range: unit rows of the model's projections; > 0
    Source: Park et al., ECCV 2020 (CUT), eqs. 3-5.
    """

    needs: frozenset[str] = frozenset({"contrast"})

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise Refusal(f"loss.nce.temperature={temperature} is not a number above 0; 0.07 is usual")
        self.temperature = temperature

    def forward(self, evidence: Evidence) -> Tensor:
        contrast = evidence.synthesis.contrast
        if contrast is None:
            raise Refusal("loss.nce compares the model's own features, which it did not give; use model=cut")
        there = self.of_rows(contrast.there)
        return there if contrast.same is None else (there + self.of_rows(contrast.same)) / 2

    def of_rows(self, rows: Rows) -> Tensor:
        """Mean over the layers."""
        return torch.stack([patchnce(q, k, temperature=self.temperature) for q, k in rows]).mean()


def _cycle(evidence: Evidence) -> Cycle:
    if evidence.synthesis.cycle is None:
        raise Refusal("a loss term needs pictures that went there and back, which the model did not give; use "
                      "model=cyclegan")  # fmt: skip
    return evidence.synthesis.cycle
