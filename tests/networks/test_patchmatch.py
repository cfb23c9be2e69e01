"""PatchMatch against a literal double loop, closed forms of the offsets, and matches that are known beforehand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.networks.correspondence.patchmatch import (
    KEPT,
    PatchMatch,
    blend,
    blend_between,
    evaluate,
    first_candidates,
    patchmatch_step,
    positions,
    propagate,
    to_index,
    to_offsets,
)


def features(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """(b, h, w, c) of unit length."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return F.normalize(noise, dim=-1)


def offsets(b: int, h: int, w: int, *, seed: int = 1, reach: int = 3, count: int = KEPT) -> Tensor:
    drawn = torch.randint(-reach, reach + 1, (b, 2, h, w, count), generator=torch.Generator().manual_seed(seed))
    return drawn.float()


def literal_evaluation(content: Tensor, exemplar: Tensor, candidates: Tensor, temperature: float) -> list[list[float]]:
    """The softmax values that are kept, as published, one position and one candidate at a time."""
    b, h, w, _ = content.shape
    kept = []
    for n in range(b):
        for i in range(h):
            for j in range(w):
                scores = []
                for k in range(candidates.shape[-1]):
                    row = min(max(i + float(candidates[n, 0, i, j, k]), 0), h - 1)
                    column = min(max(j + float(candidates[n, 1, i, j, k]), 0), w - 1)
                    match = exemplar[n].reshape(h * w, -1)[int(row * w + column)]
                    scores.append(float(content[n, i, j] @ match) / temperature)
                kept.append(torch.tensor(scores).softmax(0).sort(descending=True).values[:KEPT].tolist())
    return kept


