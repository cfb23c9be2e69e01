"""The blockwise warp: equal to the plain formula, exact gradients, both directions, biases, refusals, little memory."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.networks.correspondence import softmax_warp as engine
from scenegen.networks.correspondence.cocosnetv1 import unit
from scenegen.networks.correspondence.similarity import Similarity, match

CASES = list(product((1, 3, 5), ("channels", "positions"), (False, True)))


def plain(query: Tensor, key: Tensor, kernel: int, centre: str) -> Tensor:
    """Equation 3 of CoCosNet as it stands, patches unfolded."""
    axis = 1 if centre == "channels" else 2
    patches = [F.unfold(t, kernel, padding=kernel // 2) for t in (query, key)]
    query, key = (unit(t - t.mean(axis, keepdim=True)) for t in patches)
    return query.mT @ key


def softmax_warp(
    similarity: Tensor, value: Tensor, temperature: float, bias: Tensor | None, size: torch.Size
) -> Tensor:
    """Equation 4 of CoCosNet as it stands."""
    logits = similarity / temperature + (0 if bias is None else bias[:, None])
    return (logits.softmax(-1) @ value.flatten(2).mT).mT.unflatten(2, size)


def maps(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(3)
    sizes = ((2, 4, 5, 6), (2, 4, 4, 7), (2, 3, 4, 7), (2, 28))
    query, key, value, bias = (torch.randn(size, generator=g, dtype=dtype).requires_grad_() for size in sizes)
    return query, key, value, bias


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.ENTRIES, "cpu", 400)  # several blocks for small maps


@pytest.mark.parametrize(("kernel", "centre", "biased"), CASES)
def test_it_is_the_plain_formula_and_gradcheck_holds(kernel: int, centre: str, biased: bool) -> None:
    query, key, value, bias = maps()
    given = (query, key, value, *([bias] if biased else []))

    def warped(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        return match(query, key, kernel=kernel, centre=centre).warp(value, temperature=0.3, bias=bias)

    similarity = plain(query, key, kernel, centre)
    expected = softmax_warp(similarity, value, 0.3, bias if biased else None, query.shape[-2:])
    torch.testing.assert_close(match(query, key, kernel=kernel, centre=centre).dense(), similarity)
    torch.testing.assert_close(warped(*given), expected)
    assert torch.autograd.gradcheck(warped, given, fast_mode=True)


def test_the_other_direction_is_the_transposed_softmax() -> None:
    query, key, _, _ = maps()
    value = torch.randn(2, 2, 5, 6, dtype=torch.float64)
    expected = softmax_warp(plain(query, key, 3, "channels").mT, value, 0.1, None, key.shape[-2:])
    back = match(query, key, kernel=3).transposed()
    torch.testing.assert_close(back.warp(value, temperature=0.1), expected)


def test_a_map_matched_with_its_mirror_is_mirrored() -> None:
    g = torch.Generator().manual_seed(0)
    key, value = torch.randn(1, 32, 6, 8, generator=g), torch.randn(1, 3, 6, 8, generator=g)
    found = match(key.flip(3), key).warp(value, temperature=0.01)
    torch.testing.assert_close(found, value.flip(3))


def test_autocast_does_not_reach_it() -> None:
    query, key, value, _ = maps(torch.float32)

    def gradients() -> tuple[Tensor, ...]:
        warped = match(query, key, kernel=3).warp(value, temperature=0.01)
        assert warped.dtype == torch.float32
        return warped, *torch.autograd.grad(warped.square().sum(), (query, key, value))

    expected = gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients()
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("centre", ["channels", "positions"])
def test_flat_features_give_finite_gradients(level: float, centre: str) -> None:
    query = torch.full((1, 8, 5, 6), level, requires_grad=True)
    warped = match(query, query.detach(), kernel=3, centre=centre).warp(torch.rand(1, 3, 5, 6), temperature=0.01)
    warped.sum().backward()
    assert query.grad is not None
    assert query.grad.isfinite().all()
    assert warped.isfinite().all()


def test_refusals() -> None:
    query, key, value, bias = maps()
    with pytest.raises(Refusal, match=r"kernel=2 must be odd"):
        match(query, key, kernel=2)
    with pytest.raises(Refusal, match=r"centre='sample' one of channels, positions"):
        match(query, key, centre="sample")
    with pytest.raises(Refusal, match=r"differ in batch or channels"):
        match(query, key[:, :3])
    with pytest.raises(Refusal, match=r"do not fit keys"):
        match(query, key).warp(value[..., :-1], temperature=0.1)
    with pytest.raises(Refusal, match=r"do not fit keys"):
        match(query, key).warp(value, temperature=0.1, bias=bias[:, 1:])
    with pytest.raises(Refusal, match=r"temperature=0 is not above 0"):
        match(query, key).warp(value, temperature=0)


def test_scalar_products_need_no_scale_or_offset() -> None:
    query, key, value, _ = maps()
    expected = softmax_warp(query.flatten(2).mT @ key.flatten(2), value, 0.7, None, query.shape[-2:])
    torch.testing.assert_close(Similarity(query, key).warp(value, temperature=0.7), expected)
