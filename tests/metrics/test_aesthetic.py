"""NIMA's mapping of published names and its arithmetic; the stand-in's statistics and properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.scoring.judges import aesthetic
from scenegen.scoring.judges.aesthetic import Nima, StandIn, colourfulness, contrast, exposure, sharpness


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
    monkeypatch.setattr(aesthetic.pinned, "locate", lambda source, folder: tmp_path / "nima.pth")
    x = picture(1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        features = vgg.eval().features((x / 255 - mean) / std).mean((2, 3))
        expected = head(features).softmax(1) @ torch.arange(1.0, 11.0)
    nima = Nima()
    assert nima(x).numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    assert nima.stamp == "nima_vgg16_ava-dc4e8265"
    assert not any(p.requires_grad for p in nima.parameters())


def test_nima_refuses_a_file_of_something_else(tmp_path, monkeypatch):
    torch.save({"params": {"conv.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    monkeypatch.setattr(aesthetic.pinned, "locate", lambda source, folder: tmp_path / "other.pth")
    with pytest.raises(Refusal, match=r"is no NIMA VGG16: it lacks .* of 28"):
        Nima()


def test_nima_offline_names_file_place_and_alternatives(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(Refusal) as error:
        Nima(folder=str(tmp_path))
    for part in ("NIMA_VGG16_ava-dc4e8265.pth", str(tmp_path), "aesthetic=standin", "weights=random"):
        assert part in str(error.value)


def test_random_nima_says_so():
    nima = Nima(weights="random")
    assert pinned.RANDOM_STAMP in nima.stamp
    assert ((nima(picture(1)) >= 1) & (nima(picture(1)) <= 10)).all()


def test_colourfulness_equals_the_papers_formula():
    """Hasler & Suesstrunk 2003, section 7, in numpy."""
    x = picture(2).double()
    for got, one in zip(colourfulness(x), x.numpy(), strict=True):
        r, g, b = one
        rg, yb = r - g, (r + g) / 2 - b
        expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
        assert got.item() == pytest.approx(expected, rel=1e-5)


def test_statistics_of_simple_pictures():
    """Closed forms: a flat grey has none; half black half white has contrast 0.5 and exposure 0.5."""
    grey = torch.full((1, 3, 8, 8), 128, dtype=torch.uint8)
    assert [f(grey).item() for f in (colourfulness, contrast, sharpness)] == pytest.approx([0, 0, 0], abs=1e-5)
    halves = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    halves[..., 4:] = 255
    assert contrast(halves).item() == pytest.approx(0.5)
    assert exposure(halves).item() == pytest.approx(0.5)


def landscape() -> torch.Tensor:
    """A blue sky over a green field with texture, (1, 3, 64, 96)."""
    stream = torch.Generator().manual_seed(0)
    sky, field = torch.tensor([90.0, 150, 220]), torch.tensor([70.0, 110, 30])
    rows = torch.linspace(0, 1, 64).view(1, 64, 1)
    image = torch.where(rows < 0.5, sky.view(3, 1, 1) + 60 * rows, field.view(3, 1, 1) * (0.6 + rows))
    grain = torch.randn(1, 64, 96, generator=stream) * 14 * (rows > 0.5)
    return (image.expand(3, 64, 96) + grain).clamp(0, 255).to(torch.uint8)[None]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("grey", lambda x: x.float().mean(1, keepdim=True).expand(-1, 3, -1, -1)),
        ("dark", lambda x: x.float() * 0.15),
        ("burnt", lambda x: x.float() * 0.2 + 204),
        ("flat", lambda x: x.float() * 0.1 + 110),
        ("noise", lambda x: torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) * 255),
    ],
)
def test_stand_in_prefers_a_photograph(name, spoil):
    image = landscape()
    spoilt = spoil(image).clamp(0, 255).to(torch.uint8)
    mark = StandIn()
    assert mark(image).item() > mark(spoilt).item() + 1, name


def test_stand_in_never_passes_for_a_model():
    assert StandIn.stand_in
    assert "not an aesthetic model" in StandIn.stamp
    marks = StandIn()(picture(3))
    assert ((marks >= 0) & (marks <= 10)).all()
    with pytest.raises(Refusal, match="uint8"):
        StandIn()(picture(3).float())
