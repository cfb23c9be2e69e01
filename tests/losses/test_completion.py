"""Terms of models that fill holes, against torch.distributions, plain formulas and each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.options import loss_term
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from scenegen.base.records import Batch, Completion, Gaussian, Judgement, Refusal, Synthesis
from scenegen.losses.completion import kl_of_gaussians, prior_width
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Evidence
from scenegen.losses.two_completions import OfBoth


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


IMAGE, FAKE, OTHER = (drawn(2, 3, 16, 16, seed=seed) for seed in range(3))
HOLE = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
HOLE[0, :, 4:12, 4:12], HOLE[1, :, :3] = True, True
P, Q = (Gaussian(drawn(2, 4, 2, 2, seed=seed), drawn(2, 4, 2, 2, seed=seed + 1).abs() + 0.2) for seed in (5, 7))


def evidence(fake: Judgement | None = None, real: Judgement | None = None, **parts: Any) -> Evidence:
    completion = Completion(FAKE, (FAKE[..., ::2, ::2], FAKE), (OTHER[..., ::2, ::2], OTHER), Q, P, **parts)
    batch = Batch(image=IMAGE, source=IMAGE, hole=HOLE)
    return Evidence(batch, Synthesis(image=FAKE, completion=completion), fake, real, FeatureBank({}, []).open({}))


def normal(gaussian: Gaussian) -> Normal:
    return Normal(gaussian.mu, gaussian.sigma)


def test_divergence_is_that_of_torch_distributions() -> None:
    assert torch.allclose(kl_of_gaussians(P, Q), kl_divergence(normal(P), normal(Q)).mean())
    assert float(kl_of_gaussians(P, P)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("towards", ["posterior", "width"])
def test_the_prior_learns_from_its_aim_and_the_aim_does_not(towards: str) -> None:
    sigma = prior_width(HOLE).float().expand_as(P.mu)
    assumed = Normal(torch.zeros_like(sigma), sigma)
    aim = normal(P) if towards == "posterior" else assumed
    want = 2 * kl_divergence(assumed, normal(P)).mean() + 3 * kl_divergence(aim, normal(Q)).mean()
    term = loss_term("picnet_kl", reconstructed=2.0, generated=3.0, towards=towards)
    assert torch.allclose(term(evidence()), want)
    shown = torch.tensor([1 - 64 / 256, 1 - 48 / 256], dtype=torch.float64) - 1e-5
    assert torch.allclose(prior_width(HOLE).double().flatten(), 1 / (1 + torch.exp(8 * (shown - 0.8))))


@pytest.mark.parametrize("whole", [False, True])
def test_generated_pictures_are_compared_where_they_are_visible(whole: bool) -> None:
    term = loss_term("appearance", reconstructed=0.0, generated=1.0, whole=whole)
    at_full_size = (FAKE - IMAGE).abs() * (1 if whole else ~HOLE)
    assert float(term(evidence())) > float(at_full_size.mean())
    inside = Synthesis(image=FAKE, completion=Completion(IMAGE, (torch.where(HOLE, FAKE, IMAGE),), (IMAGE,)))
    given = Evidence(Batch(image=IMAGE, source=IMAGE, hole=HOLE), inside, None, None, FeatureBank({}, []).open({}))
    assert (float(term(given)) > 0) == whole, "what differs in the hole alone counts only where asked for"


@pytest.mark.parametrize("hinge", [False, True])
def test_both_discriminators_halve_and_add(hinge: bool) -> None:
    scores = [drawn(2, 1, 2, 2, seed=seed) for seed in range(10, 14)]
    fake, real = Judgement(logits=(scores[0], scores[1])), Judgement(logits=(scores[2], scores[3]))
    term = loss_term("picnet_hinge" if hinge else "picnet_gan")
    generated = -scores[0].mean() if hinge else (scores[0] - 1).square().mean()
    assert torch.allclose(term(evidence(fake, real)), generated)
    assert torch.allclose(loss_term("picnet_scores")(evidence(fake, real)), (scores[1] - scores[3]).square().mean())
    parts = term.discriminator(fake, real)
    if hinge:
        want = sum((1 - r).relu().mean() for r in scores[2:]) + sum((1 + k).relu().mean() for k in scores[:2])
    else:
        want = sum((r - 1).square().mean() for r in scores[2:]) + sum(k.square().mean() for k in scores[:2])
    assert torch.allclose(torch.stack([*parts.values()]).sum(), torch.as_tensor(want) / 2)
    with pytest.raises(Refusal, match="use discriminator=picnet"):
        term(evidence(Judgement(logits=(scores[0],)), Judgement(logits=(scores[2],))))


def test_inside_and_around_the_hole() -> None:
    apart = (FAKE - IMAGE).abs()
    want = 6 * (apart * HOLE).mean() + (apart * ~HOLE).mean()
    assert torch.allclose(loss_term("hole_l1")(evidence()), want)


def test_a_term_of_both_is_the_sum_of_two() -> None:
    l1 = loss_term("l1")
    both = OfBoth(term=l1)(evidence(other=OTHER))
    assert torch.allclose(both, (FAKE - IMAGE).abs().mean() + (OTHER - IMAGE).abs().mean())
    with pytest.raises(Refusal, match="use model=pdgan"):
        OfBoth(term=l1)(evidence())


@pytest.mark.parametrize("inside", [False, True])
def test_maps_of_both_differ_where_they_are_looked_at(inside: bool) -> None:
    """By hand: the second map is the first plus 1 in the hole and plus 3 around it."""
    first, hole = drawn(2, 5, 16, 16, seed=20), HOLE.float()
    second = first + torch.where(HOLE, 1.0, 3.0)
    share = hole.mean() if inside else 3 * (1 - hole.mean())
    term = loss_term("map_diversity", inside=inside, eps=0.5)
    assert torch.allclose(term(evidence(maps=(torch.cat([first, second]),) * 2)), 1 / (2 * share + 0.5))


def test_whole_pictures_of_both_are_compared_at_every_size() -> None:
    small = F.interpolate(IMAGE, size=(8, 8), mode="bilinear", align_corners=True)
    apart = [(FAKE[..., ::2, ::2] - small), FAKE - IMAGE, (OTHER[..., ::2, ::2] - small), OTHER - IMAGE]
    given = evidence(other=OTHER, others=(OTHER[..., ::2, ::2], OTHER))
    assert torch.allclose(
        loss_term("whole_of_both", distance="l1")(given), torch.stack([a.abs().mean() for a in apart]).sum()
    )
    with pytest.raises(Refusal, match=r"loss\.whole_of_both\.distance=l2 is not one of l1, ms_ssim_l1"):
        loss_term("whole_of_both", distance="l2")


def test_variation_along_the_hole_is_zero_around_it() -> None:
    """Completions that continue a flat picture have none; the released form sees the first and the last row alone."""
    flat = torch.zeros_like(IMAGE)
    batch = Batch(image=flat, source=flat, hole=HOLE)
    synthesis = Synthesis(image=flat, completion=Completion(flat, other=flat))
    given = Evidence(batch, synthesis, None, None, FeatureBank({}, []).open({}))
    assert float(loss_term("hole_tv", released=False)(given)) == 0
    assert float(loss_term("hole_tv", released=False)(evidence(other=OTHER))) > 0
