"""Penalties against closed forms of critics whose slope is known, and their place in the discriminator's loss."""

from __future__ import annotations

import math

import pytest
import torch
from tests.options import loss_term
from torch import nn

from scenegen.base.records import Judgement, Refusal
from scenegen.losses.objective import Objective
from scenegen.losses.penalties import gradient_norm
from scenegen.losses.schedule import Steps
from scenegen.networks.frozen import weights

PENALTIES = ("wgan_gp", "wgan_lp", "wgan_div", "dragan", "r1")
SIZE = 3 * 32 * 48


JUDGED = (Judgement(logits=()), Judgement(logits=()))
"""These penalties look for themselves."""


class Slope(nn.Module):
    """A critic at two scales whose scores are s x and 2 s x everywhere."""

    def __init__(self, s: float) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.tensor(s))

    def forward(self, image: torch.Tensor) -> Judgement:
        return Judgement(logits=(self.s * image, 2 * self.s * image))


@pytest.mark.parametrize("s", [0.005, 0.01, 0.1])
def test_closed_forms(pictures, s):
    norms = torch.tensor([s, 2 * s]) * math.sqrt(SIZE)
    wanted = {
        "wgan_gp": (norms - 1).square().mean(),
        "wgan_lp": (norms - 1).relu().square().mean(),
        "wgan_div": norms.pow(6).mean(),  # half of two equal ends
        "dragan": (norms - 1).square().mean(),
        "r1": norms.square().mean() / 2,
    }
    for name, value in wanted.items():
        got = loss_term(name).penalty(Slope(s), pictures["fake"], pictures["real"], seed=3, judged=JUDGED)
        torch.testing.assert_close(got, value, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", PENALTIES)
def test_the_critic_learns_and_the_pictures_do_not(name, autocast, pictures):
    first = nn.Conv2d(3, 4, 3, stride=2)
    critic = nn.Sequential(first, nn.Softplus(), nn.Conv2d(4, 1, 3))
    weights.randomise(critic)  # steeper than 1
    fake, real = pictures["fake"].requires_grad_(), pictures["real"].requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = loss_term(name).penalty(lambda x: Judgement(logits=(critic(x),)), fake, real, seed=3, judged=JUDGED)
    assert value.dtype == torch.float32
    value.backward()
    assert all(p.grad.isfinite().all() for p in critic.parameters() if p.grad is not None)
    assert first.weight.grad is not None
    assert first.weight.grad.abs().max() > 0
    assert fake.grad is None
    assert real.grad is None


@pytest.mark.parametrize("name", PENALTIES)
def test_a_flat_critic_gives_finite_gradients(name, pictures):
    critic = Slope(0.0)
    loss_term(name).penalty(critic, pictures["fake"], pictures["real"], seed=3, judged=JUDGED).backward()
    assert critic.s.grad is not None
    assert critic.s.grad.isfinite()


def test_norms_are_per_sample_and_under_no_grad_too(pictures):
    with torch.no_grad():
        norm = gradient_norm(lambda x: Judgement(logits=(x.square(),)), pictures["fake"])
    torch.testing.assert_close(norm[0], 2 * pictures["fake"].flatten(1).norm(dim=1))


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ("wgan_gp", {}),
        ("wgan_lp", {}),
        ("dragan", {}),
        ("wgan_div", {"at": "mixed"}),
    ],
)
def test_the_mixture_depends_on_the_seed_alone(option, changes, pictures):
    def at(seed):
        return loss_term(option, **changes).penalty(
            lambda x: Judgement(logits=(x**3 * 9,)), pictures["fake"], pictures["real"], seed=seed, judged=JUDGED
        )

    assert at(1) == at(1)
    assert at(1) != at(2)


def objective(**more):
    terms = {"gan": loss_term("wgan"), "gp": loss_term("wgan_gp"), "r1": loss_term("r1", every=4)}
    return Objective(terms=terms, weights={"gan": 1, "gp": 10, "r1": 3}, extractors={}, offers={"judgement"}, **more)


