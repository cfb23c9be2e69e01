"""Style error: what it is 0 for, what it does not see, and its closed form."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.losses.style import gram
from scenegen.metrics.texture import gram_error
from scenegen.scoring.inputs import Samples
from scenegen.scoring.judges.protocols import Judges
from tests.options import built


def maps(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_closed_form_and_the_losses_gram() -> None:
    """A map doubled has a Gram matrix of four times the size: (4 - 1)^2 = 9 of the style's square."""
    x = maps(0, 2, 4, 5, 6)
    assert torch.allclose(gram_error([2 * x, x], [x, x]), torch.full((2,), 4.5).double())
    y = maps(1, 2, 4, 7, 3)
    want = (gram(x) - gram(y)).square().sum((1, 2)) / gram(y).square().sum((1, 2))
    assert torch.allclose(gram_error([x], [y]), want.double(), rtol=1e-5)


def test_places_do_not_count() -> None:
    x = maps(2, 1, 3, 6, 8)
    moved = x.flatten(2)[..., torch.randperm(48, generator=torch.Generator().manual_seed(0))].view_as(x)
    assert float(gram_error([moved], [x])) < 1e-12


def test_other_channels_are_refused() -> None:
    with pytest.raises(Refusal, match="equal batch and channels"):
        gram_error([maps(0, 1, 3, 4, 4)], [maps(0, 1, 2, 4, 4)])


def test_the_measure_is_0_for_the_style_itself_and_grows_with_distance() -> None:
    measure = built("measure/style_error", at="style_error")
    style = (maps(3, 2, 3, 32, 48) * 255).to(torch.uint8)
    sample = Samples(made=style, given={"style": style}, judges=Judges())
    assert measure.per_picture(style, sample).tolist() == [0, 0]
    far = [measure.per_picture((style * share).to(torch.uint8), sample) for share in (0.8, 0.5, 0.2)]
    assert bool((far[0] < far[1]).all())
    assert bool((far[1] < far[2]).all())
