"""LPIPS against the package with its published heads, and what its heads never do."""

from __future__ import annotations

import copy

import lpips as package
import pytest
import torch
from tests.options import built, loss_term

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.losses.features import FeatureBank
from scenegen.losses.lpips import lpips
from scenegen.losses.objective import Evidence
from scenegen.networks.frozen.lpips_trunks import NETS


@pytest.fixture(scope="module")
def trunk():
    return built("extractor/vgg", at="nets.lpips", net="squeeze", weights="random")


def step(term, trunk, pictures):
    bank = FeatureBank({"lpips": trunk}, [term.reads])
    batch = Batch(label=torch.zeros(2, 32, 48, dtype=torch.long), image=pictures["real"])
    return term(Evidence(batch, Synthesis(image=pictures["fake"]), None, None, bank.open(pictures)))


def test_value_and_gradient_of_the_package(trunk, pictures):
    theirs = package.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    for ours, parameter in zip(trunk.features.parameters(), theirs.net.parameters(), strict=True):
        parameter.data.copy_(ours)
    fake = pictures["fake"].requires_grad_()
    value = step(loss_term("lpips", extractor="lpips", heads="squeeze"), trunk, pictures)
    want = theirs(fake, pictures["real"]).mean()
    torch.testing.assert_close(value, want)
    torch.testing.assert_close(*(torch.autograd.grad(v, fake)[0] for v in (value, want)), rtol=1e-4, atol=1e-7)


def test_heads_neither_drop_nor_learn_nor_are_saved(trunk, pictures):
    term = loss_term("lpips", extractor="lpips", heads="squeeze").train().requires_grad_(True)
    assert step(term, trunk, pictures) == step(term, trunk, pictures)
    assert not list(term.parameters())
    assert not term.state_dict()
    assert [b.dtype for b in copy.deepcopy(term).double().buffers()] == [torch.float64]


def test_uniform_heads_lie_between_0_and_2(trunk, pictures):
    term = loss_term("lpips", extractor="lpips", heads="uniform", layers=["relu1", "fire5"])
    assert 0 < step(term, trunk, pictures) < 2
    x, y = ([torch.eye(2)[k].view(1, 2, 1, 1)] for k in (0, 1))  # orthogonal: |nx - ny|^2 = 2
    torch.testing.assert_close(lpips(x, y, [torch.ones(2)]), torch.tensor([2.0]))


def test_dead_positions_where_the_package_has_no_gradient():
    y = torch.rand(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    for index, unit in enumerate((package.normalize_tensor, None)):
        x = torch.zeros(1, 4, 3, 3, requires_grad=True)
        value = (unit(x) - unit(y)).square().sum() if unit else lpips([x.relu()], [y], [torch.ones(4)])
        (gradient,) = torch.autograd.grad(value.sum(), x)
        assert gradient.isfinite().all() == bool(index)


def test_gradcheck():
    g = torch.Generator().manual_seed(0)
    x, y = (torch.rand(2, 3, 2, 2, generator=g, dtype=torch.float64) for _ in range(2))
    head = torch.rand(3, generator=g, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: lpips([a], [y], [head]), x.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: lpips([a], [b], [head]), (x.requires_grad_(), y.requires_grad_()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss_term("lpips", extractor="lpips", heads="mine"), "heads=mine of loss.lpips is not one of"),
        (lambda: loss_term("lpips", extractor="lpips", heads="uniform"), "heads=uniform needs loss.lpips.layers"),
        (lambda: loss_term("lpips", extractor="lpips", heads="alex", layers=["relu1"]),
         "the alex heads of lpips belong to relu1, relu2, relu3, relu4, relu5, not to relu1; use"),
        (lambda: lpips([torch.ones(1, 3, 2, 2)], [torch.ones(1, 3, 2, 2)], [torch.ones(4)]),
         "a head of 4 weights for 3 channels at feature 0"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(Refusal, match=message):
        call()


def test_heads_on_another_trunk(trunk):
    term = loss_term("lpips", extractor="lpips", heads="vgg")
    assert term.layers == NETS["vgg"].layers
    with pytest.raises(Refusal, match="has no layer relu1_2, relu2_2"):
        FeatureBank({"lpips": trunk}, [term.reads])
