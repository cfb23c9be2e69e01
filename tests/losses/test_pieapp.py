"""PieAPP: piq's network and aggregation, with gradients, without the download."""

from __future__ import annotations

import dataclasses
import functools

import piq
import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.losses import pieapp as module
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Evidence
from scenegen.losses.pieapp import FILE, pieapp


@pytest.fixture(scope="module")
def network():
    return module.network(weights="random")


@pytest.fixture
def term(network, monkeypatch):
    monkeypatch.setattr(module, "network", lambda **options: network)
    return loss_term("pieapp", weights="published", folder=None)


@pytest.fixture
def pictures():
    g = torch.Generator().manual_seed(0)
    return {"fake": torch.rand(2, 3, 64, 91, generator=g), "real": torch.rand(2, 3, 64, 91, generator=g)}


def step(term, pictures):
    bank = FeatureBank({}, [term.reads])
    batch = Batch(label=torch.zeros(2, 64, 91, dtype=torch.long), image=pictures["real"])
    return term(Evidence(batch, Synthesis(image=pictures["fake"]), None, None, bank.open(pictures)))


def test_value_of_piq_and_a_gradient(network, pictures, monkeypatch):
    state = {k: v.squeeze(1) if k == "ref_score_subtract.weight" else v for k, v in network.state_dict().items()}
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: dict(state))
    # its layers would fill 62 million numbers that are overwritten at once
    monkeypatch.setattr(piq.pieapp, "PieAPPModel", functools.partial(module.network, weights="random"))
    theirs = piq.PieAPP(enable_grad=True)
    fake = pictures["fake"].requires_grad_()
    value, want = pieapp(fake, pictures["real"], network), theirs(fake, pictures["real"])
    torch.testing.assert_close(value, want)
    gradients = [torch.autograd.grad(v, fake)[0] for v in (value, want)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize("autocast", [False, True])
def test_gradient_reaches_the_fake_and_not_the_target(term, pictures, autocast):
    for picture in pictures.values():
        picture.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = step(term, pictures)
    assert value.dtype == torch.float32
    value.backward()
    assert pictures["fake"].grad.isfinite().all()
    assert pictures["fake"].grad.abs().max() > 0
    assert pictures["real"].grad is None


def test_identical_and_flat_pictures(term, pictures):
    flat = torch.full_like(pictures["real"], -1.0)
    for picture in (pictures["real"], flat):
        fake = picture.clone().requires_grad_()
        value = step(term, {"fake": fake, "real": picture})
        (gradient,) = torch.autograd.grad(value, fake)
        assert value == 0  # random weights have no biases
        assert gradient.isfinite().all()


def test_nothing_trains_or_saves_it(term):
    term.train()
    assert not term._network[0].training
    assert not list(term.parameters())
    assert not term.state_dict()


def test_it_is_refused_without_its_file(tmp_path, monkeypatch):
    gone = dataclasses.replace(FILE, url=(tmp_path / "gone" / "PieAPPv0.1.pth").as_uri())
    monkeypatch.setattr(module, "FILE", gone)
    with pytest.raises(Refusal) as caught:
        loss_term("pieapp", weights="published", folder=tmp_path)
    for part in (gone.url, FILE.file, str(tmp_path), "weights.dir", "loss.pieapp.weight=0", "weights=random"):
        assert part in str(caught.value)
    (tmp_path / FILE.file).write_bytes(b"another")
    with pytest.raises(Refusal, match=r"damaged or another file: its sha256 begins .*, not 0937b014"):
        loss_term("pieapp", weights="published", folder=tmp_path)


def test_refusals(network):
    with pytest.raises(Refusal, match="weights=mine is not a policy"):
        loss_term("pieapp", folder=None, weights="mine")
    with pytest.raises(Refusal, match=r"loss.pieapp.stride=0 is not a number of pixels"):
        loss_term("pieapp", weights="published", folder=None, stride=0)
    with pytest.raises(Refusal, match="patches of 64x64 pixels, but has 48x64 pictures"):
        pieapp(torch.zeros(1, 3, 48, 64), torch.zeros(1, 3, 48, 64), network)
