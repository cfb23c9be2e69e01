"""Blocks of PICNet: residual blocks, doubling blocks, and the attention that reads the encoder; keys of its files.

In the authors' files each convolution stands twice, under its own name and at its place in a sequence; `Doubled` says
which names are one, so that such files load strictly and are written whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.coordinates import CoordinateConv
from scenegen.networks.layers.gated import TwoGatedConvs
from scenegen.networks.layers.halving import halved
from scenegen.networks.layers.run_norm import RunNorm
from scenegen.networks.layers.stepping_spectral import SteppingSpectral

SLOPE = 0.1
"""Of every LeakyReLU but those of the attention's residual block."""

INNER_SLOPE = 0.01

GROUPS = 32
"""Of group norms, at most."""


@dataclass(frozen=True)
class Convolutions:
    """How convolutions of a network are made.

    Attributes:
        kind: "plain"; "coordinate" appends the coordinates of each pixel to every convolution's input; "gated" (3x3
            convolutions alone) opens and closes each value.
        eval_steps: see `SteppingSpectral`.
    """

    kind: str
    eval_steps: bool

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Refusal(f"model.convolution={self.kind} is not one of {', '.join(KINDS)}")

    def same(self, channels: int, out: int, kernel: int) -> nn.Module:
        """A convolution that keeps the map's size."""
        return KINDS[self.kind](channels, out, kernel, self.eval_steps)

    def valid(self, channels: int, out: int, kernel: int) -> nn.Module:
        """A plain convolution without padding."""
        return SteppingSpectral(nn.Conv2d(channels, out, kernel), eval_steps=self.eval_steps)

    def strided(self, channels: int, out: int, *, stride: int) -> nn.Module:
        """A plain 4x4 convolution without bias."""
        conv = nn.Conv2d(channels, out, 4, stride=stride, padding=1, bias=False)
        return SteppingSpectral(conv, eval_steps=self.eval_steps)

    def doubling(self, channels: int, out: int) -> nn.Module:
        """A transposed 3x3 convolution to twice the size."""
        conv = nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1)
        return SteppingSpectral(conv, eval_steps=self.eval_steps)


