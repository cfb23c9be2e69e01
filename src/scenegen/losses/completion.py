"""Terms of models that fill holes in pictures in several ways.

Family: Inpainting
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Completion, Gaussian, Judgement, Refusal
from scenegen.losses.adversarial import Hinge, LeastSquares, checked_label, over_scales
from scenegen.losses.features import checked_shares, full_precision
from scenegen.losses.mixed_structure import ms_ssim_l1_mixed
from scenegen.losses.objective import AdversarialTerm, Evidence, Term
from scenegen.losses.structure import ms_ssim_l1

TOWARDS = ("posterior", "width")

COMPENSATION = 2.0
"""Factor of the log's MS-SSIM + L1 in the place of L1."""


def kl_of_gaussians(assumed: Gaussian, found: Gaussian) -> Tensor:
    """Mean over all elements of the divergence of one Gaussian from another, KL(assumed || found).

    Args:
        assumed, found: of one shape.

    Returns:
        A scalar >= 0; 0 where both are equal.

    Source: closed form for two normal distributions, e.g. Kingma and Welling, ICLR 2014, appendix B.
    """
    mu, sigma, mu_found, sigma_found = (full_precision(t) for t in (assumed.mu, assumed.sigma, found.mu, found.sigma))
    apart = (sigma.square() + (mu - mu_found).square()) / (2 * sigma_found.square())
    return (sigma_found.log() - sigma.log() + apart - 0.5).mean()


def prior_width(hole: Tensor) -> Tensor:
    """Standard deviation of the assumed prior: narrower where less is missing.

    Args:
        hole: (b, 1, h, w) bool, true where the picture is missing.

    Returns:
        (b, 1, 1, 1), 1 / (1 + exp(8 (v - 0.8))) of the visible share v, less 1e-5 as released.

    Source: Zheng et al., CVPR 2019 (PICNet), section 3.1; its released code.
    """
    shown = (~hole).float().mean((1, 2, 3), keepdim=True) - 1e-5
    return torch.sigmoid(-8 * (shown - 0.8))


class CompletionKl(Term):
    """`kl_of_gaussians` of the assumed prior from the posterior of the hole, and of that from the visible half's prior.

    Args:
        reconstructed: share of the posterior's, >= 0.
        generated: share of the prior's, >= 0; no gradient flows into the posterior from it.
        towards: the prior's aim: "posterior" (two paths), or "width": the assumed prior itself (one path).

    Formula: reconstructed KL(N(0, s^2), p) + generated KL(p, q), s as in prior_width
    Range: Gaussians p (of the hole) and q (of the visible half); >= 0
    Source: Zheng et al., CVPR 2019 (PICNet), eqs. 4-6; the order of arguments is the release's.
    """

    needs: frozenset[str] = frozenset({"completion.prior", "completion.posterior", "hole"})

    def __init__(self, *, reconstructed: float, generated: float, towards: str) -> None:
        super().__init__()
        self.reconstructed, self.generated = checked_shares(
            "picnet_kl", reconstructed=reconstructed, generated=generated
        )
        if towards not in TOWARDS:
            raise Refusal(f"loss.picnet_kl.towards={towards} is not one of {', '.join(TOWARDS)}")
        self.towards = towards

    def forward(self, evidence: Evidence) -> Tensor:
        completion = completion_of(evidence)
        prior, posterior = completion.prior, completion.posterior
        if prior is None or posterior is None:
            raise Refusal("loss.picnet_kl compares Gaussians, which the model did not give; use model=picnet")
        assumed = _assumed(posterior, evidence.batch.require("hole"))
        aim = assumed if self.towards == "width" else Gaussian(posterior.mu.detach(), posterior.sigma.detach())
        return self.reconstructed * kl_of_gaussians(assumed, posterior) + self.generated * kl_of_gaussians(aim, prior)


class Appearance(Term):
    """Distance to the truth at every size that the model paints: reconstructed whole, generated where it is visible.

    Args:
        reconstructed, generated: shares of both paths, >= 0.
        distance: "l1"; "ms_ssim_l1" (Zhao's, alpha 0.025, factor 2) or "ms_ssim_l1_mixed" (as the log's code has it).
        whole: compare the generated pictures in the hole too (one path).

    Formula: reconstructed sum_s mean(abs(r_s - t_s)) + generated sum_s mean(abs(m_s g_s - m_s t_s)), s four sizes
    Range: pictures in [-1, 1]; >= 0, 0 for equal pictures
    Source: Zheng et al., CVPR 2019 (PICNet), eqs. 7-8; pictures and visible shares m resized bilinearly.
    """

    needs: frozenset[str] = frozenset({"completion.generated", "completion.reconstructed", "image", "hole"})

    def __init__(self, *, reconstructed: float, generated: float, distance: str, whole: bool) -> None:
        super().__init__()
        self.reconstructed, self.generated = checked_shares(
            "appearance", reconstructed=reconstructed, generated=generated
        )
        self.distance, self.whole = distance_of(distance, loss="appearance"), whole

    def forward(self, evidence: Evidence) -> Tensor:
        completion, truth = completion_of(evidence), evidence.picture("real").detach()
        known = (~evidence.batch.require("hole")).to(truth.dtype)
        sizes = [picture.shape[-2:] for picture in completion.generated]
        truths = [resized(truth, size) for size in sizes]
        knowns = [1.0 if self.whole else resized(known, size) for size in sizes]
        rec = [self.distance(full_precision(r), t) for r, t in zip(completion.reconstructed, truths, strict=True)]
        gen = [
            self.distance(full_precision(g) * m, t * m)
            for g, t, m in zip(completion.generated, truths, knowns, strict=True)
        ]
        return self.reconstructed * torch.stack(rec).sum() + self.generated * torch.stack(gen).sum()


