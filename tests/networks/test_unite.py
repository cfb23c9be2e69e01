"""UNITE at other sizes than the published square: shapes, what sampling may read, known matches, refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Batch, Refusal
from scenegen.networks.correspondence.unite import FeatureEncoder, best_cosine, centred
from scenegen.networks.generators.seace import SEACE, Gaze, Guide
from scenegen.networks.generators.unite import UNITE
from scenegen.networks.layers.init import initialise
from tests.networks.filled import filled
from tests.options import INIT_GAIN, built

SMALL: dict[str, Any] = {"num_classes": 3, "height": 64, "width": 96, "ngf": 2, "hidden": 4, "inter": 8}


def batch_of(h: int = 64, w: int = 96, *, b: int = 2, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 3, (2, b, h // 16, w // 16), generator=g)
    label, exemplar_label = ids.repeat_interleave(16, 2).repeat_interleave(16, 3)
    image, exemplar = 2 * torch.rand(2, b, 3, h, w, generator=g) - 1
    return Batch(label=label, image=image, exemplar=exemplar, exemplar_label=exemplar_label)


def model_of(**changes: Any) -> UNITE:
    torch.manual_seed(0)
    return built("model/unite", **{**SMALL, **changes})


@pytest.mark.parametrize(("h", "w"), [(64, 64), (64, 96), (96, 64)])
@pytest.mark.parametrize("transport", ["released", "unbalanced"])
def test_training_fills_what_it_offers(h: int, w: int, transport: str) -> None:
    model = model_of(height=h, width=w, transport=transport, cycle=True, two_cycle=True).train()
    painted = model(batch_of(h, w))
    assert painted.image.shape == painted.warp.warped[0].shape == (2, 3, h, w)
    assert painted.image.abs().max() <= 1
    assert painted.warp.back.shape == painted.warp.returned.shape == (2, 3, h // 4, w // 4)
    torch.testing.assert_close(painted.warp.label.sum(1), torch.ones(2, h // 4, w // 4))
    for side in painted.warp.aligned[0]:
        torch.testing.assert_close(side.norm(dim=1), torch.ones(2, h // 4, w // 4))
    assert filled(painted) == model.offers


@pytest.mark.parametrize(
    ("options", "missing"),
    [({}, {"warp.back", "warp.returned"}), ({"cycle": True, "warped_label": "none"}, {"warp.returned", "warp.label"})],
)
def test_what_is_not_asked_for_is_not_offered(options: dict[str, Any], missing: set[str]) -> None:
    model = model_of(**options).train()
    painted = model(batch_of())
    assert not missing & model.offers
    assert not missing & filled(painted)


@pytest.mark.parametrize(
    "options",
    [
        {"adaptor": {"coordinate_features": False, "mask_features": False, "attention": False}},
        {"centre": "positions", "norm": "batch", "adaptor": {"kernel": 4}, "bilinear": True, "warped_label": "cycle"},
        {"adaptor": {"squeeze": True}, "ngf": 4},
    ],
)
def test_every_option_reaches_every_learning_weight(options: dict[str, Any]) -> None:
    model = model_of(**options, cycle=True).train()
    painted = model(batch_of())
    tensors = [painted.image, *painted.warp.warped, painted.warp.label, painted.warp.back, *painted.warp.aligned[0]]
    torch.stack([t.square().mean() for t in tensors]).sum().backward()
    without = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert not without
    dead = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert dead
    assert all(name.endswith(".coef") or ".ref_shared." in name for name in dead)


def test_sampling_never_reads_the_photograph() -> None:
    model, batch = model_of(cycle=True, two_cycle=True).eval(), batch_of()
    painted = model.sample(batch)
    again = model.sample(dataclasses.replace(batch, image=torch.full_like(batch.require("image"), torch.nan)))
    assert torch.equal(painted.image, again.image)
    assert painted.warp is not None
    assert painted.warp.aligned is painted.warp.returned is None
    torch.testing.assert_close(painted.image, model(batch).image)  # nor does painting in training


@pytest.mark.parametrize("alone", [True, False])
def test_batch_mates_matter_only_as_released(alone: bool) -> None:
    model, batch = model_of(per_sample_diameter=alone).eval(), batch_of()
    first: dict[str, Any] = {n: t[:1] for n, t in vars(batch).items() if isinstance(t, Tensor)}
    mate = batch_of(seed=1)
    mixed: dict[str, Any] = {name: torch.cat([t, getattr(mate, name)[:1]]) for name, t in first.items()}
    one, two = model.sample(Batch(**first)), model.sample(Batch(**mixed))
    assert one.warp is not None
    assert two.warp is not None
    close = torch.allclose(one.warp.warped[0], two.warp.warped[0][:1], atol=1e-5)
    assert close == alone


def test_an_exemplar_that_is_the_photograph_is_warped_onto_itself() -> None:
    # with one encoder for both sides a map finds itself; the official initial weights are enough for it
    model = model_of(adaptor={"coordinate_features": False}).eval()
    matching = model.correspondence
    g = torch.Generator().manual_seed(0)
    described = torch.randn(1, 8 + 3, 8, 12, generator=g)
    matching.get_submodule("phi").load_state_dict(matching.get_submodule("theta").state_dict())
    plan = matching._plan(described, described)
    picture = torch.rand(1, 3, 8, 12, generator=g)
    assert (plan.to_source(picture) - picture).abs().mean() < 0.05
    assert (plan.to_reference(picture) - picture).abs().mean() < 0.05


def test_seace_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = SEACE(6, layout=5, warped=4, norm=torch.nn.InstanceNorm2d(6), hidden=8, gathers=True)
    layer.coef.data.fill_(0.7)
    x, s, r, conf = (torch.rand(2, c, 8, 12) for c in (6, 5, 4, 1))
    query, key = torch.randn(2, 2, 24, 1)
    found = layer(x, Guide(s, r, conf, Gaze(query, key, (4, 6))))
    a = (query @ key.mT).softmax(2)  # (b, 24, 24)
    t = layer.ref_shared(F.interpolate(r, size=(4, 6), mode="nearest")).flatten(2)
    gathered = F.interpolate((t @ a.mT).unflatten(2, (4, 6)), size=(8, 12), mode="nearest")
    m = layer.seg_shared(s) * (1 - conf) + layer.ref_shared2(r + 0.7 * gathered) * conf
    torch.testing.assert_close(found, F.instance_norm(x) * (1 + layer.gamma(m)) + layer.beta(m))


def test_the_best_cosine_is_the_row_maximum_with_its_gradient() -> None:
    torch.manual_seed(0)
    source, reference = (torch.randn(2, 5, n, dtype=torch.float64, requires_grad=True) for n in (7, 9))
    for centre in ("channels", "positions"):
        units = [centred(t, centre=centre) for t in (source, reference)]
        best, plain = best_cosine(*units, block=20), (units[0].mT @ units[1]).amax(2)
        torch.testing.assert_close(best, plain)
        for got, want in zip(*(torch.autograd.grad(t.sin().sum(), (source, reference), retain_graph=True)
                               for t in (best, plain)), strict=True):  # fmt: skip
            torch.testing.assert_close(got, want)


def test_autocast_keeps_the_matching_in_full_precision() -> None:
    model, batch = model_of().train(), batch_of()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        painted = model(batch)
        painted.image.square().mean().backward()
    assert painted.image.dtype == painted.warp.warped[0].dtype == torch.float32
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_published_initial_values() -> None:
    model = model_of()
    initialise(model, gain=INIT_GAIN)
    state = model.state_dict()
    assert all(float(t) == 0 for key, t in state.items() if key.endswith((".coef", "attn.gamma")))
    assert all(float(t) == 0.25 for key, t in state.items() if key.endswith("prelu.weight"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"height": 60}, "nearest are height 64 and width 96"),
        ({"height": 32}, "nearest are height 64"),
        ({"width": 100}, "width 96 or 128"),
        ({"transport": "exact"}, "released, unbalanced"),
        ({"transport": "unbalanced", "reach": 0.0}, "reach=0.0"),
        ({"centre": "nothing"}, "channels, positions"),
        ({"warped_label": "maybe"}, "none, direct, cycle"),
        ({"norm": "group"}, "position"),
        ({"adaptor": {"kernel": 5}}, "kernel 3 .published. or 4"),
        ({"inter": 0}, "inter=0"),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        model_of(**changes)


def test_batches_that_cannot_be_are_refused() -> None:
    model, batch = model_of().eval(), batch_of()
    assert batch.exemplar is not None
    with pytest.raises(Refusal, match="exemplar=retrieved"):
        model.sample(dataclasses.replace(batch, exemplar=None))
    with pytest.raises(Refusal, match="resize the exemplars"):
        model.sample(dataclasses.replace(batch, exemplar=batch.exemplar[..., :64]))
    with pytest.raises(Refusal, match="leave them out"):
        model.sample(batch, noise=torch.zeros(2, 4))
    with pytest.raises(Refusal, match="classes"):
        model.sample(dataclasses.replace(batch, label=batch.require("label") + 1))


def test_the_encoder_leaves_what_it_exports_as_it_was() -> None:
    # feat2 and feat3 are exported before their activation
    torch.manual_seed(0)
    options = built("model/unite", at="adaptor", attention=False)
    found = FeatureEncoder(3, ngf=2, hidden=4, norm="position", options=options)(torch.randn(1, 3, 32, 32))
    assert [tuple(t.shape[1:]) for t in found] == [(4, 16, 16), (8, 16, 16), (16, 8, 8), (16, 8, 8), (8, 8, 8)]
    for t in found[:2]:
        torch.testing.assert_close(t, F.instance_norm(t), rtol=1e-3, atol=1e-3)