def _plain(channels: int, out: int, kernel: int, eval_steps: bool) -> nn.Module:
    return SteppingSpectral(nn.Conv2d(channels, out, kernel, padding=kernel // 2), eval_steps=eval_steps)


def _coordinate(channels: int, out: int, kernel: int, eval_steps: bool) -> nn.Module:
    return CoordinateConv(_plain(channels + 2, out, kernel, eval_steps))


def _gated(channels: int, out: int, kernel: int, eval_steps: bool) -> nn.Module:
    return TwoGatedConvs(channels, out, kernel) if kernel == 3 else _plain(channels, out, kernel, eval_steps)


KINDS: dict[str, Callable[[int, int, int, bool], nn.Module]] = {
    "plain": _plain,
    "coordinate": _coordinate,
    "gated": _gated,
}

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "group": lambda channels: nn.GroupNorm(gcd(channels, GROUPS), channels),
    "runs": lambda channels: RunNorm(channels, GROUPS),
}
"""Norms of the doubling blocks: the paper's, torch's with as many groups as divide, the log's."""


class Doubled(nn.Module):
    """Base of networks whose files hold some tensors under two names.

    Attributes:
        TWICE: of a block: its own name of a part -> the other one.
    """

    TWICE: ClassVar[Mapping[str, str]] = {}

    def other_names(self) -> dict[str, str]:
        """Second name of every key of the state dict that has one -> the key."""
        found: dict[str, str] = {}
        for prefix, block in self.named_modules():
            for name, other in block.TWICE.items() if isinstance(block, Doubled) else ():
                part = block.get_submodule(name)
                place = f"{prefix}." if prefix else ""
                found |= {f"{place}{other}.{key}": f"{place}{name}.{key}" for key in part.state_dict()}
        return found

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A file's tensors without their second names; see `interop.Renaming`.

        Raises:
            Refusal: where a tensor differs under its two names.
        """
        others = self.other_names()
        for other, key in others.items():
            if other in state and key in state and not torch.equal(state[other], state[key]):
                raise Refusal(f"the file holds one tensor under two names, but {other} and {key} differ; take the file "
                              "as the authors' code wrote it")  # fmt: skip
        return {key: tensor for key, tensor in state.items() if key not in others}

    def state_of_files(self) -> dict[str, Tensor]:
        """The state dict as the authors' files hold it."""
        own = self.state_dict()
        return own | {other: own[key] for other, key in self.other_names().items()}


class FirstBlock(Doubled):
    """conv, act, conv, halving, plus a halving and a 1x1 convolution; nothing acts on the picture itself.

    Args:
        channels, out: of picture and result.
        convolutions: how they are made.
    """

    TWICE: ClassVar[Mapping[str, str]] = {"conv1": "model.0", "conv2": "model.2", "bypass": "shortcut.1"}

    def __init__(self, channels: int, out: int, *, convolutions: Convolutions) -> None:
        super().__init__()
        self.conv1 = convolutions.same(channels, out, 3)
        self.conv2 = convolutions.same(out, out, 3)
        self.bypass = convolutions.same(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        short = self.bypass(halved(x))  # (b, out, h/2, w/2)
        y = self.conv2(F.leaky_relu_(self.conv1(x), SLOPE))  # (b, out, h, w)
        return halved(y) + short


class ResidualBlock(Doubled):
    """act, conv, act, conv, plus a 1x1 convolution.

    Args:
        channels, hidden, out: of input, first convolution and result.
        convolutions: how they are made.
        halves: both branches are averaged down by 2 at their end.
        slope: of the activations.
    """

    TWICE: ClassVar[Mapping[str, str]] = {"conv1": "model.1", "conv2": "model.3", "bypass": "shortcut.0"}

    def __init__(
        self, channels: int, hidden: int, out: int, *, convolutions: Convolutions, halves: bool = False,
        slope: float = SLOPE,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1 = convolutions.same(channels, hidden, 3)
        self.conv2 = convolutions.same(hidden, out, 3)
        self.bypass = convolutions.same(channels, out, 1)
        self.halves, self.slope = halves, slope

    def forward(self, x: Tensor) -> Tensor:
        short = self.bypass(x)  # (b, out, h, w)
        y = self.conv1(F.leaky_relu(x, self.slope))  # (b, hidden, h, w)
        y = self.conv2(F.leaky_relu_(y, self.slope)) + short  # (b, out, h, w)
        return halved(y) if self.halves else y


class DoublingBlock(Doubled):
    """norm, act, conv, norm, act, transposed conv, plus a transposed conv of the input.

    Args:
        channels, out: of input and result.
        convolutions: how they are made.
        norm: a key of NORMS.
    """

    TWICE: ClassVar[Mapping[str, str]] = {"conv1": "model.2", "conv2": "model.5", "bypass": "shortcut.0"}

    def __init__(self, channels: int, out: int, *, convolutions: Convolutions, norm: str) -> None:
        super().__init__()
        self.conv1 = convolutions.same(channels, out, 3)
        self.conv2 = convolutions.doubling(out, out)
        self.bypass = convolutions.doubling(channels, out)
        self.model = nn.ModuleDict({"0": NORMS[norm](channels), "3": NORMS[norm](out)})

    def forward(self, x: Tensor, picture: Tensor | None = None) -> Tensor:
        """A map (b, c, h, w), and where there is one a picture (b, channels - c, h, w) beside it."""
        x = x if picture is None else torch.cat([x, picture], 1)  # (b, channels, h, w)
        short = self.bypass(x)  # (b, out, 2h, 2w)
        y = self.conv1(F.leaky_relu_(self.model["0"](x), SLOPE))  # (b, out, h, w)
        y = self.conv2(F.leaky_relu_(self.model["3"](y), SLOPE))  # (b, out, 2h, 2w)
        return y + short


class OutputBlock(Doubled):
    """act, reflected border, conv, tanh: a picture (b, 3, h, w) of a map.

    Args:
        channels: of the map.
        convolutions: how they are made.
    """

    TWICE: ClassVar[Mapping[str, str]] = {"conv1": "model.2"}

    def __init__(self, channels: int, *, convolutions: Convolutions) -> None:
        super().__init__()
        self.conv1 = convolutions.valid(channels, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv1(F.pad(F.leaky_relu(x, SLOPE), (1, 1, 1, 1), mode="reflect")))


class ShortLongAttention(Doubled):
    """Attention of a map to itself (short) and, by the same affinities, to an encoder's map (long).

    Args:
        channels: of both maps, divisible by 4.
        convolutions: how they are made.

    Source: Zheng et al., CVPR 2019 (PICNet), section 3.3.
    """

    def __init__(self, channels: int, *, convolutions: Convolutions) -> None:
        super().__init__()
        if channels < 4:
            raise Refusal(f"PICNet's attention divides its channels by 4, got {channels}; choose a larger model.ngf, "
                          "or model.attention=false")  # fmt: skip
        self.gamma = nn.Parameter(torch.zeros(1))
        self.alpha = nn.Parameter(torch.zeros(1))
        self.query_conv = nn.Conv2d(channels, channels // 4, 1)
        # the release's orthogonal initialiser finds this convolution alone: the others have no `weight`
        nn.init.orthogonal_(self.query_conv.weight, gain=0.02)
        nn.init.zeros_(self.query_conv.bias)  # pyright: ignore[reportArgumentType]
        self.model = ResidualBlock(2 * channels, channels, channels, convolutions=convolutions, slope=INNER_SLOPE)

    def forward(self, x: Tensor, encoded: Tensor | None = None, visible: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            x: (b, c, h, w).
            encoded: (b, c, h, w) the encoder's map of the visible half; None leaves the long part out.
            visible: (b, 1, h, w) 1 where `encoded` is known.
        """
        y = self.attended(self.query_conv, x, encoded, visible)
        return y if encoded is None or visible is None else self.model(y)  # (b, c, h, w)

    def attended(self, query: nn.Module, x: Tensor, encoded: Tensor | None, visible: Tensor | None) -> Tensor:
        """The short part (b, c, h, w), or short and long part (b, 2c, h, w); see `forward`."""
        found = affinities(query(x))  # (b, hw, hw)
        short = self.gamma * _read(x, found) + x  # (b, c, h, w)
        if encoded is None or visible is None:
            return short
        long = self.alpha * (1 - visible) * _read(encoded, found) + visible * encoded  # (b, c, h, w)
        return torch.cat([short, long], 1)


def affinities(query: Tensor) -> Tensor:
    """(b, hw, hw), rows sum to 1: softmax of the products of all places' queries (b, c, h, w), unscaled."""
    rows = query.flatten(2)  # (b, c, hw)
    return (rows.mT @ rows).softmax(-1)


def _read(x: Tensor, affinities: Tensor) -> Tensor:
    """Sum over places j of x_j, weighted by row i, at every place i."""
    return (x.flatten(2) @ affinities.mT).view_as(x)


def widths(ngf: int, widest: int, count: int) -> list[int]:
    """Channels after each of `count` halvings: doubled up to `widest`."""
    return [min(ngf * 2**i, widest) for i in range(count)]
