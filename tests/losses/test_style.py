"""Gram matrices: sums that can be done by hand, symmetries, ranges and derivatives."""

from __future__ import annotations

import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.style import FORMS, gram, style


def maps(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("normalisation", "value"), [("none", 6.0), ("hw", 1.0), ("chw", 0.5)])
def test_gram_of_ones(normalisation, value):
    torch.testing.assert_close(
        gram(torch.ones(1, 2, 2, 3), normalisation=normalisation), torch.full((1, 2, 2), value)
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_positions_have_no_order(form):
    x, y = maps(1, 4, 3, 5), maps(1, 4, 3, 5, seed=1)
    mixed = x.flatten(2)[..., torch.randperm(15, generator=torch.Generator().manual_seed(2))].view_as(x)
    layers = {"relu1_1": 1.0}
    torch.testing.assert_close(style({"relu1_1": mixed}, {"relu1_1": x}, layers=layers, form=form).item(), 0.0)
    values = [style({"relu1_1": picture}, {"relu1_1": y}, layers=layers, form=form) for picture in (x, mixed)]
    torch.testing.assert_close(*values)
    assert values[0] > 0


@pytest.mark.parametrize("form", ["gatys", "neural_style"])
def test_gradcheck(form):
    x, y = maps(2, 3, 2, 3).requires_grad_(), {"relu1_1": maps(2, 3, 3, 3, seed=1)}
    assert torch.autograd.gradcheck(lambda a: style({"relu1_1": a}, y, layers={"relu1_1": 2.0}, form=form), x)


def test_large_features_do_not_overflow():
    x = {"relu1_1": torch.full((1, 4, 64, 64), 300.0, dtype=torch.float16)}
    y = {"relu1_1": torch.zeros(1, 4, 64, 64, dtype=torch.float16)}
    with torch.autocast("cpu", dtype=torch.float16):
        assert style(x, y, layers={"relu1_1": 1.0}, form="gatys").item() == pytest.approx(300.0**4 / 4)


def test_refusals():
    with pytest.raises(Refusal, match=r"form=mine of loss.style is not one of gatys, neural_style, l1"):
        loss_term("style", extractor="vgg", layers={"relu1_1": 1.0}, form="mine")
    with pytest.raises(Refusal, match=r"loss.style.layers names no layer"):
        loss_term("style", extractor="vgg", layers={})
    with pytest.raises(Refusal, match=r"equal batch and channels, but at relu1_1 has \(1, 4, 3, 3\) and \(1, 5"):
        style({"relu1_1": maps(1, 4, 3, 3)}, {"relu1_1": maps(1, 5, 3, 3)}, layers={"relu1_1": 1.0})
