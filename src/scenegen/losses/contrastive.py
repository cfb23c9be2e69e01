"""Contrastive terms: a patch of the generated picture should know its place among the target's patches.

Both draw at most `patches` positions per map, so their matrix of all pairs does not grow with the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.losses.features import full_precision, refuse_unlike
from scenegen.losses.objective import Evidence
from scenegen.losses.perceptual import checked_layers, target_needs
from scenegen.types import Refusal

ITSELF = -10.0
"""Similarity that stands for a patch's own place among the negatives, before the temperature."""

COSTS = {"hard": lambda s: s, "easy": lambda s: 1 - s}
"""Which negatives weigh more: those alike, or those unlike."""


def patchnce(q: Tensor, k: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Cross-entropy of finding each row's counterpart among all rows of the other picture.

    Args:
        q: (b, p, c) unit rows of the generated picture; negatives come from the same sample, so (1, b p, c)
            takes them from the whole batch.
        k: (b, p, c) unit rows of the target, in the same order; no gradient flows into it.
        temperature: > 0.

    Returns:
        A scalar > 0, mean over rows; its floor, where rows are told apart well, is 0, and equal pictures reach
        only what the likeness of their own patches leaves.

    Source: Park et al., ECCV 2020 (CUT), eq. 3.
    """
    similarity = _similarity(q, k)
    return _cross_entropy(similarity, similarity, temperature)


def monce(
    q: Tensor, k: Tensor, *, temperature: float = 0.07, eps: float = 1.0, cost: str = "hard", iterations: int = 50
) -> Tensor:
    """`patchnce` whose negatives are weighed by an optimal transport plan between the two sets of rows.

    Args:
        q, k, temperature: see `patchnce`; gradients flow through the plan too.
        eps: of the transport's entropy, > 0.
        cost: "hard" (negatives that are alike weigh more) or "easy".
        iterations: of Sinkhorn's algorithm.

    Returns:
        A scalar, mean over rows; see `patchnce`.

    Source: Zhan et al., CVPR 2022 (MoNCE), eqs. 5-9.
    """
    similarity = _similarity(q, k)
    plan = _transport(_without_itself(COSTS[cost](similarity)) / eps, iterations)
    weights = plan * (q.shape[1] - 1) + 1e-8
    return _cross_entropy(similarity, similarity + temperature * weights.log(), temperature)


class PatchNce(nn.Module):
    """`patchnce` between layers of a frozen extractor, weighted and summed; there is no projection to be learnt.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        patches: positions drawn per map.
        temperature: see `patchnce`.
        target: "real" or "exemplar".

    Formula: -log(exp(s_ii / T) / (exp(s_ii / T) + sum_(j != i) exp(s_ij / T))), s the cosines
    Range: features of pictures in [-1, 1]; > 0
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        patches: int = 256,
        temperature: float = 0.07,
        target: str = "real",
    ) -> None:
        super().__init__()
        _check("patchnce", patches=patches, temperature=temperature)
        self.layers = checked_layers(layers, term="patchnce")
        self.needs = target_needs(target, term="patchnce")
        self.reads: Mapping[str, tuple[str, ...]] = {extractor: tuple(self.layers)}
        self.extractor, self.patches, self.temperature, self.target = extractor, patches, temperature, target

    def forward(self, evidence: Evidence) -> Tensor:
        pairs = drawn_rows(evidence, self.extractor, self.layers, self.target, self.patches, term="patchnce")
        values = [w * patchnce(q, k, temperature=self.temperature) for w, q, k in pairs]
        return torch.stack(values).sum()


