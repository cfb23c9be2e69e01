"""The stand-in's statistics and properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.scoring.judges.standin import StandIn, colourfulness, contrast, exposure, sharpness


def picture(seed: int, low: int = 0, high: int = 256, size: int = 48) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (2, 3, size, size), generator=stream, dtype=torch.uint8)


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
