"""Divergence of the encoder's posterior from the standard normal prior.

Family: Style latent
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Evidence, Term

REDUCTIONS = {
    "sum": torch.sum,
    "mean": torch.mean,
    "sum_mean": lambda elements: elements.sum() / elements.shape[0],
}


def kl(mu: Tensor, logvar: Tensor, *, reduction: str = "sum") -> Tensor:
    """KL divergence of N(mu, exp(logvar)) from N(0, 1).

    Args:
        mu, logvar: (b, z).
        reduction: "sum" over batch and dimensions (SPADE), "mean" over both, or "sum_mean": sum over
            dimensions, mean over the batch.

    Returns:
        A scalar >= 0.

    Source: Kingma and Welling, ICLR 2014, appendix B.
    """
    mu, logvar = full_precision(mu), full_precision(logvar)
    return REDUCTIONS[reduction](-0.5 * (1 + logvar - mu.square() - logvar.exp()))


class KL(Term):
    """`kl` of the model's posterior.

    Args:
        reduction: see `kl`. A "sum" counts every process's share, so that the mean of its gradients over
            processes is the gradient of the sum over the whole batch.

    Formula: -1/2 sum(1 + logvar - mu^2 - exp(logvar))
    Range: the encoder's mu and logvar; >= 0, 0 for the prior itself
    """

    needs: frozenset[str] = frozenset({"posterior.mu", "posterior.logvar"})

    def __init__(self, *, reduction: str) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise Refusal(f"reduction={reduction} of the KL term is not one of {', '.join(REDUCTIONS)}")
        self.reduction = reduction

    def forward(self, evidence: Evidence) -> Tensor:
        mu, logvar = evidence.posterior().mu, evidence.posterior().logvar
        if mu is None or logvar is None:
            raise Refusal("the KL term needs mu and logvar, which the model did not give; use model.vae=true")
        value = kl(mu, logvar, reduction=self.reduction)
        return value * evidence.replicas if self.reduction == "sum" else value
