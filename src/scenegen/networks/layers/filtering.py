"""Convolutions of a network that only looks or paints, on a CPU, by bilinear algorithms of fewer products.

Along an axis, a filter g over inputs x gives made @ ((filters @ g) * (given @ x)); two axes come one after the other.
Over the channels each product is a matrix product, and the sums before and after it are too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod, tau

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal

TILES = 136
"""Tiles that are multiplied at a time, so that what lies between the sums stays in the cache."""
CHANNELS = 64
"""Channels out whose filters are transformed at a time."""
ROW_BY_ROW = 2**18
"""Weights of a product from which those of one channel out lie together: on few pixels its time is up to a sixth less,
and of fewer weights up to a tenth more."""


@dataclass(frozen=True)
class Algorithm:
    """Outputs of a filter along one axis, in float64.

    Attributes:
        given: (products, inputs), of the inputs of a tile.
        filters: (products, taps), of the filter.
        made: (outputs, products), of the products.
        around: zeros before the inputs that the algorithm adds by itself.
    """

    given: Tensor
    filters: Tensor
    made: Tensor
    around: int = 0


ONE = torch.ones(1, 1, dtype=torch.float64)
POINT = Algorithm(given=ONE, filters=ONE, made=ONE)
"""An axis along which the kernel has one tap."""


def toom_cook(points: Sequence[float], *, taps: int) -> Algorithm:
    """Tiles of as many inputs as there are products: values of polynomials at the points and at infinity.

    Args:
        points: all but infinity.
        taps: of the filter.

    Source: Lavin and Gray, CVPR 2016, section 4; points of small error: Barabasz et al., arXiv 1803.10986.
    """
    outputs = len(points) + 2 - taps
    others = [[q for q in points if q != p] for p in points]
    given = [[*_polynomial(roots), 0.0] for roots in others] + [_polynomial(points)]
    scales = [prod(p - q for q in roots) for p, roots in zip(points, others, strict=True)]
    filters = [[p**i / scale for i in range(taps)] for p, scale in zip(points, scales, strict=True)]
    made = [[float(p) ** i for i in range(outputs)] for p in points]
    rows = (given, [*filters, _highest(taps)], [*made, _highest(outputs)])
    given_, filters_, made_ = (torch.tensor(r, dtype=torch.float64) for r in rows)
    return Algorithm(given_, filters_, made_.t())


def fourier(length: int, *, taps: int) -> Algorithm:
    """A whole axis with zeros around it, an output per input, as a cyclic convolution by Fourier transforms.

    The cycle is so long that what it carries round are zeros, or outputs that nobody asks for. A complex product is
    three real ones.

    Args:
        length: of the axis.
        taps: of the filter, an odd number.
    """
    around = taps // 2
    cycle = length + around
    places, taps_from_middle = torch.arange(length), torch.arange(taps) - around
    given, filters, made = [], [], []
    for k in range(cycle // 2 + 1):
        x, g = _wave(-k, places, cycle), _wave(k, taps_from_middle, cycle)
        if k in (0, cycle / 2):
            given, filters, made = [*given, x.real], [*filters, g.real], [*made, x.real / cycle]
            continue
        y = 2 / cycle * x.conj()
        given += [x.real + x.imag, x.real, x.imag]
        filters += [g.real, g.imag - g.real, g.real + g.imag]
        made += [y.real - y.imag, -y.imag, -y.real]
    return Algorithm(torch.stack(given), torch.stack(filters), torch.stack(made, dim=1), around)


class Filtered(nn.Module):
    """A trained convolution of stride 1 by an algorithm for each axis.

    The convolution itself is called where a gradient is asked for, on another device than the CPU, in half precision
    (whose rounding the sums around the products would enlarge tenfold), on no pictures, and where an axis is not as
    long as `fourier` was made for.

    Args:
        conv: without groups or dilation; its weights stay as they are.
        down, across: of its two axes; `POINT` where the kernel has one tap. `fourier` knows no padding but zeros.
        alone: do not keep the convolution's own weights: results carry no gradient, and what would call it is refused.

    Raises:
        Refusal: another convolution.
    """

    def __init__(
        self, conv: nn.Conv2d, *, down: Algorithm = POINT, across: Algorithm = POINT, alone: bool = False
    ) -> None:
        super().__init__()
        if not is_plain(conv) or (conv.padding_mode != "zeros" and (down.around or across.around)):
            raise Refusal(f"{conv} has a stride, a dilation, groups or a padding that no algorithm knows; "
                          "call it as it is")  # fmt: skip
        self.axes, self.taps, self.mode = (down, across), conv.kernel_size, conv.padding_mode
        self.padding = (int(conv.padding[0]), int(conv.padding[1]))
        self.conv = None if alone else conv
        self.weight = nn.Buffer(_transformed(conv.weight.detach(), self.axes), persistent=False)
        self.bias = None if conv.bias is None else nn.Buffer(conv.bias.detach(), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """See `nn.Conv2d`; the result lies channels last.

        Raises:
            Refusal: `alone`, and an input that needs the convolution itself.
        """
        if self.conv is not None and self._learns(input, self.conv):
            return self.conv(input)
        if self._computes(input) and self._fits(input):
            return self._filtered(input)
        if self.conv is None:
            raise Refusal(
                f"a convolution that keeps transformed weights alone takes (b, c, h, w) in {self.weight.dtype} on "
                f"a CPU without autocast, not {[*input.shape]} in {input.dtype} on {input.device}; use lookup=false"
            )
        return self.conv(input)

    @torch.no_grad()
    def _filtered(self, input: Tensor) -> Tensor:
        if self.mode != "zeros" and any(self.padding):
            around = [side for padding in reversed(self.padding) for side in (padding, padding)]
            input = F.pad(input, around, mode=self.mode)
        (h, down, above), (w, across, beside) = (self._side(length, i) for i, length in enumerate(input.shape[2:]))
        image = input.permute(0, 2, 3, 1).contiguous()
        if any(above + beside):
            image = F.pad(image, (0, 0, *beside, *above))
        outputs = [len(axis.made) for axis in self.axes]
        result = image.new_empty(len(image), down, outputs[0], across, outputs[1], self.weight.shape[2])
        pictures, rows = max(1, TILES // (down * across)), max(1, TILES // across)
        for given, made in zip(image.split(pictures), result.split(pictures), strict=True):
            for first in range(0, down, rows):
                self._fill(made[:, first : first + rows], given[:, first * outputs[0] :])
        return result.view(len(image), down * outputs[0], across * outputs[1], -1)[:, :h, :w].permute(0, 3, 1, 2)

    def _learns(self, input: Tensor, conv: nn.Conv2d) -> bool:
        return torch.is_grad_enabled() and any(part.requires_grad for part in (input, *conv.parameters()))

    def _computes(self, input: Tensor) -> bool:
        whole = input.dtype == self.weight.dtype and input.dtype in (torch.float32, torch.float64)
        return whole and input.device.type == "cpu" and not torch.is_autocast_enabled("cpu")

    def _fits(self, input: Tensor) -> bool:
        if input.ndim != 4 or not input.numel():
            return False
        sides = zip(self.axes, input.shape[2:], self.padding, strict=True)
        return all(not axis.around or (side, padding) == (axis.given.shape[1], axis.around)
                   for axis, side, padding in sides)  # fmt: skip

    def _side(self, length: int, i: int) -> tuple[int, int, tuple[int, int]]:
        """Outputs along an axis, tiles, and zeros before and after the input."""
        axis, padding = self.axes[i], self.padding[i] if self.mode == "zeros" else 0
        outputs, inputs = len(axis.made), axis.given.shape[1]
        made = length + 2 * padding - self.taps[i] + 1
        tiles, before = -(-made // outputs), padding - axis.around
        return made, tiles, (before, tiles * outputs - outputs + inputs - length - before)

    def _fill(self, made: Tensor, given: Tensor) -> None:
        """Write (b, rows, outputs, columns, outputs, out), whose first tile is the first of (b, h, w, in)."""
        b, rows, below, columns, beside, out = made.shape
        inputs, n, channels = [axis.given.shape[1] for axis in self.axes], b * rows * columns, given.shape[-1]
        picture, row, column, channel = given.stride()
        strides = (row, column, picture, below * row, beside * column, channel)
        tiles = given.as_strided((*inputs, b, rows, columns, channels), strides)
        room = _rooms(given, max(prod(inputs), len(self.weight)) * n * max(channels, out))
        x = room(*tiles.shape).copy_(tiles).view(*inputs, n, channels)
        x = _along_both(x, [axis.given for axis in self.axes], room)
        x = torch.bmm(x.view(-1, n, channels), self.weight, out=room(len(self.weight), n, out))
        x = _along_both(x.view(*(len(axis.given) for axis in self.axes), n, out), [a.made for a in self.axes], room)
        x = x.view(below, beside, b, rows, columns, out).permute(2, 3, 0, 4, 1, 5)
        if self.bias is None:
            made.copy_(x)
        else:
            torch.add(x, self.bias, out=made)


def is_plain(conv: nn.Conv2d) -> bool:
    """True for a convolution of stride 1 without groups or dilation, whose padding is numbers of pixels."""
    return (conv.stride, conv.dilation, conv.groups) == ((1, 1), (1, 1), 1) and not isinstance(conv.padding, str)


def _transformed(weight: Tensor, axes: tuple[Algorithm, Algorithm]) -> Tensor:
    """(out, in, h, w) weights -> (products, in, out), computed in float64 a few channels at a time."""
    filters = torch.kron(axes[0].filters, axes[1].filters)
    found = weight.new_empty(len(filters), *weight.shape[:2])
    for part, into in zip(weight.split(CHANNELS), found.split(CHANNELS, dim=1), strict=True):
        into.copy_((filters @ part.double().reshape(-1, filters.shape[1]).t()).view(into.shape))
    found = found.transpose(1, 2)
    return found if found[0].numel() > ROW_BY_ROW else found.contiguous()


Room = Callable[..., Tensor]


def _rooms(like: Tensor, numel: int) -> Room:
    """Places for one result after the other, by turns in two pieces of memory: new ones cost the kernel's time."""
    pieces = [like.new_empty(numel), like.new_empty(numel)]

    def room(*shape: int) -> Tensor:
        pieces.reverse()
        return pieces[0][: prod(shape)].view(shape)

    return room