def test_offsets_and_indices_are_inverse() -> None:
    index = torch.randint(0, 35, (2, 5, 7, 3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(to_index(to_offsets(index)), index)


def test_a_fractional_row_spills_into_the_column() -> None:
    # the published arithmetic: W = 64, row 3.5, column 2.25 is 226.25, so (row 3, column 34)
    moved = torch.zeros(1, 2, 8, 64, 1)
    moved[0, :, 0, 0, 0] = torch.tensor([3.5, 2.25])
    assert int(to_index(moved)[0, 0, 0, 0]) == 226 == 3 * 64 + 34


def test_outside_counts_as_the_border() -> None:
    far = torch.full((1, 2, 4, 6, 1), 100.0)
    assert torch.equal(to_index(far), torch.full((1, 4, 6, 1), 23))
    assert torch.equal(to_index(-far), torch.zeros(1, 4, 6, 1, dtype=torch.int64))


@pytest.mark.parametrize("horizontal", [True, False])
def test_neighbours_come_in_order_and_missing_ones_are_zero(horizontal: bool) -> None:
    own = offsets(1, 3, 4, count=2)
    previous, middle, following = propagate(own, horizontal=horizontal).split(2, dim=-1)
    assert torch.equal(middle, own)
    if not horizontal:
        previous, middle, following = (t.transpose(2, 3) for t in (previous, middle, following))
    assert torch.equal(previous[:, :, :, 1:], middle[:, :, :, :-1])
    assert torch.equal(following[:, :, :, :-1], middle[:, :, :, 1:])
    assert not previous[:, :, :, 0].any()
    assert not following[:, :, :, -1].any()


def test_first_candidates_lie_around_the_doubled_match() -> None:
    coarse = torch.tensor([[[5, 0, 3], [2, 4, 1]]])  # 2x3
    got = first_candidates(coarse)
    assert got.shape == (1, 2, 4, 6, KEPT)
    # position (0, 1) of the coarse map matches index 0, which is offset (0, -1), so (0, -2) below
    for i, j in ((0, 2), (1, 3)):
        want = [[2 * a, -2 + 2 * b] for a in (-1, 0, 1, 2) for b in (-1, 0, 1, 2)]
        assert got[0, :, i, j].t().tolist() == want


@pytest.mark.parametrize(("h", "w"), [(5, 5), (4, 7)])
def test_evaluation_is_the_literal_loop(h: int, w: int) -> None:
    content, exemplar = features(2, h, w, 6), features(2, h, w, 6, seed=2)
    candidates = propagate(offsets(2, h, w), horizontal=True)
    moved, values = evaluate(content, exemplar, candidates, temperature=0.1)
    torch.testing.assert_close(
        values.flatten(0, 2), torch.tensor(literal_evaluation(content, exemplar, candidates, 0.1))
    )
    # the kept offsets have the kept values
    scores = torch.einsum("bhwc,bhwkc->bhwk", content, _look_up(exemplar, to_index(moved)))
    among = torch.einsum("bhwc,bhwkc->bhwk", content, _look_up(exemplar, to_index(candidates)))
    torch.testing.assert_close((scores / 0.1).exp() / (among / 0.1).exp().sum(-1, keepdim=True), values)


def _look_up(maps: Tensor, index: Tensor) -> Tensor:
    b, h, w, k = index.shape
    return torch.stack([maps[n].flatten(0, 1)[index[n].flatten()].view(h, w, k, -1) for n in range(b)])


@pytest.mark.parametrize(("h", "w"), [(16, 16), (12, 20)])
def test_a_known_shift_is_found(h: int, w: int) -> None:
    exemplar = features(1, h, w, 16)
    content = exemplar.roll((-2, 3), dims=(1, 2))  # the match of (i, j) is (i + 2, j - 3)
    found = torch.zeros(1, 2, h, w, KEPT)
    found[:, :, 4, 8, 0] = torch.tensor([2.0, -3.0])  # one good seed spreads over the map
    for i in range(max(h, w)):
        found, _ = patchmatch_step(content, exemplar, found, temperature=0.01, horizontal_first=i % 2 == 0)
    best = found[0, :, : h - 2, 3:, 0]
    assert (best == torch.tensor([2.0, -3.0]).view(2, 1, 1)).all()


def test_the_blend_has_the_plain_gradient() -> None:
    content, exemplar = features(2, 3, 4, 5, dtype=torch.float64), features(2, 3, 4, 5, seed=2, dtype=torch.float64)
    colours = torch.rand(2, 3, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    index = to_index(offsets(2, 3, 4, count=4))

    def plain(content: Tensor, exemplar: Tensor, colours: Tensor) -> Tensor:
        scores = torch.einsum("bhwc,bhwkc->bhwk", content, _look_up(exemplar, index)) / 0.3
        return torch.einsum("bhwk,bhwkr->bhwr", scores.softmax(-1), _look_up(colours, index))

    inputs = tuple(t.requires_grad_() for t in (content, exemplar, colours))
    got, want = blend(*inputs, index=index, temperature=0.3), plain(*inputs)
    torch.testing.assert_close(got, want)
    slopes = [torch.autograd.grad(t.sin().sum(), inputs) for t in (got, want)]
    for a, b in zip(*slopes, strict=True):
        torch.testing.assert_close(a, b)


def test_between_pixels_equals_the_pixels_at_whole_offsets() -> None:
    content, exemplar = features(2, 4, 6, 5), features(2, 4, 6, 5, seed=2)
    colours = torch.rand(2, 4, 6, 3, generator=torch.Generator().manual_seed(3))
    moved = offsets(2, 4, 6)
    want = blend(content, exemplar, colours, to_index(moved), temperature=0.1)
    torch.testing.assert_close(
        blend_between(content, exemplar, colours, moved, temperature=0.1), want, atol=1e-5, rtol=0
    )


def test_between_pixels_the_offsets_have_a_gradient() -> None:
    content, exemplar = features(1, 3, 4, 5, dtype=torch.float64), features(1, 3, 4, 5, seed=2, dtype=torch.float64)
    colours = torch.rand(1, 3, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    # inside the map and off the pixels, where the reading has no kinks
    rows, columns = positions(offsets(1, 3, 4, count=2).double())
    inside = torch.stack([rows.clamp(0, 1.5) + 0.3, columns.clamp(0, 2.5) + 0.2], dim=1)
    own = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij"))[None, ..., None]
    moved = (inside - own).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: blend_between(content, exemplar, colours, m, temperature=0.3), (moved,))


def level(refine: str, *, h: int = 8, w: int = 12) -> tuple[PatchMatch, list[Tensor]]:
    torch.manual_seed(0)
    net = PatchMatch(channels=6, iterations=2, temperature=0.1, refine=refine)
    maps = [features(2, h, w, 6, seed=s).permute(0, 3, 1, 2).contiguous().requires_grad_() for s in (0, 1)]
    return net, [*maps, torch.rand(2, 3, h, w, generator=torch.Generator().manual_seed(2)), offsets(2, h, w)]


@pytest.mark.parametrize("refine", ["frozen", "none"])
def test_the_published_refinement_gets_no_gradient(refine: str) -> None:
    net, given = level(refine)
    index, warped = net(*given, horizontal_first=[True, False])
    assert index.shape == (2, 8, 12, KEPT)
    warped.sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in net.parameters())
    assert all(t.grad is not None and t.grad.any() for t in given[:2])


def test_the_trained_refinement_gets_one_everywhere() -> None:
    net, given = level("trained")
    _, warped = net(*given, horizontal_first=[True, False])
    warped.square().sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # an instance norm takes away the bias of the convolution before it
    assert set(without) <= {"initial_layer.0.bias", "initial_layer.3.bias"}


def test_the_trained_refinement_learns_what_lies_between_pixels() -> None:
    """Content is the exemplar read half a column further; whole offsets cannot say that, the trained ones can."""
    torch.manual_seed(0)
    smooth = F.interpolate(torch.randn(1, 6, 4, 6), size=(16, 24), mode="bicubic")
    exemplar = F.normalize(smooth, dim=1)
    content = F.normalize((smooth + smooth.roll(-1, dims=3)) / 2, dim=1)
    ramp = torch.linspace(-1, 1, 24).expand(1, 3, 16, 24)
    target = ramp + 1 / 23
    net = PatchMatch(channels=6, iterations=1, temperature=0.01, refine="trained")
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    errors = []
    for _ in range(60):
        _, warped = net(content, exemplar, ramp, torch.zeros(1, 2, 16, 24, KEPT), horizontal_first=[True])
        error = (warped - target)[..., :-1].abs().mean()
        adam.zero_grad()
        error.backward()
        adam.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]


def test_unknown_options_are_refused() -> None:
    with pytest.raises(Refusal, match="refine='learnt' is not known; choose one of frozen, trained, none"):
        PatchMatch(channels=4, iterations=5, temperature=0.01, refine="learnt")
    with pytest.raises(Refusal, match="must be positive, got 0 and"):
        PatchMatch(channels=4, iterations=0, temperature=0.01, refine="frozen")
    with pytest.raises(Refusal, match=r"must be positive, got 5 and 0\.0"):
        PatchMatch(channels=4, iterations=5, temperature=0.0, refine="frozen")
