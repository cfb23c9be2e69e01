"""Terms of models that make two completions of one picture per step.

Family: Inpainting
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Judgement, Refusal
from scenegen.losses.adversarial import Hinge
from scenegen.losses.completion import completion_of, distance_of, resized
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Evidence, Term
from scenegen.losses.pixels import total_variation

TWO: frozenset[str] = frozenset({"completion.other"})


class HingeOfBoth(Hinge):
    """`Hinge` summed over both completions, which are judged as one batch, the real pictures as often.

    Args:
        real_label: see `Hinge`.

    Formula: G: 2 mean(-k); D: 2 mean(relu(1 - r)) + 2 mean(relu(1 + k))
    Range: scores k (both completions) and r (real) of any size; G unbounded, D >= 0
    Source: Liu et al., CVPR 2021 (PD-GAN), released code: the four means of its D step are added.
    """

    needs: frozenset[str] = Hinge.needs | TWO

    def forward(self, evidence: Evidence) -> Tensor:
        return 2 * super().forward(evidence)

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminator's loss."""
        return {side: 2 * part for side, part in super().discriminator(fake, real).items()}


class OfBoth(Term):
    """Sum of another term over both completions.

    Args:
        term: a term on pictures or their features.

    Formula: t(x_1) + t(x_2)
    Range: that of the term, doubled
    Source: Liu et al., CVPR 2021 (PD-GAN), eqs. 7-8.
    """

    def __init__(self, *, term: Any) -> None:
        super().__init__()
        if not isinstance(term, Term):
            raise Refusal("loss.pdgan_vgg.term is no term; name one with a _target_ of scenegen.losses")
        self.term = term
        self.needs, self.reads, self.target = term.needs | TWO, term.reads, term.target

    def forward(self, evidence: Evidence) -> Tensor:
        swapped = dataclasses.replace(
            evidence,
            synthesis=dataclasses.replace(evidence.synthesis, image=other_of(evidence)),
            features=evidence.features.renamed({"fake": "other"}),
        )
        return self.term(evidence) + self.term(swapped)


class HoleTv(Term):
    """Total variation of both completions along the hole, grown by one pixel, the given picture around it.

    Args:
        released: compare the first row with the last in the place of all vertical neighbours, as PD-GAN's code does.

    Formula: sum over completions of mean(abs(dx) m m') + mean(abs(dy) m m'), m the grown hole
    Range: pictures in [-1, 1]; in [0, 8], 0 for flat ones
    Source: Liu et al., CVPR 2021 (PD-GAN), section 3.4; Liu et al., ECCV 2018, eq. 6.
    """

    needs: frozenset[str] = TWO | {"hole", "image"}

    def __init__(self, *, released: bool) -> None:
        super().__init__()
        self.variation = _variation_as_released if released else total_variation

    def forward(self, evidence: Evidence) -> Tensor:
        hole, truth = evidence.batch.require("hole"), evidence.picture("real").detach()
        known = (~hole).to(truth.dtype).expand_as(truth)
        found = [
            self.variation(torch.where(hole, made, truth), valid=known)
            for made in (evidence.picture("fake"), other_of(evidence))
        ]
        return torch.stack(found).sum()


class HoleDiversity(Term):
    """Inverse of the difference of both completions' features, each of the picture that is 0 around the hole.

    Args:
        extractor: name of the extractor.
        layer: of it.
        eps: bounds the loss by 1 / eps where they do not differ.

    Formula: 1 / (mean(abs(f(x_1 h) - f(x_2 h))) + eps), h the hole
    Range: features of pictures in [-1, 1]; in (0, 1 / eps]
    Source: Liu et al., CVPR 2021 (PD-GAN), eq. 9 (perceptual diversity loss).
    """

    needs: frozenset[str] = TWO | {"hole"}

    def __init__(self, *, extractor: str, layer: str, eps: float) -> None:
        super().__init__()
        if not 0 < eps < math.inf:
            raise Refusal(f"loss.hole_diversity.eps={eps} is not a number above 0; 1e-5 is as published")
        self.reads = {extractor: (layer,)}
        self.extractor, self.layer, self.eps = extractor, layer, eps

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = (evidence.features.get(name, self.extractor)[self.layer] for name in ("fake_hole", "other_hole"))
        return 1 / (F.l1_loss(x, y) + self.eps)


class WholeOfBoth(Term):
    """Distance of both completions to the truth, whole pictures at every size that the model paints.

    It ties every completion to the one truth, so it works against their diversity.

    Args:
        distance: a key of `completion.DISTANCES`.

    Formula: sum over completions and sizes of d(x_s, t_s), t_s the truth resized bilinearly
    Range: pictures in [-1, 1]; >= 0, 0 for equal pictures
    Source: the code behind the log's seed 000 (its SPDNorm trial).
    """

    needs: frozenset[str] = frozenset({"completion.generated", "completion.others", "image"})

    def __init__(self, *, distance: str) -> None:
        super().__init__()
        self.distance = distance_of(distance, loss="whole_of_both")

    def forward(self, evidence: Evidence) -> Tensor:
        completion, truth = completion_of(evidence), evidence.picture("real").detach()
        made = [*completion.generated, *completion.others]
        apart = [self.distance(full_precision(x), resized(truth, x.shape[-2:])) for x in made]
        return torch.stack(apart).sum()


class MapDiversity(Term):
    """Inverse of the difference of the generator's maps of both completions, at all sizes.

    Args:
        inside: compare the maps in the hole; the log's code compares them where the picture is visible.
        eps: bounds the loss by 1 / eps where they do not differ.

    Formula: 1 / (sum_s mean(abs(m_s f_s - m_s g_s)) + eps), f, g the maps, m_s 1 where the picture is visible
    Range: maps of any range; in (0, 1 / eps]
    Source: the code behind the log's seed 000 (its SPDNorm trial); the visible share is resized bilinearly.
    """

    needs: frozenset[str] = frozenset({"completion.maps", "hole"})

    def __init__(self, *, inside: bool, eps: float) -> None:
        super().__init__()
        if not 0 < eps < math.inf:
            raise Refusal(f"loss.map_diversity.eps={eps} is not a number above 0; 1e-5 is the log's")
        self.inside, self.eps = inside, eps

    def forward(self, evidence: Evidence) -> Tensor:
        hole = evidence.batch.require("hole")
        apart = []
        for maps in completion_of(evidence).maps:
            first, second = full_precision(maps).chunk(2)
            counted = resized((hole if self.inside else ~hole).to(first.dtype), first.shape[-2:])
            apart.append(F.l1_loss(first * counted, second * counted))
        return 1 / (torch.stack(apart).sum() + self.eps)


def other_of(evidence: Evidence) -> Tensor:
    """The second completion.

    Raises:
        Refusal: of a model that makes one.
    """
    completion = evidence.synthesis.completion
    if completion is None or completion.other is None:
        raise Refusal("a loss term compares two completions of a picture, but the model made one; use model=pdgan")
    return full_precision(completion.other)


def _variation_as_released(x: Tensor, *, valid: Tensor) -> Tensor:
    hole = F.max_pool2d(1 - valid, 3, stride=1, padding=1)
    across = x.diff(dim=3) * hole[..., 1:] * hole[..., :-1]
    ends = (x[:, :, :1] - x[:, :, -1:]) * hole[:, :, 1:] * hole[:, :, :-1]
    return across.abs().mean() + ends.abs().mean()
