"""The kernel distance, against the sum written out pair by pair and torchmetrics' own."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from scenegen.base.records import Refusal
from scenegen.metrics.kernel import kernel_distance, kernel_distance_subsets


def rows(seed: int, n: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_equals_the_paper_pair_by_pair():
    """Binkowski et al. 2018, eq. 4, as three loops."""
    x, y = rows(1, 5), rows(2, 7, 0.5)

    def k(a, b):
        return float((a @ b / 6 + 1) ** 3)

    xx = sum(k(x[i], x[j]) for i in range(5) for j in range(5) if i != j) / 20
    yy = sum(k(y[i], y[j]) for i in range(7) for j in range(7) if i != j) / 42
    xy = sum(k(a, b) for a in x for b in y) / 35
    assert kernel_distance(x, y).item() == pytest.approx(xx + yy - 2 * xy, rel=1e-12)


def test_equals_torchmetrics():
    x, y = rows(3, 20), rows(4, 20, 0.2)
    assert kernel_distance(x, y).item() == pytest.approx(poly_mmd(x, y).item(), rel=1e-9)


def test_unbiased():
    """Two samples of one distribution: the mean over many draws is 0 within its standard error."""
    values = torch.stack([kernel_distance(rows(100 + i, 30), rows(900 + i, 30)) for i in range(60)])
    assert abs(values.mean().item()) < 3 * values.std().item() / 60**0.5
    assert (values < 0).any()


def test_subsets_repeat_with_the_seed():
    x, y = rows(5, 40), rows(6, 50, 1.0)
    found = [
        kernel_distance_subsets(x, y, generator=torch.Generator().manual_seed(s), subsets=5, size=20) for s in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(("n", "m", "d"), [(1, 5, 6), (5, 1, 6), (5, 5, 4)])
def test_refused(n, m, d):
    with pytest.raises(Refusal, match="at least 2 rows"):
        kernel_distance(rows(1, n), torch.zeros(m, d))