class MoNce(nn.Module):
    """`monce` between layers of a frozen extractor, weighted and summed.

    Args:
        extractor, layers, patches, temperature, target: see `PatchNce`.
        eps, cost, iterations: see `monce`.

    Formula: as patchnce with s_ij + T log(w_ij), w the transport plan between the patches
    Range: features of pictures in [-1, 1]; > 0
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        patches: int = 256,
        temperature: float = 0.07,
        eps: float = 1.0,
        cost: str = "hard",
        iterations: int = 50,
        target: str = "real",
    ) -> None:
        super().__init__()
        _check("monce", patches=patches, temperature=temperature, eps=eps, iterations=iterations)
        if cost not in COSTS:
            raise Refusal(f"loss.monce.cost={cost} is not one of {', '.join(COSTS)}")
        self.layers = checked_layers(layers, term="monce")
        self.needs = target_needs(target, term="monce")
        self.reads: Mapping[str, tuple[str, ...]] = {extractor: tuple(self.layers)}
        self.extractor, self.patches, self.target = extractor, patches, target
        self.temperature, self.eps, self.cost, self.iterations = temperature, eps, cost, iterations

    def forward(self, evidence: Evidence) -> Tensor:
        pairs = drawn_rows(evidence, self.extractor, self.layers, self.target, self.patches, term="monce")
        options: dict[str, Any] = {"temperature": self.temperature, "eps": self.eps, "iterations": self.iterations}
        return torch.stack([w * monce(q, k, cost=self.cost, **options) for w, q, k in pairs]).sum()


def drawn_rows(
    evidence: Evidence, extractor: str, layers: Mapping[str, float], target: str, patches: int, *, term: str
) -> list[tuple[float, Tensor, Tensor]]:
    """(weight, unit rows of the generated, unit rows of the target picture) at positions that the step's seed draws.

    Raises:
        Refusal: when the maps differ in size or have a single position.
    """
    fake, other = evidence.features.get("fake", extractor), evidence.features.get(target, extractor)
    generator = torch.Generator().manual_seed(evidence.seed)
    found = []
    for layer, weight in layers.items():
        x, y = fake[layer], other[layer]
        refuse_unlike(x, y, term=term, where=layer)
        count = x.shape[2] * x.shape[3]
        if count < 2:
            raise Refusal(f"loss.{term} has no negatives on the 1x1 map of {layer}; use shallower layers")
        chosen = torch.randperm(count, generator=generator)[:patches].to(x.device)
        found.append((weight, *(_unit_rows(m.flatten(2)[..., chosen]) for m in (x, y.detach()))))
    return found


def _unit_rows(x: Tensor) -> Tensor:
    # (b, c, p) -> (b, p, c); the root is singular at 0
    return (x / (x.square().sum(1, keepdim=True) + 1e-12).sqrt()).transpose(1, 2)


def _similarity(q: Tensor, k: Tensor) -> Tensor:
    with torch.autocast(q.device.type, enabled=False):
        return full_precision(q) @ full_precision(k.detach()).transpose(1, 2)  # (b, p, p)


def _without_itself(similarity: Tensor) -> Tensor:
    own = torch.eye(similarity.shape[1], dtype=torch.bool, device=similarity.device)
    return similarity.masked_fill(own, ITSELF)


def _cross_entropy(positive: Tensor, negative: Tensor, temperature: float) -> Tensor:
    own = positive.diagonal(dim1=1, dim2=2)[..., None]  # (b, p, 1)
    logits = torch.cat([own, _without_itself(negative)], dim=2) / temperature
    return (logits.logsumexp(2) - logits[..., 0]).mean()


def _transport(log_kernel: Tensor, iterations: int) -> Tensor:
    """The plan of unit marginals with a kernel, by Sinkhorn's algorithm; (b, p, p), columns sum to 1."""
    with torch.autocast(log_kernel.device.type, enabled=False):
        kernel = log_kernel.exp()
        u = v = torch.ones_like(kernel[..., :1])  # (b, p, 1)
        for _ in range(iterations):
            u = 1 / (kernel @ v)
            v = 1 / (kernel.transpose(1, 2) @ u)
        return u * kernel * v.transpose(1, 2)


def _check(term: str, *, patches: int, **above_zero: float) -> None:
    if patches < 2:
        raise Refusal(f"loss.{term}.patches={patches} is not a number >= 2; 256 is usual")
    for option, value in above_zero.items():
        if not 0 < value < math.inf:
            raise Refusal(f"loss.{term}.{option}={value} is not a number above 0")
