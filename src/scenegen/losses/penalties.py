"""Penalties on the gradient of the discriminator's scores with respect to the pictures that it judges.

They join the discriminator's loss and are no terms of the generator. Published networks have no spectral norm beside
them.

Family: Penalties of the discriminator
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision
from scenegen.losses.objective import Judge, Judged, Penalty


def gradient_norm(judge: Judge, image: Tensor) -> Tensor:
    """Slope of the discriminator at some pictures, scale by scale; differentiable in its parameters.

    Runs in float32 or wider, outside autocast.

    Args:
        judge: see `Judge`.
        image: (b, 3, h, w) in [-1, 1]; no gradient flows into it.

    Returns:
        (scales, b) L2 norms, at least 1e-6, of the gradient of the sum of each sample's score map.

    Source: Gulrajani et al., NIPS 2017, section 4, with the root kept from 0, where it has no derivative.
    """
    with torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
        image = full_precision(image.detach()).requires_grad_()
        scores = judge(image).logits
        slopes = [torch.autograd.grad(full_precision(s).sum(), image, create_graph=True)[0] for s in scores]
        return torch.stack([(slope.flatten(1).square().sum(1) + 1e-12).sqrt() for slope in slopes])


def two_sided(norm: Tensor) -> Tensor:
    """Mean of (norm - 1)^2. Source: Gulrajani et al., NIPS 2017, eq. 3."""
    return (norm - 1).square().mean()


def one_sided(norm: Tensor) -> Tensor:
    """Mean of relu(norm - 1)^2. Source: Petzka et al., ICLR 2018, eq. 8."""
    return (norm - 1).relu().square().mean()


def powered(norm: Tensor, p: float) -> Tensor:
    """Mean of norm^p. Source: Wu et al., ECCV 2018 (WGAN-div), eq. 8; p = 2: Mescheder et al., ICML 2018, eq. 9."""
    return norm.pow(p).mean()


def mixed(fake: Tensor, real: Tensor, eps: Tensor) -> Tensor:
    """eps real + (1 - eps) fake, with one eps per sample, (b,) in [0, 1]."""
    eps = eps.to(real).view(-1, 1, 1, 1)
    return eps * real + (1 - eps) * fake


class WganGp(Penalty):
    """Slope 1 between generated and real pictures: `two_sided` at random mixtures of both.

    Args:
        every: steps between two penalties, each then counted so many times.

    Formula: mean((norm(grad D) - 1)^2) at eps y + (1 - eps) x
    Range: pictures in [-1, 1]; >= 0
    Source: Gulrajani et al., NIPS 2017, algorithm 1 (weight 10, five critic steps per generator step).
    """

    needs: frozenset[str] = frozenset({"judgement"})

    def __init__(self, *, every: int) -> None:
        super().__init__()
        self.every = checked_every(every)

    def penalty(self, judge: Judge, fake: Tensor, real: Tensor, *, seed: int, judged: Judged) -> Tensor:
        """The unweighted penalty on one batch, (b, 3, h, w) generated and real."""
        return two_sided(gradient_norm(judge, mixed(fake, real, _uniform(len(real), seed))))


class WganLp(Penalty):
    """Slope at most 1 between generated and real pictures: `one_sided` at random mixtures of both.

    Args:
        every: steps between two penalties, each then counted so many times.

    Formula: mean(relu(norm(grad D) - 1)^2) at eps y + (1 - eps) x
    Range: pictures in [-1, 1]; >= 0
    Source: Petzka et al., ICLR 2018, section 5.
    """

    needs: frozenset[str] = frozenset({"judgement"})

    def __init__(self, *, every: int) -> None:
        super().__init__()
        self.every = checked_every(every)

    def penalty(self, judge: Judge, fake: Tensor, real: Tensor, *, seed: int, judged: Judged) -> Tensor:
        """The unweighted penalty on one batch, (b, 3, h, w) generated and real."""
        return one_sided(gradient_norm(judge, mixed(fake, real, _uniform(len(real), seed))))


class WganDiv(Penalty):
    """The Wasserstein divergence's bound on the slope; its weight is the paper's k.

    Args:
        p: power of the norm.
        at: "ends": half the sum over real and generated pictures; "mixed": at random mixtures of both.
        every: steps between two penalties, each then counted so many times.

    Formula: (mean(norm(grad D(x))^p) + mean(norm(grad D(y))^p)) / 2
    Range: pictures in [-1, 1]; >= 0
    Source: Wu et al., ECCV 2018, eq. 8 (k = 2, p = 6).
    """

    needs: frozenset[str] = frozenset({"judgement"})

    def __init__(self, *, p: float, at: str, every: int) -> None:
        super().__init__()
        if at not in ("ends", "mixed"):
            raise Refusal(f"loss.gp.at={at} is not one of ends, mixed")
        if not 1 <= p < float("inf"):
            raise Refusal(f"loss.gp.p={p} is not a power >= 1; the paper's is 6")
        self.p, self.at, self.every = p, at, checked_every(every)

    def penalty(self, judge: Judge, fake: Tensor, real: Tensor, *, seed: int, judged: Judged) -> Tensor:
        """The unweighted penalty on one batch, (b, 3, h, w) generated and real."""
        if self.at == "mixed":
            return powered(gradient_norm(judge, mixed(fake, real, _uniform(len(real), seed))), self.p)
        ends = [powered(gradient_norm(judge, image), self.p) for image in (real, fake)]
        return torch.stack(ends).sum() / 2


class Dragan(Penalty):
    """Slope 1 around the real pictures: `two_sided` at real pictures with noise.

    Args:
        spread: of the uniform noise, as a part of the real batch's standard deviation.
        every: steps between two penalties, each then counted so many times.

    Formula: mean((norm(grad D) - 1)^2) at y + spread std(y) u, u uniform
    Range: pictures in [-1, 1]; >= 0
    Source: Kodali et al., 2017, section 2.3 (weight 10, spread 0.5).
    """

    needs: frozenset[str] = frozenset({"judgement"})

    def __init__(self, *, spread: float, every: int) -> None:
        super().__init__()
        if not 0 < spread < float("inf"):
            raise Refusal(f"loss.gp.spread={spread} is not a number above 0; the paper's is 0.5")
        self.spread, self.every = spread, checked_every(every)

    def penalty(self, judge: Judge, fake: Tensor, real: Tensor, *, seed: int, judged: Judged) -> Tensor:
        """The unweighted penalty on one batch, (b, 3, h, w) generated and real."""
        noise = _uniform(real.shape, seed).to(real)
        return two_sided(gradient_norm(judge, real + self.spread * real.std() * noise))


class R1(Penalty):
    """A flat discriminator at the data: half the mean square of the slope; its weight is the paper's gamma.

    Args:
        at: "real" pictures (R1) or the generated ones, "fake" (R2).
        every: steps between two penalties, each then counted so many times.

    Formula: mean(norm(grad D(y))^2) / 2
    Range: pictures in [-1, 1]; >= 0
    Source: Mescheder et al., ICML 2018, eq. 9; every 16 steps: Karras et al., CVPR 2020, appendix B.
    """

    needs: frozenset[str] = frozenset({"judgement"})

    def __init__(self, *, at: str, every: int) -> None:
        super().__init__()
        if at not in ("real", "fake"):
            raise Refusal(f"loss.r1.at={at} is not one of real, fake")
        self.at, self.every = at, checked_every(every)

    def penalty(self, judge: Judge, fake: Tensor, real: Tensor, *, seed: int, judged: Judged) -> Tensor:
        """The unweighted penalty on one batch, (b, 3, h, w) generated and real."""
        return powered(gradient_norm(judge, real if self.at == "real" else fake), 2) / 2


def checked_every(every: int) -> int:
    """Refuse an interval below 1."""
    if every < 1:
        raise Refusal(f"every={every} of a penalty is not a number of steps >= 1; 16 is usual for loss=r1")
    return every


def _uniform(shape: int | torch.Size, seed: int) -> Tensor:
    """Numbers in [0, 1) that depend on the seed alone, drawn on the CPU."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))
