"""Contrastive terms: a patch of the generated picture should know its place among the target's patches.

Both draw at most `patches` positions per map, so their matrix of all pairs does not grow with the picture.

Family: Features of a network
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.losses.cost import cost
from scenegen.losses.features import checked_layers, full_precision, refuse_unlike, target_needs
from scenegen.losses.objective import Classes, Evidence, Term
from scenegen.networks.frozen.extractors import Extractor

ITSELF = -10.0
"""Similarity that stands for a patch's own place among the negatives, before the temperature."""

COSTS = {"hard": lambda s: s, "easy": lambda s: 1 - s}
"""Transport costs of a similarity s: "hard" gives more weight to negatives that are alike, "easy" to unlike ones."""


def patchnce(q: Tensor, k: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Cross-entropy of finding each row's counterpart among all rows of the other picture.

    Args:
        q: (b, p, c) unit rows of the generated picture; negatives come from the same sample, so (1, b p, c)
            takes them from the whole batch.
        k: (b, p, c) unit rows of the target, in the same order; no gradient flows into it.
        temperature: > 0.

    Returns:
        A scalar > 0, mean over rows; near 0 only where the rows of a picture differ clearly, even for equal pictures.

    Source: Park et al., ECCV 2020 (CUT), eq. 3.
    """
    similarity = _similarity(q, k)
    return _cross_entropy(similarity, similarity, temperature)


def monce(
    q: Tensor,
    k: Tensor,
    *,
    temperature: float = 0.07,
    eps: float = 1.0,
    cost: str = "hard",
    iterations: int = 50,
    strength: float | None = None,
    raised: bool = False,
) -> Tensor:
    """`patchnce` whose negatives are weighed by an optimal transport plan between the two sets of rows.

    Args:
        q, k, temperature: see `patchnce`; gradients flow through the plan too.
        eps: of the transport's entropy, > 0.
        cost: "hard" (negatives that are alike weigh more) or "easy".
        iterations: of Sinkhorn's algorithm.
        strength: sum of each row's weights; None for p - 1, as if all negatives weighed 1.
        raised: weigh the positive as the heaviest negative, as the published code does on top of GauGAN.

    Returns:
        A scalar, mean over rows; see `patchnce`.

    Source: Zhan et al., CVPR 2022 (MoNCE), eqs. 5-9.
    """
    similarity = _similarity(q, k)
    plan = _transport(_without_itself(COSTS[cost](similarity)) / eps, iterations)
    gain = temperature * (plan * (q.shape[1] - 1 if strength is None else strength) + 1e-8).log()
    positive = similarity + gain.amax(2, keepdim=True) if raised else similarity
    return _cross_entropy(positive, similarity + gain, temperature)


class PatchNce(Term):
    """`patchnce` between layers of a frozen extractor, weighted and summed.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        patches: positions drawn per map.
        temperature: see `patchnce`.
        head: width of a two-layer projection per layer of the extractor, trained with the generator (256 in CUT);
            0 compares the features as they are.
        target: "real" or "exemplar".

    Formula: -log(exp(s_ii / T) / (exp(s_ii / T) + sum_(j != i) exp(s_ij / T))), s the cosines
    Range: features of pictures in [-1, 1]; > 0
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        patches: int,
        temperature: float,
        head: int,
        target: str,
    ) -> None:
        super().__init__()
        _check("patchnce", patches=patches, head=head, temperature=temperature)
        self.layers = checked_layers(layers, term="patchnce")
        self.needs = target_needs(target, term="patchnce")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.patches, self.temperature, self.target = extractor, patches, temperature, target
        self.head, self.heads = head, nn.ModuleDict()

    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        """Make the projections, as wide as the extractor's layers."""
        self.heads = projections(extractors[self.extractor], self.layers, width=self.head)

    def forward(self, evidence: Evidence) -> Tensor:
        pairs = drawn_rows(
            evidence, self.extractor, self.layers, self.target, self.patches, term="patchnce", heads=self.heads
        )
        values = [w * patchnce(q, k, temperature=self.temperature) for w, q, k in pairs]
        return torch.stack(values).sum()


class MoNce(Term):
    """`monce` between layers of a frozen extractor, weighted and summed.

    Args:
        extractor, layers, patches, temperature, head, target: see `PatchNce`.
        eps, cost, iterations: see `monce`.

    Formula: as patchnce with s_ij + T log(w_ij), w the transport plan between the patches
    Range: features of pictures in [-1, 1]; > 0
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        patches: int,
        temperature: float,
        eps: float,
        cost: str,
        iterations: int,
        head: int,
        target: str,
    ) -> None:
        super().__init__()
        _check("monce", patches=patches, head=head, temperature=temperature, eps=eps, iterations=iterations)
        if cost not in COSTS:
            raise Refusal(f"loss.monce.cost={cost} is not one of {', '.join(COSTS)}")
        self.layers = checked_layers(layers, term="monce")
        self.needs = target_needs(target, term="monce")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.patches, self.target = extractor, patches, target
        self.temperature, self.eps, self.cost, self.iterations = temperature, eps, cost, iterations
        self.head, self.heads = head, nn.ModuleDict()

    def prepare(self, extractors: Mapping[str, Extractor], classes: Classes | None) -> None:
        """Make the projections, as wide as the extractor's layers."""
        self.heads = projections(extractors[self.extractor], self.layers, width=self.head)

    def forward(self, evidence: Evidence) -> Tensor:
        pairs = drawn_rows(
            evidence, self.extractor, self.layers, self.target, self.patches, term="monce", heads=self.heads
        )
        options: dict[str, Any] = {"temperature": self.temperature, "eps": self.eps, "iterations": self.iterations}
        return torch.stack([w * monce(q, k, cost=self.cost, **options) for w, q, k in pairs]).sum()


