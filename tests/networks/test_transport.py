"""Optimal transport: against a plain solver in float64, by its marginals, by finite differences, in few bits."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.networks.correspondence import annealing
from scenegen.networks.correspondence import softmax_warp as warp
from scenegen.networks.correspondence.annealing import BLUR, Box, schedule, solved, solved_together
from scenegen.networks.correspondence.similarity import match
from scenegen.networks.correspondence.transport import Plan, Released, Unbalanced, sinkhorn

match3 = partial(match, kernel=3)
BOX = Box(torch.tensor([3.0]), dimensions=36)


def maps(
    h: int = 5, w: int = 6, *, b: int = 2, c: int = 4, noise: float = 0.5, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Two maps that are alike, and both sides' masses."""
    g = torch.Generator().manual_seed(0)
    reference = torch.randn(b, c, h, w, generator=g, dtype=torch.float64)
    source = reference.roll((1, 2), (2, 3)) + noise * torch.randn(reference.shape, generator=g, dtype=torch.float64)
    masses = torch.rand(2, b, h * w, generator=g, dtype=torch.float64).softmax(2)
    return [t.to(dtype) for t in (source, reference, *masses)]


def plain(cosine: Tensor, a: Tensor, b: Tensor, epsilons: list[float], reach: float | None = None) -> list[Tensor]:
    """The specified loop as it stands: full costs, a logsumexp for each softmin."""
    cost = (1 - cosine).clamp(min=0).sqrt()

    def softmin(eps: float, cost: Tensor, h: Tensor) -> Tensor:
        damping = 1 if reach is None else 1 / (1 + eps / reach)
        return -damping * eps * (h[:, None] - cost / eps).logsumexp(2)

    eps, log_a, log_b = epsilons[0], a.log(), b.log()
    f, g = softmin(eps, cost, log_b), softmin(eps, cost.mT, log_a)
    for eps in [*epsilons, None]:
        last = epsilons[-1] if eps is None else eps
        new_f, new_g = softmin(last, cost, log_b + g / last), softmin(last, cost.mT, log_a + f / last)
        f, g = (new_f, new_g) if eps is None else ((f + new_f) / 2, (g + new_g) / 2)
    return [f, g]


@pytest.mark.parametrize("reach", [None, 0.3])
@pytest.mark.parametrize("small_blocks", [False, True])
def test_potentials_are_those_of_the_plain_loop(reach: float | None, small_blocks: bool, monkeypatch: Any) -> None:
    if small_blocks:
        monkeypatch.setitem(annealing.BLOCK_ELEMENTS, "cpu", 64)
        monkeypatch.setitem(warp.ENTRIES, "cpu", 64)
    source, reference, a, b = maps()
    epsilons = schedule(3.0)
    found = sinkhorn(match3, source, reference, a, b, schedules=[epsilons], reach=reach)
    for got, want in zip(found, plain(match3(source, reference).dense(), a, b, epsilons, reach), strict=True):
        torch.testing.assert_close(got, want)


def test_the_schedule_is_the_released_one() -> None:
    assert schedule(1.0, blur=0.1) == [1.0, 0.1, 1.0, 0.5, 0.25, 0.125]
    assert len(schedule(7.6)) == 11  # typical at N = 4096, specification 5
    assert schedule(0.0, blur=0.1) == [0.1, 0.1]  # one and the same feature everywhere


def test_the_diameter_is_the_box_around_the_whole_batch_or_each_sample() -> None:
    source = torch.tensor([[[0.0, 3.0]], [[1.0, 1.0]]])  # (2, 1, 2)
    reference = torch.tensor([[[1.0, 1.0]], [[1.0, 5.0]]])
    assert Box.around(source, reference).diagonal.tolist() == [5.0]
    assert Box.around(source, reference, per_sample=True).diagonal.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("dimensions", [1, 6, 144, 2304])
def test_no_unit_features_ask_for_more_than_the_longest_schedule(dimensions: int) -> None:
    corners = torch.cat([torch.eye(dimensions), -torch.eye(dimensions)], dim=1)[None]  # the widest box there is
    box = Box.around(corners, corners)
    torch.testing.assert_close(box.diagonal, torch.tensor([2 * dimensions**0.5]))
    assert len(box.schedules()[0]) <= 2 + box.most_halvings <= len(box.schedules()[0]) + 1


