"""Adversarial terms, one for each published loss on the discriminator's scores.

All average over the entries of a score map, then over scales. `real_label` < 1 is one-sided label smoothing
of the discriminator's real side; the generator's loss does not see it.

Family: Adversarial objectives
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Judgement, Refusal
from scenegen.losses.features import full_precision, refuse_unlike
from scenegen.losses.objective import AdversarialTerm, Evidence


class Hinge(AdversarialTerm):
    """D: relu(1 - real) + relu(1 + fake); G: -fake.

    Args:
        real_label: s in s relu(1 - real) + (1 - s) relu(1 + real), in (0.5, 1].

    Formula: G: mean(-k); D: mean(relu(1 - r)) + mean(relu(1 + k))
    Range: scores k (generated) and r (real) of any size; G unbounded, D >= 0
    Source: Lim and Ye 2017, eq. 5; Miyato et al., ICLR 2018.
    """

    needs: frozenset[str] = frozenset({"judgement"})

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def forward(self, evidence: Evidence) -> Tensor:
        return over_scales(evidence.judgement(), torch.neg)

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        s = self.real_label
        return {
            "D_fake": over_scales(fake, lambda k: F.relu(1 + k)),
            "D_real": over_scales(real, lambda r: s * F.relu(1 - r) + (1 - s) * F.relu(1 + r)),
        }


class LeastSquares(AdversarialTerm):
    """D: (real - 1)^2 + fake^2; G: (fake - 1)^2; without the paper's factor 1/2, as the codes have it.

    Args:
        real_label: replaces 1 as the discriminator's real target, in (0.5, 1].

    Formula: G: mean((k - 1)^2); D: mean((r - 1)^2) + mean(k^2)
    Range: scores k (generated) and r (real) of any size; >= 0
    Source: Mao et al., ICCV 2017, eq. 9.
    """

    needs: frozenset[str] = frozenset({"judgement"})
    targets_label: ClassVar[bool] = True

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def forward(self, evidence: Evidence) -> Tensor:
        return over_scales(evidence.judgement(), lambda k: (k - 1).square())

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        s = self.real_label
        return {
            "D_fake": over_scales(fake, torch.square),
            "D_real": over_scales(real, lambda r: (r - s).square()),
        }


class HalvedLeastSquares(LeastSquares):
    """`LeastSquares` with half of the discriminator's loss, as CUT has it (and CycleGAN, per discriminator).

    Args:
        real_label: see `LeastSquares`.

    Formula: G: mean((k - 1)^2); D: (mean((r - 1)^2) + mean(k^2)) / 2
    Range: scores k (generated) and r (real) of any size; >= 0
    Source: Park et al., ECCV 2020 (CUT), released code; Zhu et al., ICCV 2017, section 4.
    """

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        return {side: part / 2 for side, part in super().discriminator(fake, real).items()}


class NonSaturating(AdversarialTerm):
    """D: softplus(-real) + softplus(fake); G: softplus(-fake): cross-entropy on scores.

    Args:
        real_label: replaces 1 as the discriminator's real target, in (0.5, 1].

    Formula: G: mean(softplus(-k)); D: mean(softplus(-r)) + mean(softplus(k))
    Range: scores k (generated) and r (real) of any size; > 0
    Source: Goodfellow et al., NIPS 2014, section 3.
    """

    needs: frozenset[str] = frozenset({"judgement"})
    targets_label: ClassVar[bool] = True

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def forward(self, evidence: Evidence) -> Tensor:
        return over_scales(evidence.judgement(), lambda k: F.softplus(-k))

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        s = self.real_label
        return {
            "D_fake": over_scales(fake, F.softplus),
            "D_real": over_scales(real, lambda r: s * F.softplus(-r) + (1 - s) * F.softplus(r)),
        }


class Saturating(AdversarialTerm):
    """D as `NonSaturating`; G: -softplus(fake), the original minimax game, flat where the discriminator is sure.

    Args:
        real_label: replaces 1 as the discriminator's real target, in (0.5, 1].

    Formula: G: -mean(softplus(k)); D: mean(softplus(-r)) + mean(softplus(k))
    Range: scores k (generated) and r (real) of any size; G < 0, D > 0
    Source: Goodfellow et al., NIPS 2014, eq. 1.
    """

    needs: frozenset[str] = frozenset({"judgement"})
    targets_label: ClassVar[bool] = True

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def forward(self, evidence: Evidence) -> Tensor:
        return over_scales(evidence.judgement(), lambda k: -F.softplus(k))

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        return NonSaturating(real_label=self.real_label).discriminator(fake, real)


class Wgan(AdversarialTerm):
    """D: fake - real; G: -fake; a critic without bounds, to be used with a penalty (penalties.py).

    Args:
        real_label: 1; the critic's scores are no probabilities that could be smoothed.

    Formula: G: mean(-k); D: mean(k) - mean(r)
    Range: scores k (generated) and r (real) of any size; unbounded
    Source: Arjovsky et al., ICML 2017, eq. 2 and algorithm 1.
    """

    needs: frozenset[str] = frozenset({"judgement"})

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        if real_label != 1:
            raise Refusal(f"real_label={real_label} smooths a label, but loss=wgan has none; use real_label=1")

    def forward(self, evidence: Evidence) -> Tensor:
        return over_scales(evidence.judgement(), torch.neg)

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        return {"D_fake": over_scales(fake, lambda k: k), "D_real": over_scales(real, torch.neg)}


class RelativisticHinge(AdversarialTerm):
    """The hinge of r = real - mean(fake) and k = fake - mean(real): D as `Hinge`, G with the signs exchanged.

    The means are over a scale's whole score map and batch.

    Args:
        real_label: s in s relu(1 - r) + (1 - s) relu(1 + r), in (0.5, 1].

    Formula: G: mean(relu(1 - (k - mean r))) + mean(relu(1 + (r - mean k))); D: the signs exchanged
    Range: scores k (generated) and r (real) of any size; >= 0
    Source: Jolicoeur-Martineau, ICLR 2019, section 4 and appendix (RaHingeGAN).
    """

    needs: frozenset[str] = frozenset({"judgement", "real_judgement"})

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def forward(self, evidence: Evidence) -> Tensor:
        fake, real = relative(*evidence.judgements())
        return over_scales(fake, lambda k: F.relu(1 - k)) + over_scales(real, lambda r: F.relu(1 + r))

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        return Hinge(real_label=self.real_label).discriminator(*relative(fake, real))


class RelativisticLeastSquares(AdversarialTerm):
    """Half the least squares of r = real - mean(fake) and k = fake - mean(real) against 1 and -1; G exchanges them.

    The means are over a scale's whole score map and batch.

    Args:
        real_label: s replaces 1 as the discriminator's real target, in (0.5, 1].

    Formula: G: mean((r - mean k + 1)^2 + (k - mean r - 1)^2) / 2; D: the signs exchanged
    Range: scores k (generated) and r (real) of any size; >= 0
    Source: Jolicoeur-Martineau, ICLR 2019, section 4 and appendix (RaLSGAN).
    """

    needs: frozenset[str] = frozenset({"judgement", "real_judgement"})
    targets_label: ClassVar[bool] = True

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def forward(self, evidence: Evidence) -> Tensor:
        fake, real = relative(*evidence.judgements())
        both = over_scales(fake, lambda k: (k - 1).square()) + over_scales(real, lambda r: (r + 1).square())
        return both / 2

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        s = self.real_label
        fake, real = relative(fake, real)
        return {
            "D_fake": over_scales(fake, lambda k: (k + 1).square() / 2),
            "D_real": over_scales(real, lambda r: (r - s).square() / 2),
        }


class RelativisticCrossEntropy(AdversarialTerm):
    """Cross-entropy of scores less the batch mean of the other side's at the same place of the map.

    As the ESRGAN port of the log has it: the discriminator's is halved, the generator's takes the generated side alone.

    Args:
        real_label: replaces 1 as the discriminator's real target, in (0.5, 1].

    Formula: G: mean(softplus(-(k - mean_b r))); D: (mean(softplus(-(r - mean_b k))) + mean(softplus(k - mean_b r))) / 2
    Range: scores k (generated) and r (real) of any size; > 0
    Source: Jolicoeur-Martineau, ICLR 2019, eqs. 8-9; Wang et al., ECCV workshops 2018 (ESRGAN), eqs. 1-2.
    """

    needs: frozenset[str] = frozenset({"judgement", "real_judgement"})
    targets_label: ClassVar[bool] = True

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def forward(self, evidence: Evidence) -> Tensor:
        fake, _ = relative(*evidence.judgements(), over=0)
        return over_scales(fake, lambda k: F.softplus(-k))

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        parts = NonSaturating(real_label=self.real_label).discriminator(*relative(fake, real, over=0))
        return {side: part / 2 for side, part in parts.items()}


def relative(fake: Judgement, real: Judgement, *, over: int | None = None) -> tuple[Judgement, Judgement]:
    """Both judgements' scores, each less the mean of the other's, per scale; over all axes or one of them."""
    pairs = [(full_precision(k), full_precision(r)) for k, r in zip(fake.logits, real.logits, strict=True)]
    for scale, (k, r) in enumerate(pairs if over is not None else ()):
        refuse_unlike(k, r, term="gan", where=f"scale {scale}")
    return (
        Judgement(logits=tuple(k - r.mean(over, keepdim=True) for k, r in pairs)),
        Judgement(logits=tuple(r - k.mean(over, keepdim=True) for k, r in pairs)),
    )


def over_scales(judgement: Judgement, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean of a loss over the entries of each score map, then over scales."""
    return torch.stack([loss(full_precision(score)).mean() for score in judgement.logits]).mean()


def checked_label(real_label: float) -> float:
    """Refuse a smoothed label that is nearer to fake than to real."""
    if not 0.5 < real_label <= 1:
        raise Refusal(f"real_label={real_label} is not in (0.5, 1]; 1 is no smoothing, 0.9 is usual")
    return real_label
