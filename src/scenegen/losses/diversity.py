"""Terms that keep the style latent alive: other latents, other pictures; and pictures that show their latent.

Family: Style latent
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Evidence, Term

LATENTS = {
    "mu": frozenset({"encode", "posterior.mu"}),
    "z": frozenset({"encode", "posterior.z"}),
    "prior": frozenset({"encode", "again"}),
}
"""Latents that `StyleCycle` can find again, each with its needs."""


def mode_seeking(
    image: Tensor, other: Tensor, z: Tensor, z_other: Tensor, *, eps: float = 1e-5, per_sample: bool = False
) -> Tensor:
    """Inverse of the difference between pictures of the same labels, relative to that of their latents.

    Args:
        image, other: (b, 3, h, w), of the same labels.
        z, z_other: (b, n), their latents; no gradient flows into them.
        eps: bounds the loss by 1 / eps where the pictures do not differ at all.
        per_sample: the mean of the samples' inverses, in place of one inverse of the batch's means.

    Returns:
        A scalar in (0, 1 / eps]; it has no floor but 0.

    Source: Mao et al., CVPR 2019 (MSGAN), eq. 4; its code's inverse.
    """
    image, other, z, z_other = (full_precision(t) for t in (image, other, z.detach(), z_other.detach()))
    apart = [(a - b).abs().flatten(1).mean(1) for a, b in ((image, other), (z, z_other))]  # (b,) each
    seen, drawn = apart if per_sample else [d.mean(0, keepdim=True) for d in apart]
    return (1 / (seen / drawn + eps)).mean()


def latent_regression(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of the latent that a picture shows, (b, n), and the one that it was made of.

    Source: Zhu et al., NIPS 2017 (BicycleGAN), eq. 7.
    """
    return F.l1_loss(full_precision(found), full_precision(wanted.detach()))


class ModeSeeking(Term):
    """`mode_seeking` of the step's picture and a second one, of the same labels and noise from the prior.

    It asks the model for that second picture, which costs another generator pass per step.

    Args:
        eps, per_sample: see `mode_seeking`.

    Formula: 1 / (mean(abs(x1 - x2)) / mean(abs(z1 - z2)) + eps)
    Range: two pictures in [-1, 1] and their latents; in (0, 1 / eps]
    """

    needs: frozenset[str] = frozenset({"again", "posterior.z"})

    def __init__(self, *, eps: float, per_sample: bool) -> None:
        super().__init__()
        if not 0 < eps < math.inf:
            raise Refusal(f"loss.mode_seeking.eps={eps} is not a number above 0; the paper's code has 1e-5")
        self.eps, self.per_sample = eps, per_sample

    def forward(self, evidence: Evidence) -> Tensor:
        first, again = evidence.synthesis, evidence.repetition()
        if first.posterior is None or again.posterior is None:
            raise Refusal("loss.mode_seeking needs the latents of both pictures, which the model did not give")
        latents = first.posterior.z, again.posterior.z
        return mode_seeking(first.image, again.image, *latents, eps=self.eps, per_sample=self.per_sample)


class StyleCycle(Term):
    """`latent_regression` of the encoder's mu of a generated picture to the latent that it was made of.

    Args:
        latent: what is found again: "mu", the photograph's, in the step's picture; "z", the one that was drawn
            around it; or "prior": the noise of a second picture, which costs another generator pass.
        frozen: the encoder does not learn from this term (BicycleGAN); else it does.

    Formula: mean(abs(E(G(m, z)) - z))
    Range: a picture in [-1, 1] and its latent; >= 0
    """

    def __init__(self, *, latent: str, frozen: bool) -> None:
        super().__init__()
        if latent not in LATENTS:
            raise Refusal(f"loss.style_cycle.latent={latent} is not one of {', '.join(LATENTS)}")
        self.needs = LATENTS[latent]
        self.latent, self.frozen = latent, frozen

    def forward(self, evidence: Evidence) -> Tensor:
        synthesis = evidence.repetition() if self.latent == "prior" else evidence.synthesis
        posterior = synthesis.posterior
        wanted = None if posterior is None else posterior.mu if self.latent == "mu" else posterior.z
        if wanted is None or evidence.encode is None:
            raise Refusal("loss.style_cycle needs an encoder and its latents, which the model did not give")
        return latent_regression(evidence.encode(synthesis.image, frozen=self.frozen)[0], wanted)
