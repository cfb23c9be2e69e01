"""Gradient-normalised discriminator: scores of bounded slope, so that no penalty is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from scenegen.base.records import Judgement
from scenegen.networks.discriminators.patch import PatchDiscriminator
from scenegen.networks.layers.precision import at_least_float32


def normalised(judge: Callable[[Tensor], Judgement], image: Tensor) -> Judgement:
    """A judgement with every score f replaced by f / (|grad f| + |f|), a function of slope at most 1.

    The gradient's norm is that of the sum of each sample's score map, as in the authors' code; where f and its
    gradient both vanish the score is 0. Runs in float32, outside autocast, and once more backwards per scale.

    Args:
        judge: pictures -> judgement.
        image: (b, 3, h, w) in [-1, 1].

    Returns:
        The judgement with scores in (-1, 1); features as they are.

    Source: Wu et al., ICCV 2021 (Gradient normalization for GANs), eq. 8.
    """
    wanted = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
        image = at_least_float32(image)
        if not image.requires_grad:
            image = image.detach().requires_grad_()
        judged = judge(image)
        logits = []
        for f in judged.logits:
            (slope,) = torch.autograd.grad(f.sum(), image, create_graph=wanted, retain_graph=True)
            norm = (slope.flatten(1).square().sum(1) + 1e-12).sqrt().view(-1, 1, 1, 1)
            logits.append(f / (norm + f.abs()))
    if wanted:
        return Judgement(logits=tuple(logits), features=judged.features)
    features = tuple(tuple(x.detach() for x in maps) for maps in judged.features)
    return Judgement(logits=tuple(f.detach() for f in logits), features=features)


class GradNormPatchDiscriminator(PatchDiscriminator):
    """`PatchDiscriminator` with `normalised` scores; the same arguments and the same weights.

    Attributes:
        slope_bounded: true; a penalty on the slope has nothing left to do.
    """

    slope_bounded: ClassVar[bool] = True

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """See `PatchDiscriminator.forward`; a step costs about a backward pass more."""
        return normalised(lambda picture: super(GradNormPatchDiscriminator, self).forward(condition, picture), image)
