"""Softmax attention over the similarity of two maps, block of query rows by block, with its own gradient."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from scenegen.networks.layers.exporting import exporting

ENTRIES = {"cpu": 2**18, "cuda": 2**25}
"""Entries of the logits' matrix held at once: few enough for a CPU's cache, enough to keep a GPU busy."""


def warp(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scale: tuple[Tensor, Tensor] | None = None,
    offset: tuple[Tensor, Tensor] | None = None,
    kernel: int = 1,
) -> Tensor:
    """softmax(logits) value, without ever holding the logits.

    logits[i, j] = rows[i] * columns[j] * (sum over offsets t of <query[i + t], key[j + t]>) + left[i] . right[j].

    Args:
        query, key: (b, c, h, w) and (b, c, h', w').
        value: (b, h' w', v).
        scale: rows (b, h w) and columns (b, h' w'); None is 1.
        offset: left (b, h w, k) and right (b, h' w', k); None is 0.
        kernel: side of the window of offsets, odd; positions outside the maps count as 0.

    Returns:
        (b, h w, v), differentiable once in every tensor; the backward pass computes the logits again.

    Source: Rabe and Staats 2021 (Self-attention does not need O(n^2) memory); Dao et al. 2022 (its gradient).
    """
    parts = (*(scale or (None, None)), *(offset or (None, None)))
    if exporting():
        blocks = logits_together(Products(query, key, kernel), scale=scale, offset=offset)
        return torch.cat([logits.softmax(-1) @ value for logits in blocks], dim=1)
    return _Warp.apply(query, key, value, *parts, kernel)  # pyright: ignore[reportReturnType]


class _Warp(torch.autograd.Function):
    """See `warp`."""

    @staticmethod
    def forward(ctx, query, key, value, rows, columns, left, right, kernel) -> Tensor:
        product = Products(query, key, kernel)
        out = value.new_empty(len(value), query.shape[2] * query.shape[3], value.shape[2])
        for b, some in product.blocks():
            logits = product.forward(b, some)
            if rows is not None:
                logits.mul_(columns[b]).mul_(rows[b, some, None])
            if left is not None:
                logits.addmm_(left[b, some], right[b].T)
            torch.mm(torch.softmax(logits, 1, out=logits), value[b], out=out[b, some])
        ctx.save_for_backward(query, key, value, rows, columns, left, right, out)
        ctx.kernel, ctx.scaled, ctx.shifted = kernel, rows is not None, left is not None
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, rows, columns, left, right, out = ctx.saved_tensors
        d_value = torch.zeros_like(value)
        d_rows, d_columns = [torch.zeros_like(t) for t in (rows, columns)] if ctx.scaled else (None, None)
        d_left, d_right = [torch.zeros_like(t) for t in (left, right)] if ctx.shifted else (None, None)
        with torch.autocast(query.device.type, enabled=False):
            product = Products(query, key, ctx.kernel, gradient=True)
            for b, some in product.blocks():
                raw = product.forward(b, some)
                logits = (raw * columns[b]).mul_(rows[b, some, None]) if ctx.scaled else raw
                if ctx.shifted:
                    logits.addmm_(left[b, some], right[b].T)
                weight = torch.softmax(logits, 1, out=logits)
                d_value[b].addmm_(weight.T, d_out[b, some])
                mean = (d_out[b, some] * out[b, some]).sum(1, keepdim=True)
                d_logits = torch.mm(d_out[b, some], value[b].T).sub_(mean).mul_(weight)
                if d_left is not None and d_right is not None:
                    d_left[b, some] = d_logits @ right[b]
                    d_right[b].addmm_(d_logits.T, left[b, some])
                if d_rows is not None and d_columns is not None:
                    turned = torch.mul(raw, d_logits, out=raw)
                    d_rows[b, some] = turned @ columns[b]
                    d_columns[b].addmv_(turned.T, rows[b, some])
                    d_logits.mul_(columns[b]).mul_(rows[b, some, None])
                product.backward(b, some, d_logits)
        return *product.gradients(), d_value, d_rows, d_columns, d_left, d_right, None


def logits_together(
    product: Products, *, scale: tuple[Tensor, Tensor] | None, offset: tuple[Tensor, Tensor] | None
) -> Iterator[Tensor]:
    """Logits of `warp` (b, block, h' w') for blocks of rows, without a gradient.

    All samples are in one product: a graph that is passed on takes batches of any size.
    """
    for some in product.lines():
        logits = product.of(product.query[:, product.reach(some)], product.key)
        if scale is not None:
            logits = logits * scale[1][:, None] * scale[0][:, some, None]
        yield logits if offset is None else logits + offset[0][:, some] @ offset[1].mT


class Products:
    """sum over offsets t of <query[i + t], key[j + t]> for blocks of i, and the gradient of it."""

    def __init__(self, query: Tensor, key: Tensor, kernel: int, *, gradient: bool = False) -> None:
        self.shapes = query.shape, key.shape
        if kernel == 1:
            query, key = query.flatten(2)[..., None], key.flatten(2)[..., None]  # any number of rows fits a block
        around = kernel // 2
        self.kernel, self.around = kernel, around
        (self.h, self.w), (self.key_h, self.key_w) = query.shape[-2:], key.shape[-2:]
        self.query, self.key = (F.pad(t, [around] * 4).permute(0, 2, 3, 1).contiguous() for t in (query, key))
        self.d_query, self.d_key = (torch.zeros_like(t if gradient else t[:0]) for t in (self.query, self.key))
        per_row = self.query.shape[2] * self.key.shape[1] * self.key.shape[2]
        self.height = max(
            ENTRIES.get(query.device.type, 2**18) // per_row, kernel - 1, 1
        )  # the fewer the lines, the larger their margin's share of the work

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """(sample, flat query positions) of each block: whole lines of the map."""
        for b in range(len(self.query)):
            yield from ((b, some) for some in self.lines())

    def lines(self) -> Iterator[slice]:
        """Flat query positions of each block: whole lines of the map."""
        for top in range(0, self.h, self.height):
            yield slice(top * self.w, min(top + self.height, self.h) * self.w)

    def forward(self, b: int, some: slice) -> Tensor:
        """(block, keys) the products, newly allocated."""
        return self.of(self.query[b, self.reach(some)], self.key[b])

    def of(self, query: Tensor, key: Tensor) -> Tensor:
        """(..., block, keys) the products of padded lines (..., lines, w, c) and a padded key (..., h, w, c)."""
        height, width = key.shape[-3:-1]
        each = query.flatten(-3, -2) @ key.flatten(-3, -2).mT
        if self.kernel == 1:
            return each
        grid = each.unflatten(-1, (height, width)).unflatten(-3, (-1, self.w + 2 * self.around))
        return _sum(self._shifted(grid)).flatten(-2).flatten(-3, -2)

    def backward(self, b: int, some: slice, d_products: Tensor) -> None:
        """Add the gradient of a block."""
        lines, (height, width) = self.reach(some), self.key.shape[1:3]
        if self.kernel == 1:
            each = d_products
        else:
            count = lines.stop - lines.start
            grid = d_products.new_zeros(count, self.w + 2 * self.around, height, width)
            block = d_products.view(-1, self.w, self.key_h, self.key_w)
            for place in self._shifted(grid):
                place.add_(block)
            each = grid.view(count * (self.w + 2 * self.around), -1)
        self.d_query[b, lines].flatten(0, 1).addmm_(each, self.key[b].flatten(0, 1))
        self.d_key[b].flatten(0, 1).addmm_(each.T, self.query[b, lines].flatten(0, 1))

    def gradients(self) -> tuple[Tensor, Tensor]:
        """With respect to query and key, in the shapes that they came in."""
        a = self.around
        found = [t[:, a : t.shape[1] - a, a : t.shape[2] - a].permute(0, 3, 1, 2) for t in (self.d_query, self.d_key)]
        return found[0].reshape(self.shapes[0]), found[1].reshape(self.shapes[1])

    def reach(self, some: slice) -> slice:
        """Padded lines of the query that a block's windows touch."""
        return slice(some.start // self.w, some.stop // self.w + 2 * self.around)

    def _shifted(self, grid: Tensor) -> Iterator[Tensor]:
        """Views (..., lines, w, key_h, key_w) of (..., lines + 2 a, w + 2 a, key_h + 2 a, key_w + 2 a), along the
        diagonals."""
        lines = grid.shape[-4] - 2 * self.around
        for y in range(self.kernel):
            for x in range(self.kernel):
                yield grid[..., y : y + lines, x : x + self.w, y : y + self.key_h, x : x + self.key_w]


def _sum(views: Iterator[Tensor]) -> Tensor:
    """Their sum, newly allocated."""
    total = next(views).clone(memory_format=torch.contiguous_format)
    for view in views:
        total.add_(view)
    return total
