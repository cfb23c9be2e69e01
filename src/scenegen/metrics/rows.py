"""Tables of feature rows that are read part by part: what a distance holds at a time does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

BLOCK = 2048
"""Rows that are read at a time; a set of no more is computed on as one tensor."""


class Rows(Protocol):
    """(n, d) rows: a tensor, or a table elsewhere that gives the rows it is asked for as one."""

    @property
    def shape(self) -> Sequence[int]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, part: slice | Tensor, /) -> Tensor: ...


class Picked:
    """Some rows of a table, in an order of their own.

    Args:
        rows: (n, d).
        picks: (k,) int64 places in it.
    """

    def __init__(self, rows: Rows, picks: Tensor) -> None:
        self.rows, self.picks = rows, picks

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.picks), self.rows.shape[1]

    def __len__(self) -> int:
        return len(self.picks)

    def __getitem__(self, part: slice | Tensor, /) -> Tensor:
        return self.rows[self.picks[part]]


def blocks(rows: Rows, size: int = BLOCK) -> Iterator[Tensor]:
    """Consecutive parts (at most `size`, d) of a table."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def projected(rows: Rows, unit: Tensor) -> Tensor:
    """(n, k) float64 product of rows (n, d) with columns (d, k)."""
    return torch.cat([block.double() @ unit for block in blocks(rows)])
