"""`encoder=`: another network reads the VAE's styles; frozen ones stay, and weights are never random by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from scenegen.base.records import Batch, Refusal
from scenegen.config import build
from scenegen.networks.encoder_places import TimmBackbone
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.layers.init import initialise
from tests.options import arguments, built

timm = pytest.importorskip("timm")
SMALL: dict[str, Any] = {
    "num_classes": 3,
    "edges": False,
    "height": 64,
    "width": 64,
    "ngf": 2,
    "hidden": 4,
    "latent": 4,
}


def with_timm(**changes: Any) -> tuple[GauGAN, TimmBackbone]:
    choice = TimmBackbone(**{"name": "resnet10t", "frozen": False, "weights": "random", "folder": None, **changes})
    model: GauGAN = built("model/gaugan", **SMALL)
    choice.into_model(model)
    initialise(model, gain=0.02)
    return model, choice


def test_frozen_features_read_the_style_and_stay_out_of_the_state() -> None:
    node = arguments("encoder/efficientnet")
    node["backbone"] |= {"weights": "random", "folder": None}
    model: GauGAN = built("model/gaugan", **SMALL)
    own = {key for key in model.state_dict() if key.startswith("encoder.")}
    choice = build.make({**node, "deviations": None})
    choice.into_model(model)
    assert choice.start(model, seed=0) == "efficientnet-lite0 RANDOM WEIGHTS"
    keys = {key for key in model.state_dict() if key.startswith("encoder.")}
    assert keys == {f"encoder.fc_{name}.{part}" for name in ("mu", "var") for part in ("weight", "bias")}
    assert own > keys
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    mu, _ = model.encode(image)
    assert mu.shape == (2, 4)
    assert not torch.allclose(mu[0], mu[1])
    made = model(Batch(label=torch.zeros(2, 64, 64, dtype=torch.long), image=image), noise=torch.zeros(2, 4))
    assert made.posterior is not None
    made.posterior.mu.sum().backward()
    assert model.get_parameter("encoder.fc_mu.weight").grad is not None


def test_weights_of_a_file_are_timms_own_and_the_output_too(tmp_path: Path) -> None:
    """The map that the two linear layers read is timm's `forward_features` of the standardised picture."""
    torch.manual_seed(3)
    theirs = timm.create_model("resnet10t", num_classes=0).eval()
    save_file(theirs.state_dict(), tmp_path / "resnet10t.safetensors")
    model, choice = with_timm(weights="published", folder=tmp_path, frozen=True)
    assert choice.start(model, seed=0).startswith("resnet10t-")
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    mean, std = (torch.tensor(theirs.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    model.train()
    with torch.no_grad():
        (found,) = model.get_submodule("encoder.backbone")(image)
        want = theirs.forward_features(((image + 1) / 2 - mean) / std)
    torch.testing.assert_close(found, want)
    trained = {key for key, value in model.named_parameters() if value.requires_grad and key.startswith("encoder.")}
    assert trained == {"encoder.fc_mu.weight", "encoder.fc_mu.bias", "encoder.fc_var.weight", "encoder.fc_var.bias"}


def test_a_transformer_trains_along() -> None:
    model, choice = with_timm(name="test_vit3")
    assert choice.start(model, seed=0) == "test_vit3 RANDOM WEIGHTS"
    again, other = with_timm(name="test_vit3"), with_timm(name="test_vit3")
    again[1].start(again[0], seed=0)
    other[1].start(other[0], seed=1)
    first = {key: value for key, value in model.state_dict().items() if key.startswith("encoder.backbone.net")}
    assert all(torch.equal(value, again[0].state_dict()[key]) for key, value in first.items())
    assert not all(torch.equal(value, other[0].state_dict()[key]) for key, value in first.items())
    model.encode(torch.rand(2, 3, 64, 64))[0].sum().backward()
    grads = [value.grad for key, value in model.named_parameters() if key.startswith("encoder.backbone.net.blocks")]
    assert any(grad is not None and grad.abs().sum() > 0 for grad in grads)


def test_encoders_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"reads styles with noise that never learns; use encoder.frozen=false"):
        with_timm(frozen=True)
    with pytest.raises(Refusal, match="timm has no nonesuch of 64 pixels a side"):
        with_timm(name="nonesuch")
    (tmp_path / "resnet10t.safetensors").write_bytes(b"no weights")
    model, choice = with_timm(weights="published", folder=tmp_path)
    with pytest.raises(
        Refusal, match=r"cannot be had from \S+ .*: put the published ones as .*do without: encoder=eff"
    ):
        choice.start(model, seed=0)
    plain = built("model/gaugan", vae=False, **SMALL)
    with pytest.raises(Refusal, match="reads the styles of a VAE, and this model has none; use model=gaugan"):
        choice.into_model(plain)