class MoNceSpade(Term):
    """`patchnce` between layers of a frozen extractor, the last of them with `monce`, as published on top of GauGAN.

    Args:
        extractor, layers, patches, temperature, target: see `PatchNce`; the last layer is the one with transport.
        eps, cost, iterations, strength: see `monce`.

    Formula: as patchnce; in the last layer s_ij + T log(w_ij), and s_ii + T log(max_j(w_ij)), w the transport plan
    Range: features of pictures in [-1, 1]; > 0
    Source: Zhan et al., CVPR 2022 (MoNCE), section 4.3 (paired translation).
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Mapping[str, float],
        patches: int,
        temperature: float,
        eps: float,
        cost: str,
        iterations: int,
        strength: float,
        target: str,
    ) -> None:
        super().__init__()
        above_zero = {"temperature": temperature, "eps": eps, "iterations": iterations, "strength": strength}
        _check("monce_spade", patches=patches, **above_zero)
        if cost not in COSTS:
            raise Refusal(f"loss.monce_spade.cost={cost} is not one of {', '.join(COSTS)}")
        self.layers = checked_layers(layers, term="monce_spade")
        self.needs = target_needs(target, term="monce_spade")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.patches, self.target, self.temperature = extractor, patches, target, temperature
        self.transport: dict[str, Any] = {"eps": eps, "cost": cost, "iterations": iterations, "strength": strength}

    def forward(self, evidence: Evidence) -> Tensor:
        pairs = drawn_rows(evidence, self.extractor, self.layers, self.target, self.patches, term="monce_spade")
        *plain, (weight, q, k) = pairs
        values = [w * patchnce(q, k, temperature=self.temperature) for w, q, k in plain]
        values.append(weight * monce(q, k, temperature=self.temperature, raised=True, **self.transport))
        return torch.stack(values).sum()


def projections(extractor: Extractor, layers: Mapping[str, float], *, width: int) -> nn.ModuleDict:
    """Layer -> Linear, ReLU, Linear from its channels to `width`, drawn as CUT draws them; none with width 0.

    Source: Park et al., ECCV 2020 (CUT), section 3 (the small network H_l) and appendix.
    """
    found = nn.ModuleDict()
    maps = cost(extractor, layers, height=256, width=256).maps if width else {}
    for layer, (channels, *_) in maps.items():
        first, last = nn.Linear(channels, width), nn.Linear(width, width)
        for linear in (first, last):
            nn.init.xavier_normal_(linear.weight, gain=0.02)
            nn.init.zeros_(linear.bias)
        found[layer] = nn.Sequential(first, nn.ReLU(), last)
    return found


def drawn_rows(
    evidence: Evidence,
    extractor: str,
    layers: Mapping[str, float],
    target: str,
    patches: int,
    *,
    term: str,
    heads: nn.ModuleDict | None = None,
) -> list[tuple[float, Tensor, Tensor]]:
    """(weight, unit rows of the generated, unit rows of the target picture) at positions that the step's seed draws.

    Args:
        evidence, extractor, layers, target, patches, term: of the term.
        heads: layer -> projection of its rows before they get unit length; other layers have none.

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
        rows = (m.flatten(2)[..., chosen].transpose(1, 2) for m in (x, y.detach()))  # (b, p, c)
        head = heads[layer] if heads is not None and layer in heads else nn.Identity()
        found.append((weight, *(_unit_rows(full_precision(head(r))) for r in rows)))
    return found


def _unit_rows(x: Tensor) -> Tensor:
    return x / (x.square().sum(2, keepdim=True) + 1e-12).sqrt()  # the root is singular at 0


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


def _check(term: str, *, patches: int, head: int = 0, **above_zero: float) -> None:
    if patches < 2:
        raise Refusal(f"loss.{term}.patches={patches} is not a number >= 2; 256 is usual")
    if head < 0:
        raise Refusal(f"loss.{term}.head={head} is not a width >= 0; 256 is CUT's, 0 is none")
    for option, value in above_zero.items():
        if not 0 < value < math.inf:
            raise Refusal(f"loss.{term}.{option}={value} is not a number above 0")
