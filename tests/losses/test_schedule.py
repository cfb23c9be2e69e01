"""Schedules are functions of the step, and an objective follows them."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.losses.objective import Objective, Term
from scenegen.losses.schedule import Constant, Linear, Steps


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        (Constant(value=2.5), {0: 2.5, 10**6: 2.5}),
        (Linear(start=10, end=20, first=0.0, last=5.0), {0: 0, 10: 0, 12: 1, 15: 2.5, 20: 5, 99: 5}),
        (Linear(start=0, end=4, first=8, last=0), {0: 8, 1: 6, 4: 0}),
        (Steps(values={0: 10, 35000: 2.5}), {0: 10, 34999: 10, 35000: 2.5, 10**6: 2.5}),  # the log's row 41
        (Steps(values={"35": 2.5, "0": 10.0}), {34: 10, 35: 2.5}),  # pyright: ignore[reportArgumentType]
    ],
)
def test_weights(schedule, weights):
    assert {step: schedule(step) for step in weights} == pytest.approx(weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(value=-1), "value=-1 of a schedule"),
        (lambda: Linear(start=5, end=5, first=0, last=1), "start=5, end=5"),
        (lambda: Linear(start=0, end=5, first=0, last=float("nan")), "last=nan of a schedule"),
        (lambda: Steps(values={35: 2.5}), "begins at step 0, but has 35"),
        (lambda: Steps(values={}), "begins at step 0, but has none"),
        (lambda: Steps(values={0: -2.0}), "values.0=-2.0"),
        (lambda: Steps(values={"a": 1.0}), "whole numbers, not a"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_refusals(make, message):
    with pytest.raises(Refusal, match=message):
        make()


class Mean(Term):
    needs = frozenset({"image"})
    calls = 0

    def forward(self, evidence):
        self.calls += 1
        return evidence.picture("fake").square().mean()


def parts(evidence, pictures, *, schedules, **more):
    terms = {"a": Mean(), "b": Mean()}
    made = Objective(terms=terms, weights={"a": 3, "b": 1}, extractors={}, offers={"image"}, schedules=schedules)
    known = evidence(terms["a"], pictures)
    return terms, *made.generator(batch=known.batch, synthesis=known.synthesis, **more)


def test_the_objective_takes_the_weight_of_the_step(evidence, pictures):
    schedule = {"a": Steps(values={0: 0.0, 2: 7.0}), "gone": Constant(value=1.0)}
    value = pictures["fake"].square().mean()
    terms, total, told = parts(evidence, pictures, schedules=schedule, step=1)
    torch.testing.assert_close(total, value)
    assert set(told) == {"b", "weight/a"}
    assert terms["a"].calls == 0, "a term of weight 0 is not computed"
    _, total, told = parts(evidence, pictures, schedules=schedule, step=2)
    torch.testing.assert_close(total, 8 * value)
    assert told["weight/a"] == 7
    _, total, _ = parts(evidence, pictures, schedules=None, step=2)
    torch.testing.assert_close(total, 4 * value)


def test_a_pause_of_every_term_is_no_end(evidence, pictures):
    pictures["fake"].requires_grad_()
    pause = {name: Constant(value=0.0) for name in "ab"}
    _, total, _ = parts(evidence, pictures, schedules=pause)
    total.backward()
    assert pictures["fake"].grad.abs().max() == 0


def test_gradient_norms_at_the_picture(evidence, pictures):
    fake = pictures["fake"].requires_grad_()
    _, total, told = parts(evidence, pictures, schedules=None, slopes=True)
    assert set(told) == {"a", "b", "weight/a", "weight/b", "grad/a", "grad/b"}
    torch.testing.assert_close(told["grad/a"], 2 * fake.detach().norm() / fake.numel())  # unweighted
    total.backward()
    assert fake.grad is not None
