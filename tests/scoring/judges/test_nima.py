"""NIMA's mapping of published names and its arithmetic."""

from __future__ import annotations

import pytest
import torch
import torchvision

from scenegen.base.refusal import Refusal
from scenegen.networks.frozen import weights as pinned
from tests.options import built


def picture(seed: int, low: int = 0, high: int = 256, size: int = 48) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (2, 3, size, size), generator=stream, dtype=torch.uint8)


def published_form(seed: int) -> tuple[torchvision.models.VGG, torch.nn.Linear, dict]:
    """Torchvision's VGG16, a head, and both under the names of pyiqa's file (feasibility.md section 7)."""
    torch.manual_seed(seed)
    vgg, head = torchvision.models.vgg16(), torch.nn.Linear(512, 10)
    params = {f"base_model.features_{k.removeprefix('features.')}": v for k, v in vgg.features.state_dict().items()}
    params |= {f"classifier.2.{k}": v for k, v in head.state_dict().items()}
    return vgg, head, {"params": params}


def test_nima_reads_the_published_names(tmp_path, monkeypatch):
    """The same mean mark as torchvision's VGG16 + GAP + Linear + softmax on ImageNet-normalised pictures."""
    vgg, head, state = published_form(0)
    torch.save(state, tmp_path / "nima.pth")
    monkeypatch.setattr(pinned, "locate", lambda source, folder: tmp_path / "nima.pth")
    x = picture(1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        features = vgg.eval().features((x / 255 - mean) / std).mean((2, 3))
        expected = head(features).softmax(1) @ torch.arange(1.0, 11.0)
    nima = built("aesthetic/nima")
    assert nima(x).numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    assert nima.stamp == "nima_vgg16_ava-dc4e8265"
    assert not any(p.requires_grad for p in nima.parameters())


def test_nima_refuses_a_file_of_something_else(tmp_path, monkeypatch):
    torch.save({"params": {"conv.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    monkeypatch.setattr(pinned, "locate", lambda source, folder: tmp_path / "other.pth")
    with pytest.raises(Refusal, match=r"is no NIMA VGG16: it lacks .* of 28"):
        built("aesthetic/nima")


def test_nima_offline_names_file_place_and_alternatives(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(Refusal) as error:
        built("aesthetic/nima", folder=str(tmp_path))
    for part in ("NIMA_VGG16_ava-dc4e8265.pth", str(tmp_path), "aesthetic=standin", "weights=random"):
        assert part in str(error.value)


def test_random_nima_says_so():
    nima = built("aesthetic/nima", weights="random")
    assert pinned.RANDOM_STAMP in nima.stamp
    assert ((nima(picture(1)) >= 1) & (nima(picture(1)) <= 10)).all()
