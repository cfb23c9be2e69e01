"""Terms of denoisers: branch by branch, and the model's average as a teacher."""

from __future__ import annotations

import re

import pytest
import torch
from tests.options import loss_term
from torch import Tensor

from scenegen.base.records import Batch, Branches, Refusal, Synthesis
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Evidence


def slices(seed: int) -> Tensor:
    return torch.rand(2, 1, 6, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def evidence(**changes) -> Evidence:
    batch = Batch(source=slices(0), image=slices(1))
    made = Synthesis(image=slices(2), branches=Branches(content=slices(3), noise=slices(4)))
    return Evidence(batch, made, None, None, FeatureBank({}, []).open({}), **changes)


def test_each_branch_has_its_share() -> None:
    """Geng et al. 2022, equation 4: equal shares are the mean over both pictures laid side by side."""
    found = evidence()
    both = loss_term("branches", image=0.5, noise=0.5, content=0.0)(found)
    target = torch.cat([slices(1), slices(0) - slices(1)], 1)
    side = (torch.cat([slices(2), slices(4)], 1) - target).abs().mean()
    assert float(both) == pytest.approx(float(side), rel=1e-6)
    own = loss_term("branches", image=0.0, noise=0.0, content=2.0)(found)
    assert float(own) == pytest.approx(2 * float((slices(3) - slices(1)).abs().mean()), rel=1e-6)


def test_the_teacher_sees_the_source_and_noise_of_its_deviation() -> None:
    seen: list[Tensor] = []

    def average(batch: Batch) -> Synthesis:
        seen.append(batch.require("source"))
        return Synthesis(image=slices(5))

    found = evidence(average=average, seed=7)
    value = loss_term("teacher", noise=0.0)(found)
    assert float(value) == pytest.approx(float((slices(2) - slices(5)).abs().mean()), rel=1e-6)
    assert torch.equal(seen[0], slices(0))
    for _ in range(2):
        loss_term("teacher", noise=0.1)(found)
    assert torch.equal(seen[1], seen[2]), "a function of the step's seed"
    assert float((seen[1] - slices(0)).std()) == pytest.approx(0.1, rel=0.25)


@pytest.mark.parametrize(
    ("term", "changes", "said"),
    [
        ("branches", {"noise": -1.0}, "loss.branches.noise=-1.0 must be 0 or more"),
        ("teacher", {"noise": float("nan")}, "loss.teacher.noise=nan must be 0 or more"),
    ],
)
def test_shares_that_are_none_are_refused(term: str, changes: dict[str, float], said: str) -> None:
    with pytest.raises(Refusal, match=re.escape(said)):
        loss_term(term, **changes)


def test_a_teacher_without_an_average_is_refused() -> None:
    with pytest.raises(Refusal, match="use trick=ema"):
        loss_term("teacher")(evidence())


@pytest.mark.parametrize("term", ["ms_gmsd", "pieapp", "spl", "colour"])
def test_a_grey_picture_counts_as_three_equal_channels(term: str) -> None:
    """Terms whose own filters take colours; pieapp's weights are random here, which changes nothing of it."""
    random = {"weights": "random"} if term == "pieapp" else {}
    torch.manual_seed(0)
    chosen = loss_term(term, **random)
    x, y = (torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(k)) * 2 - 1 for k in (0, 1))

    def value(channels: int) -> float:
        fake, real = (picture.expand(-1, channels, -1, -1) for picture in (x, y))
        batch, made = Batch(image=real), Synthesis(image=fake)
        return float(chosen(Evidence(batch, made, None, None, FeatureBank({}, []).open({}))))

    assert value(1) == pytest.approx(value(3), rel=1e-5)