def test_the_discriminators_loss_takes_the_penalties_that_are_due(pictures, evidence):
    fake, real = pictures["fake"], pictures["real"]
    norms = torch.tensor([0.01, 0.02]) * math.sqrt(SIZE)
    gp, r1 = (norms - 1).square().mean(), norms.square().mean() / 2
    made = objective()
    assert made.penalties == ("gp", "r1")
    due = ((0, 10 * gp + 4 * 3 * r1, {"gp", "r1"}), (1, 10 * gp, {"gp"}), (4, 10 * gp + 12 * r1, {"gp", "r1"}))
    for step, total, names in due:
        got, values = made.penalty(Slope(0.01), fake=fake, real=real, judged=JUDGED, seed=1, step=step)
        torch.testing.assert_close(got, total, rtol=1e-4, atol=0)
        assert set(values) == names
    paused = objective(schedules={"gp": Steps(values={0: 0, 2: 5.0})})
    assert paused.penalty(Slope(0.01), fake=fake, real=real, judged=JUDGED, step=1) == (0, {})
    got, _ = paused.penalty(Slope(0.01), fake=fake, real=real, judged=JUDGED, step=2)
    torch.testing.assert_close(got, 5 * gp, rtol=1e-4, atol=0)


def test_the_generators_loss_does_not_know_penalties(pictures, evidence):
    made = objective()
    known = evidence(made.terms["gan"], pictures)
    _, values = made.generator(batch=known.batch, synthesis=known.synthesis, fake=known.fake, real=known.real)
    assert set(values) == {"gan"}


@pytest.mark.parametrize("term", [loss_term("wgan"), loss_term("rahinge"), loss_term("ralsgan"), loss_term("ragan")])
def test_critics_see_differences_alone(term, pictures, judge, evidence):
    def values(shift):
        sides = [judge(pictures[side]) for side in ("fake", "real")]
        fake, real = (Judgement(logits=tuple(k + shift for k in side.logits)) for side in sides)
        return sum(term.discriminator(fake, real).values())

    torch.testing.assert_close(values(0.0), values(3.0))


@pytest.mark.parametrize(
    "term", [loss_term("wgan"), loss_term("saturating"), loss_term("rahinge"), loss_term("ralsgan"), loss_term("ragan")]
)
@pytest.mark.parametrize("autocast", [False, True])
def test_gradient_of_adversarial_terms(term, autocast, pictures, evidence):
    pictures["fake"].requires_grad_()
    dtype = torch.bfloat16 if autocast else torch.float32
    value = term(evidence(term, {k: p.to(dtype) for k, p in pictures.items()}))
    assert value.dtype == torch.float32
    value.backward()
    assert pictures["fake"].grad.isfinite().all()
    assert pictures["fake"].grad.abs().max() > 0


def without_discriminator():
    terms = {"gan": loss_term("hinge"), "r1": loss_term("r1")}
    return Objective(terms=terms, weights={"gan": 0, "r1": 1}, extractors={}, offers={"image"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: loss_term("wgan", real_label=0.9), "real_label=0.9 smooths a label"),
        (lambda: loss_term("rahinge", real_label=0.2), "real_label=0.2 is not in"),
        (lambda: loss_term("r1", every=0), "every=0 of a penalty"),
        (lambda: loss_term("r1", at="both"), "at=both is not one of real, fake"),
        (lambda: loss_term("wgan_div", at="real"), "at=real is not one of ends, mixed"),
        (lambda: loss_term("wgan_div", p=0), "p=0 is not a power"),
        (lambda: loss_term("dragan", spread=0), "spread=0 is not a number above 0"),
        (without_discriminator, "loss.r1 needs judgement"),
    ],
)  # fmt: skip
def test_refusals(make, message):
    with pytest.raises(Refusal, match=message):
        make()