def _along_both(x: Tensor, matrices: Sequence[Tensor], room: Room) -> Tensor:
    """(i, j, n, c) -> (i', j', n, c) by an (i', i) and a (j', j) matrix."""
    down, across = (matrix.to(x) for matrix in matrices)
    (i, j, n, c), i_made, j_made = x.shape, len(down), len(across)
    if down.numel() > 1:
        x = torch.mm(down, x.view(i, -1), out=room(i_made, j * n * c))
    if across.numel() > 1:
        x = torch.bmm(across.expand(i_made, -1, -1), x.view(i_made, j, -1), out=room(i_made, j_made, n * c))
    return x.view(i_made, j_made, n, c)


def _polynomial(roots: Sequence[float]) -> list[float]:
    """Coefficients of the product of (x - root), from the constant on."""
    found = [1.0]
    for root in roots:
        found = [high - root * low for high, low in zip([0.0, *found], [*found, 0.0], strict=True)]
    return found


def _highest(count: int) -> list[float]:
    """The value of a polynomial at infinity, by its coefficients: the last."""
    return [0.0] * (count - 1) + [1.0]


def _wave(k: int, places: Tensor, cycle: int) -> Tensor:
    """exp(2 pi i k place / cycle) in complex128."""
    angles = tau / cycle * k * places.double()
    return torch.polar(torch.ones_like(angles), angles)
