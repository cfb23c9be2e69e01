"""Terms of the exemplar families: closed forms, where their gradients go, what they refuse."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Batch, Refusal, Synthesis, Warp
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.losses.exemplar import (
    Aligned,
    Pseudo,
    WarpLabelL1,
    WarpSelf,
    shares,
    warped_label_nll,
)
from scenegen.losses.objective import Evidence
from scenegen.networks.layers.init import initialise
from scenegen.train import Settings


def step(evidence: Any, term: Any, pictures: dict, *, warp: Warp | None = None, **fields: Any) -> Evidence:
    made = evidence(term, pictures)
    batch = Batch(
        image=pictures["real"],
        exemplar=pictures["exemplar"],
        **{"label": made.batch.label, "exemplar_label": made.batch.label, **fields},
    )
    synthesis = Synthesis(image=pictures["fake"], warp=warp)
    return Evidence(batch, synthesis, made.fake, made.real, made.features)


def test_shares_of_self_references():
    found = shares(torch.tensor([True, False, True])).flatten()
    torch.testing.assert_close(found, torch.tensor([0.5, 0.0, 0.5]), atol=1e-5, rtol=0)
    assert not shares(torch.tensor([False, False])).any()


def test_aligned_sums_levels(evidence, pictures):
    ones, zeros = torch.ones(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)
    pairs = ((ones, zeros), (3 * ones[..., :4], zeros[..., :4]))
    value = Aligned()(step(evidence, Aligned(), pictures, warp=Warp(warped=(), aligned=pairs)))
    assert value.item() == pytest.approx(4.0)


def test_a_perfect_warp_costs_nothing(evidence, pictures):
    small = {name: torch.nn.functional.avg_pool2d(picture, 4) for name, picture in pictures.items()}
    cycle = loss_term("warp_cycle", two_cycle=True)
    warp = Warp(warped=(), back=small["exemplar"], returned=small["real"])
    assert cycle(step(evidence, cycle, pictures, warp=warp)).item() == pytest.approx(0.0, abs=1e-6)
    levels = (small["real"], pictures["real"])
    own = torch.tensor([True, True])
    value = WarpSelf()(step(evidence, WarpSelf(), pictures, warp=Warp(warped=levels), self_reference=own))
    assert value.item() == pytest.approx(0.0, abs=1e-6)


def test_only_self_references_count(evidence, pictures):
    first = torch.tensor([True, False])
    term = Pseudo(extractor="vgg", layers={"relu1_2": 1.0})
    fake = pictures["fake"].requires_grad_()
    term(step(evidence, term, pictures, self_reference=first)).backward()
    assert fake.grad[0].abs().max() > 0
    assert fake.grad[1].abs().max() == 0
    warped = torch.ones_like(pictures["real"])
    value = WarpSelf()(step(evidence, WarpSelf(), pictures, warp=Warp(warped=(warped,)), self_reference=first))
    assert value.item() == pytest.approx((warped - pictures["real"])[0].abs().mean().item() / 2, rel=1e-4)


def test_labels_that_the_exemplar_has_not_are_left_out():
    label = torch.tensor([[[0, 1], [2, 2]]])
    exemplar_label = torch.tensor([[[0, 2], [2, 2]]])  # no class 1
    warped = torch.full((1, 3, 2, 2), 0.25)
    assert warped_label_nll(warped, label, exemplar_label, ignore=None).item() == pytest.approx(math.log(4), rel=1e-4)
    warped[:, 0] = 1e-3  # class 0 is read at one pixel of three
    expected = (2 * math.log(4) + math.log(1000)) / 3
    assert warped_label_nll(warped, label, exemplar_label, ignore=None).item() == pytest.approx(expected, rel=1e-4)
    assert warped_label_nll(warped, label, exemplar_label, ignore=0).item() == pytest.approx(math.log(4), rel=1e-4)


@pytest.mark.parametrize("term", [loss_term("warp_label"), WarpLabelL1()])
def test_labels_warped_onto_themselves_cost_nothing(term, evidence, pictures):
    label = torch.randint(0, 5, (2, 32, 48), generator=torch.Generator().manual_seed(0))
    small = label[:, ::4, ::4]
    warped = torch.nn.functional.one_hot(small, 5).movedim(3, 1).float()
    warp = Warp(warped=(), label=warped)
    value = term(step(evidence, term, pictures, warp=warp, label=label, exemplar_label=label))
    assert value.item() == pytest.approx(0.0, abs=1e-6)


def test_refusals(evidence, pictures):
    pseudo = Pseudo(extractor="vgg", layers={"relu1_2": 1.0})
    with pytest.raises(Refusal, match=r"loss.pseudo asks which exemplars are the photograph itself"):
        pseudo(step(evidence, pseudo, pictures))
    with pytest.raises(Refusal, match=r"loss.warp_label.ignore=-1 is no class id"):
        loss_term("warp_label", ignore=-1)
    with pytest.raises(Refusal, match=r"names no layer"):
        Pseudo(extractor="vgg", layers={})


TERMS = ["aligned", "warp_cycle", "warp_self", "warp_label", "warp_label_l1", "pseudo", "perc", "cx_exemplar"]


def test_every_term_moves_cocosnet():
    """All terms at once: finite values, and a gradient at the picture or in the correspondence for each."""
    tiny = ["size=tiny", "width=tiny", "weights=random", "extractor=scenenet"]
    model = ["model=cocosnetv1", "model.cycle=true"]
    chosen = plan(compose("train", [f"loss={'+'.join(TERMS)}", *model, *tiny]), settings=Settings).config
    data = build.dataset(chosen, split="train")
    torch.manual_seed(0)
    label, exemplar_label = torch.randint(0, len(data.classes), (2, 2, 64, 64))
    image, exemplar = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    own = torch.tensor([True, False])
    batch = Batch(label=label, image=image, exemplar=exemplar, exemplar_label=exemplar_label, self_reference=own)
    model = build.model(chosen, data)
    initialise(model, gain=0.2)
    objective = build.objective(chosen, model, data)
    synthesis = model(batch)
    features = objective.bank.open({"fake": synthesis.image, "real": batch.image, "exemplar": batch.exemplar})
    evidence = Evidence(batch, synthesis, None, None, features)
    parameters = [model.correspondence.theta.weight, model.correspondence.adaptive_model_seg.layer1[0].weight_orig]
    for name in TERMS:
        value = objective.terms[name](evidence)
        found = torch.autograd.grad(value, [synthesis.image, *parameters], retain_graph=True, allow_unused=True)
        assert value.isfinite(), name
        assert all(g.isfinite().all() for g in found if g is not None), name
        assert any(g.abs().max() > 0 for g in found if g is not None), name
