"""The learnt projections of patchnce and monce: CUT's sizes, who trains them, what is refused."""

from __future__ import annotations

import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.objective import Objective

LAYERS = {"relu1_1": 0.5, "relu2_1": 0.5}
CHANNELS = 8  # of the narrow trunks in conftest.py


def objective(term, extractors, **options):
    made = loss_term(term, extractor="vgg", layers=LAYERS, patches=16, **options)
    return Objective(terms={"nce": made}, weights={"nce": 1.0}, extractors=extractors, offers={"image"})


@pytest.mark.parametrize("term", ["patchnce", "monce"])
@pytest.mark.parametrize("width", [0, 256])
def test_sizes_of_cut(term, width, extractors):
    # Park et al. 2020: Linear, ReLU, Linear per layer; nothing else of the objective learns
    per_layer = CHANNELS * width + width + width * width + width
    parameters = list(objective(term, extractors, head=width).parameters())
    assert sum(p.numel() for p in parameters) == len(LAYERS) * per_layer
    assert all(p.requires_grad for p in parameters)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("term", ["patchnce", "monce"])
def test_gradient_reaches_picture_and_head(term, autocast, extractors, pictures, evidence):
    made = objective(term, extractors, head=32)
    known = evidence(made.terms["nce"], {**pictures, "fake": pictures["fake"].requires_grad_()})
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        total, _ = made.generator(batch=known.batch, synthesis=known.synthesis)
    assert total.dtype == torch.float32
    for found in torch.autograd.grad(total, [pictures["fake"], *made.parameters()]):
        assert found.isfinite().all()
        assert found.abs().max() > 0


def test_the_head_learns(extractors, pictures, evidence):
    made = objective("patchnce", extractors, head=32)
    known = evidence(made.terms["nce"], pictures)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    values = []
    for _ in range(20):
        optimizer.zero_grad()
        total, _ = made.generator(batch=known.batch, synthesis=known.synthesis)
        total.backward()
        optimizer.step()
        values.append(float(total.detach()))
    assert values[-1] < values[0]


@pytest.mark.parametrize("term", ["patchnce", "monce"])
def test_a_negative_width_is_refused(term, extractors):
    with pytest.raises(Refusal, match="head=-1 is not a width >= 0; 256 is CUT's, 0 is none"):
        objective(term, extractors, head=-1)