@pytest.mark.parametrize("reach", [None, 0.3])
@pytest.mark.parametrize("per_sample", [False, True])
def test_a_schedule_of_fixed_length_finds_the_potentials_of_each_sample_s_own(
    reach: float | None, per_sample: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(annealing, "GRAPH_ELEMENTS", 64)
    source, reference, a, b = maps(b=3)
    b[:, 7] = 0
    cost = (1 - match3(source, reference).dense()).clamp(min=0).sqrt()
    diagonals = torch.tensor([0.01, 2.0, 11.9] if per_sample else [3.0])
    box = Box(diagonals, dimensions=36)
    found = solved_together(cost, a, b, box, reach)
    schedules = box.schedules() if per_sample else 3 * box.schedules()
    each = [solved(*one, reach)[2:] for one in zip(cost, a, b, schedules, strict=True)]
    for got, want in zip(found, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(got, torch.stack(want))


@pytest.mark.parametrize("reach", [0.1, 1.0])
def test_relaxed_marginals_obey_the_fixed_point(reach: float) -> None:
    # Sejourne 2019, proposition on KL marginals: at the optimum the coupling's marginals are a exp(-F / reach)
    source, reference, a, b = maps()
    a, b = 0.7 * a, 1.3 * b
    eps = 0.05
    f, g = sinkhorn(match3, source, reference, a, b, schedules=[[eps] * 500], reach=reach)
    cost = (1 - match3(source, reference).dense()).clamp(min=0).sqrt()
    coupling = ((f[:, :, None] + g[:, None] - cost) / eps).exp() * a[:, :, None] * b[:, None]
    torch.testing.assert_close(coupling.sum(2), a * (-f / reach).exp(), rtol=1e-5, atol=0)
    torch.testing.assert_close(coupling.sum(1), b * (-g / reach).exp(), rtol=1e-5, atol=0)


def test_balanced_marginals_are_the_masses() -> None:
    source, reference, a, b = maps()
    f, g = sinkhorn(match3, source, reference, a, b, schedules=[[0.1] * 1000])
    cost = (1 - match3(source, reference).dense()).clamp(min=0).sqrt()
    coupling = ((f[:, :, None] + g[:, None] - cost) / 0.1).exp() * a[:, :, None] * b[:, None]
    torch.testing.assert_close(coupling.sum(2), a, rtol=1e-4, atol=0)
    torch.testing.assert_close(coupling.sum(1), b, rtol=1e-4, atol=0)


@pytest.mark.parametrize("small_blocks", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_potentials_have_a_gradient_to_their_own_side_alone(which: int, small_blocks: bool, monkeypatch: Any) -> None:
    if small_blocks:
        monkeypatch.setitem(warp.ENTRIES, "cpu", 40)
    source, reference, a, b = maps(3, 4)
    epsilons = schedule(3.0)
    leaves = [source.requires_grad_(), reference.requires_grad_(), a.requires_grad_(), b.requires_grad_()]
    found = sinkhorn(match3, *leaves, schedules=[epsilons])[which]
    gradients = torch.autograd.grad(found.square().sum(), leaves, allow_unused=True)
    assert gradients[2] is gradients[3] is None
    assert gradients[1 - which] is None or not gradients[1 - which].any()

    # the specified last update, with the potentials before it as constants and the other side's features too
    sides = [t.detach() for t in (source, reference)]
    sides[which].requires_grad_()
    dense = match3(*sides).dense()
    before = [p.detach() for p in _before_last(dense.detach(), a.detach(), b.detach(), epsilons)]
    cost = (1 - dense).clamp(min=0).sqrt()
    eps = epsilons[-1]
    logs = a.detach().log() + before[0] / eps, b.detach().log() + before[1] / eps
    costs = cost if which == 0 else cost.mT
    want = -eps * (logs[1 - which][:, None] - costs / eps).logsumexp(2)
    torch.testing.assert_close(found, want)
    (expected,) = torch.autograd.grad(want.square().sum(), sides[which])
    torch.testing.assert_close(gradients[which], expected)


def _before_last(cosine: Tensor, a: Tensor, b: Tensor, epsilons: list[float]) -> tuple[Tensor, Tensor]:
    found = [
        solved((1 - c).clamp(min=0).sqrt(), own, other, epsilons, None)
        for c, own, other in zip(cosine, a, b, strict=True)
    ]
    return torch.stack([one[0] for one in found]), torch.stack([one[1] for one in found])


def test_the_plan_passes_gradcheck() -> None:
    source, reference, *_ = maps(3, 4, b=1)
    picture = torch.rand(1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    bias = 0.1 * torch.rand(2, 1, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def warped(source: Tensor, reference: Tensor, to_source: Tensor, to_reference: Tensor, picture: Tensor):
        plan = Plan(match3(source, reference), to_source, to_reference)
        return plan.to_source(picture), plan.to_reference(picture)

    leaves = [t.clone().requires_grad_() for t in (source, reference, *bias, picture)]
    assert torch.autograd.gradcheck(warped, leaves)


@pytest.mark.parametrize("make", [Released(), Unbalanced(0.3)])
def test_the_plan_mixes_and_finds_the_copy(make: Released | Unbalanced) -> None:
    source, reference, a, b = maps(c=32, noise=0.0, dtype=torch.float32)  # roll: every feature has its copy
    picture = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    plan = make(partial(match, kernel=1), source, reference, a, b, box=BOX)
    torch.testing.assert_close(plan.to_source(torch.ones_like(picture)), torch.ones_like(picture))
    assert (plan.to_source(picture) - picture.roll((1, 2), (2, 3))).abs().median() < 0.02
    assert (plan.to_reference(picture.roll((1, 2), (2, 3))) - picture).abs().median() < 0.02


def test_a_sample_s_own_schedules_are_those_of_a_batch_of_one() -> None:
    source, reference, a, b = maps()
    schedules = [schedule(2.0), schedule(3.0)]
    together = sinkhorn(match3, source, reference, a, b, schedules=schedules)
    for i, epsilons in enumerate(schedules):
        alone = sinkhorn(match3, *(t[i : i + 1] for t in (source, reference, a, b)), schedules=[epsilons])
        for whole, one in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[i : i + 1], one)


@pytest.mark.parametrize("masses", [(1e-3, 1e3), (1e-3, 1e-3), (1e3, 1e3)])
def test_masses_far_from_one_leave_no_range(masses: tuple[float, float]) -> None:
    source, reference, a, b = maps(dtype=torch.float32)
    a, b = masses[0] * a, masses[1] * b
    epsilons = schedule(5.0)
    found = sinkhorn(match3, source, reference, a, b, schedules=[epsilons], reach=50.0)
    dense = match3(source.double(), reference.double()).dense()
    for got, want in zip(found, plain(dense, a.double(), b.double(), epsilons, 50.0), strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-4)


def test_positions_without_mass_take_no_part() -> None:
    source, reference, a, b = maps()
    b[:, 7] = 0
    found = sinkhorn(match3, source, reference, a, b, schedules=[schedule(3.0)])
    assert all(bool(t.isfinite().all()) for t in found)
    rest = torch.arange(30) != 7
    keep = plain(match3(source, reference).dense()[:, :, rest], a, b[:, rest], schedule(3.0))
    torch.testing.assert_close(found[0], keep[0])


def test_few_bits_under_autocast_change_nothing_but_the_features() -> None:
    source, reference, a, b = maps(dtype=torch.bfloat16)
    picture = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(1))

    def gradients(*inputs: Tensor) -> list[Tensor]:
        leaves = [t.detach().requires_grad_() for t in inputs[:2]]
        warped = Released()(match3, *leaves, *inputs[2:], box=BOX).to_source(picture)
        warped.square().sum().backward()
        return [warped.detach(), *(t.grad.float() for t in leaves if t.grad is not None)]

    with torch.autocast("cpu", dtype=torch.bfloat16):  # backward within, as in manual optimisation
        low = gradients(source, reference, a, b)
    high = gradients(*(t.float() for t in (source, reference, a, b)))
    assert low[0].dtype == torch.float32
    torch.testing.assert_close(low[0], high[0])
    for got, want in zip(low[1:], high[1:], strict=True):
        torch.testing.assert_close(got, want, rtol=2**-7, atol=1e-3)


def test_equal_features_give_no_nan() -> None:
    features = F.normalize(torch.ones(1, 4, 3, 4), dim=1).requires_grad_()
    mass = torch.full((1, 12), 1 / 12)
    point = Box(torch.zeros(1), dimensions=4)
    plan = Released()(partial(match, kernel=1, centre="channels"), features, features, mass, mass, box=point)
    warped = plan.to_source(torch.rand(1, 3, 3, 4))
    warped.sum().backward()
    assert bool(warped.isfinite().all())
    assert features.grad is not None
    assert bool(features.grad.isfinite().all())


@pytest.mark.parametrize("reach", [0.0, -1.0, float("inf"), float("nan")])
def test_a_reach_that_is_none_is_refused(reach: float) -> None:
    with pytest.raises(Refusal, match="transport=released"):
        Unbalanced(reach)


def test_the_blur_is_the_released_one() -> None:
    assert BLUR == 0.025
