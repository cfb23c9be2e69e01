"""Distances of tables that are read in parts, beside the same formulas on whole tensors."""

from __future__ import annotations

import pytest
import torch

from scenegen.metrics.frechet import Moments, frechet_distance
from scenegen.metrics.neighbours import coverage_of
from scenegen.metrics.rows import BLOCK, Picked, blocks
from scenegen.metrics.sliced import sliced_wasserstein, transport
from scenegen.metrics.target import Target

N, M, D = BLOCK + 313, 2 * BLOCK + 41, 6


class Parts:
    """A table elsewhere: gives at most BLOCK of its rows at a time."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows, self.shape = rows, tuple(rows.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part):
        found = self.rows[part]
        assert len(found) <= BLOCK, f"{len(found)} rows were read at a time"
        return found


@pytest.fixture(scope="module")
def tables() -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(3)
    mix = torch.randn(D, D, generator=stream)
    return torch.randn(N, D, generator=stream) @ mix, torch.randn(M, D, generator=stream) @ mix * 1.2 + 0.3


def drawn(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_blocks_cover_a_table_in_order(tables):
    x, _ = tables
    order = torch.randperm(N, generator=drawn())
    assert [len(block) for block in blocks(Parts(x))] == [BLOCK, N - BLOCK]
    assert torch.equal(torch.cat([*blocks(Picked(Parts(x), order))]), x[order])


def test_frechet(tables):
    """Heusel's formula on the plain means and covariances."""
    x, y = (t.double() for t in tables)
    want = frechet_distance(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    target = Target.of(Moments.of(Parts(tables[1])))
    assert float(target.distance(Parts(tables[0]))) == pytest.approx(float(want), rel=1e-9)


def test_influence_is_the_derivative_by_a_weight(tables):
    """The distance as the picture weighs 1 + h, by its weighted mean and covariance; differences in h."""
    x, target = tables[0].double(), Target.of(Moments.of(tables[1]))
    found = target.influence(Parts(tables[0]))
    assert abs(float(found.sum())) < 1e-6 * float(found.abs().sum())

    def distance(row: int, h: float) -> float:
        weight = torch.full((N,), 1 / N, dtype=torch.float64)
        weight[row] *= 1 + h
        weight /= weight.sum()
        mean = weight @ x
        covariance = (x - mean).T @ ((x - mean) * weight[:, None]) * (N / (N - 1))
        return float(frechet_distance(mean, covariance, target.mean, target.root @ target.root.T))

    for row in (0, BLOCK + 7):
        slope = N * (distance(row, 1e-3) - distance(row, -1e-3)) / 2e-3
        assert float(found[row]) == pytest.approx(slope, rel=1e-3, abs=1e-3)


def test_course(tables):
    sizes, target = [BLOCK // 2, N - 5, N], Target.of(Moments.of(tables[1]))
    found = target.course(Parts(tables[0]), sizes=sizes, generator=drawn())
    stream = drawn()
    subsets = [tables[0][torch.randperm(N, generator=stream)[:size]] for size in sizes]
    assert torch.allclose(found, torch.stack([target.distance(subset) for subset in subsets]), rtol=1e-9)


def test_neighbours(tables):
    """Kynkaanniemi's and Naeem's formulas on whole matrices of distances."""
    made, real = (t.double() for t in tables)
    across, k = torch.cdist(real, made), 3
    around = [torch.cdist(t, t).kthvalue(k + 1, dim=1).values for t in (real, made)]
    inside = across < around[0][:, None]
    found = coverage_of(Parts(tables[0]), Parts(tables[1]), k=k)
    shares = [inside.any(0), (across < around[1]).any(1), inside.any(1)]
    want = [float(share.double().mean()) for share in shares]
    assert [found.precision, found.recall, found.coverage] == pytest.approx(want, abs=1e-9)
    assert found.density == pytest.approx(float(inside.double().sum(0).mean() / k), abs=1e-9)


def test_sliced(tables, monkeypatch):
    """One pass over all directions, and as many as fit: the same distance, and the same part of each row."""
    want = transport(*tables, directions=20, generator=drawn(), at_once=20)
    plain = sliced_wasserstein(*tables, directions=20, generator=drawn())
    monkeypatch.setattr("scenegen.metrics.sliced.HELD", 3 * 8 * (N + M))
    parts = [*map(Parts, tables)]
    found = transport(*parts, directions=20, generator=drawn())
    assert found.distance == pytest.approx(want.distance, rel=1e-12)
    assert torch.allclose(found.influence, want.influence, rtol=1e-9)
    assert float(sliced_wasserstein(*parts, directions=20, generator=drawn())) == pytest.approx(float(plain), rel=1e-12)