class HoleL1(Term):
    """Weighted sum of the L1 in the hole and of the L1 around it, each a mean over all pixels.

    Args:
        inside, outside: weights >= 0.

    Formula: inside mean(h abs(x - y)) + outside mean((1 - h) abs(x - y)), h the hole
    Range: pictures in [-1, 1]; >= 0, 0 for equal pictures
    Source: Liu et al., ECCV 2018 (partial convolutions), eqs. 2 and 7.
    """

    needs: frozenset[str] = frozenset({"hole", "image"})

    def __init__(self, *, inside: float, outside: float) -> None:
        super().__init__()
        self.inside, self.outside = checked_shares("hole_l1", inside=inside, outside=outside)

    def forward(self, evidence: Evidence) -> Tensor:
        apart = (evidence.picture("fake") - evidence.picture("real").detach()).abs()
        hole = evidence.batch.require("hole")
        return self.inside * (apart * hole).mean() + self.outside * (apart * ~hole).mean()


class TwoPathsGan(AdversarialTerm):
    """Least squares of the generated picture's scores; the discriminators of both paths learn, each halved.

    Args:
        real_label: of the discriminators' real side, in (0.5, 1].

    Formula: G: mean((k_1 - 1)^2); D: sum_n (mean((r_n - 1)^2) + mean(k_n^2)) / 2
    Range: scores k (made) and r (real) of two discriminators; >= 0
    Source: Zheng et al., CVPR 2019 (PICNet), eq. 10 and its released code.
    """

    needs: frozenset[str] = frozenset({"judgement", "completion.reconstructed"})

    def __init__(self, *, real_label: float) -> None:
        super().__init__()
        self.real_label = checked_label(real_label)

    def inner(self) -> LeastSquares | Hinge:
        """The loss of one discriminator."""
        return LeastSquares(real_label=self.real_label)

    def score(self, k: Tensor) -> Tensor:
        """The generator's loss of a score."""
        return (k - 1).square()

    def forward(self, evidence: Evidence) -> Tensor:
        return over_scales(_two(evidence.judgement())[0], self.score)

    def discriminator(self, fake: Judgement, real: Judgement) -> dict[str, Tensor]:
        """The parts of the discriminators' losses, each the sum of both."""
        inner = self.inner()
        parts = [inner.discriminator(k, r) for k, r in zip(_two(fake), _two(real), strict=True)]
        return {side: torch.stack([part[side] for part in parts]).sum() / 2 for side in parts[0]}


class TwoPathsHinge(TwoPathsGan):
    """Hinge in the place of `TwoPathsGan`'s least squares, an option of the release.

    Args:
        real_label: see `Hinge`.

    Formula: G: mean(-k_1); D: sum_n (mean(relu(1 - r_n)) + mean(relu(1 + k_n))) / 2
    Range: scores k (made) and r (real) of two discriminators; G unbounded, D >= 0
    Source: Zheng et al., CVPR 2019 (PICNet), released code.
    """

    def inner(self) -> Hinge:
        return Hinge(real_label=self.real_label)

    def score(self, k: Tensor) -> Tensor:
        return -k


class ReconstructedScores(Term):
    """Least squares between the scores of the reconstructed picture and of the truth.

    Formula: mean((k_2 - r_2)^2)
    Range: scores k (reconstructed) and r (real) of the second of two discriminators; >= 0
    Source: Zheng et al., CVPR 2019 (PICNet), eq. 9 and its released code.
    """

    needs: frozenset[str] = frozenset({"judgement", "real_judgement", "completion.reconstructed"})

    def forward(self, evidence: Evidence) -> Tensor:
        fake, real = (_two(judgement)[1].logits[0] for judgement in evidence.judgements())
        return F.mse_loss(full_precision(fake), full_precision(real).detach())


def completion_of(evidence: Evidence) -> Completion:
    """The step's completion.

    Raises:
        Refusal: of a model that fills no holes.
    """
    if evidence.synthesis.completion is None:
        raise Refusal("a loss term needs a filled hole, which the model did not give; use model=picnet")
    return evidence.synthesis.completion


def resized(picture: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear with aligned corners, as PICNet resizes pictures and masks."""
    return F.interpolate(picture, size=tuple(size), mode="bilinear", align_corners=True)


def distance_of(name: str, *, loss: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The distance of two pictures in [-1, 1] that a term's option names."""
    if name not in DISTANCES:
        raise Refusal(f"loss.{loss}.distance={name} is not one of {', '.join(DISTANCES)}")
    return DISTANCES[name]


def _assumed(like: Gaussian, hole: Tensor) -> Gaussian:
    sigma = prior_width(hole).to(like.mu).expand_as(like.mu)
    return Gaussian(torch.zeros_like(sigma), sigma)


def _two(judgement: Judgement) -> tuple[Judgement, Judgement]:
    """Judgements of generated and of reconstructed pictures."""
    if len(judgement.logits) != 2:
        raise Refusal("loss=picnet_gan reads the scores of two discriminators; use discriminator=picnet, or "
                      "loss=lsgan")  # fmt: skip
    first, second = (Judgement(logits=(score,)) for score in judgement.logits)
    return first, second


def _unit_mix(x: Tensor, y: Tensor) -> Tensor:
    """Zhao's mix of pictures brought to [0, 1], with the log's share and factor."""
    return ms_ssim_l1((x + 1) / 2, (y + 1) / 2, alpha=0.025, compensation=COMPENSATION)


def _mixed(x: Tensor, y: Tensor) -> Tensor:
    return ms_ssim_l1_mixed(x, y, alpha=0.025, compensation=COMPENSATION)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "ms_ssim_l1": _unit_mix,
    "ms_ssim_l1_mixed": _mixed,
}
"""Distances of two pictures in [-1, 1]."""
