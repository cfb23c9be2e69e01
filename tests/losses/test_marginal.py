"""Marginal contrastive loss: closed forms, equal rows, gradients, what it draws, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.options import loss_term
from torch import Tensor

from scenegen.base.records import Batch, Refusal, Synthesis, Warp
from scenegen.losses.features import FeatureBank
from scenegen.losses.marginal import marginal_contrastive
from scenegen.losses.objective import Evidence


def evidence(*levels: tuple[Tensor, Tensor], seed: int = 0) -> Evidence:
    image = torch.zeros(levels[0][0].shape[0], 3, 8, 8) if levels else torch.zeros(1, 3, 8, 8)
    synthesis = Synthesis(image=image, warp=Warp(warped=(image,), aligned=levels or None))
    return Evidence(Batch(), synthesis, None, None, FeatureBank({}, []).open({}), seed=seed)


def features(c: int = 16, side: int = 12) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    q, k = (F.normalize(torch.randn(2, c, side, side, generator=g), dim=1) for _ in range(2))
    return q, k


def test_two_rows_have_a_closed_form() -> None:
    rows = torch.tensor([[[1.0, 0.0], [math.cos(1.0), math.sin(1.0)]]])
    # the own angle is 0 + 0.25, that to the other row 1, the own place among the negatives -10
    own, other = (math.exp(math.cos(angle) / 0.5) for angle in (0.25, 1.0))
    want = -math.log(own / (own + other + math.exp(-10 / 0.5)))
    assert float(marginal_contrastive(rows, rows, temperature=0.5)) == pytest.approx(want, rel=1e-3)


def test_equal_rows_give_no_nan() -> None:
    # specification 8: without a clamp a third of equal unit rows round beyond 1
    q = torch.randn(1, 500, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = marginal_contrastive(q, q)
    value.backward()
    assert bool(value.isfinite())
    assert q.grad is not None
    assert bool(q.grad.isfinite().all())


def test_a_margin_makes_it_harder_and_rows_of_any_length_count_alike() -> None:
    q, k = (t.flatten(2).mT for t in features())
    assert marginal_contrastive(q, k, margin=0.25) > marginal_contrastive(q, k, margin=0.0)
    torch.testing.assert_close(marginal_contrastive(3 * q, 0.5 * k), marginal_contrastive(q, k))


def test_only_the_label_side_learns() -> None:
    q, k = (t.requires_grad_() for t in features())
    loss_term("mcl")(evidence((q, k))).backward()
    assert q.grad is not None
    assert bool(q.grad.any())
    assert k.grad is None


def test_positions_follow_the_seed() -> None:
    pair, term = features(), loss_term("mcl", patches=16)
    assert term(evidence(pair)) == term(evidence(pair))
    assert term(evidence(pair)) != term(evidence(pair, seed=1))


def test_few_positions_are_all_taken() -> None:
    q, k = features(side=4)
    want = marginal_contrastive(*(t.flatten(2).mT for t in (q, k)))
    torch.testing.assert_close(loss_term("mcl", patches=64)(evidence((q, k))), want)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patches": 1}, "patches=1"),
        ({"margin": 2.0}, "margin"),
        ({"margin": -0.1}, "margin"),
        ({"temperature": 0.0}, "0"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        loss_term("mcl", **options)


def test_a_step_that_cannot_be_is_refused() -> None:
    with pytest.raises(Refusal, match="model=unite"):
        loss_term("mcl")(evidence())
    with pytest.raises(Refusal, match="1x1"):
        loss_term("mcl")(evidence(features(side=1)))
