"""ESRGAN's generators: residual-in-residual dense blocks on small pictures, which are then enlarged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal, SceneModel, Shown, Synthesis
from scenegen.networks.generators import rrdb_names

RESIDUAL = 0.2
"""Share of a block's result that is added to its input."""

DENSE = 5
"""Convolutions of a dense block."""

SLOPE = 0.2
SHUFFLED_SLOPE = 0.01
"""Of the leaky ReLUs: ESRGAN's, and torch's default, which the log's port had."""


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each of all maps before it; a fifth of the last is added to the input.

    Args:
        channels: of input and output.
        growth: of the first four convolutions.
        slope: of the leaky ReLUs.

    Source: Wang et al., ECCV workshops 2018 (ESRGAN), figure 4.
    """

    def __init__(self, channels: int, *, growth: int, slope: float) -> None:
        super().__init__()
        for n in range(1, DENSE + 1):
            out = growth if n < DENSE else channels
            self.add_module(f"conv{n}", nn.Conv2d(channels + (n - 1) * growth, out, 3, padding=1))
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        *first, last = self.children()
        for conv in first:
            seen.append(F.leaky_relu(conv(torch.cat(seen, 1)), self.slope))
        return x + RESIDUAL * last(torch.cat(seen, 1))


class ResidualDenseBlocks(nn.Module):
    """Three dense blocks (RRDB); a fifth of their result is added to the input.

    Source: Wang et al., ECCV workshops 2018 (ESRGAN), figure 4.
    """

    def __init__(self, channels: int, *, growth: int, slope: float) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(channels, growth=growth, slope=slope) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(x)))


class RrdbNet(nn.Module):
    """(b, 3, h, w) to (b, 3, scale h, scale w), RGB in [0, 1], unclamped: ESRGAN's and Real-ESRGAN's generator.

    Below x4 the picture's pixels go into channels first, so that the blocks always work at a quarter of the result.
    Parameters are named as in Real-ESRGAN's files.

    Args:
        channels: of the blocks.
        growth: of the dense blocks.
        blocks: RRDBs.
        scale: 1, 2 or 4; sides that do not divide by 4 / scale are reflected, and cut off again.

    Source: Wang et al., ECCV workshops 2018 (ESRGAN), figures 3 and 4; Wang et al., ICCV workshops 2021 (Real-ESRGAN),
    section 3.3.
    """

    def __init__(self, *, channels: int, growth: int, blocks: int, scale: int) -> None:
        super().__init__()
        _require(blocks, scale, scales=(1, 2, 4))
        self.shrink = 4 // scale
        self.scale = scale
        self.conv_first = nn.Conv2d(3 * self.shrink**2, channels, 3, padding=1)
        self.body = _body(channels, growth=growth, blocks=blocks, slope=SLOPE)
        _start_near_identity(self.body)
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_up1, self.conv_up2, self.conv_hr = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        if h % self.shrink or w % self.shrink:
            x = F.pad(x, (0, -w % self.shrink, 0, -h % self.shrink), mode="reflect")
        first = self.conv_first(F.pixel_unshuffle(x, self.shrink))  # (b, n, h/shrink, w/shrink)
        x = first + self.conv_body(self.body(first))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode="nearest")), SLOPE)  # twice the sides
        x = self.conv_last(F.leaky_relu(self.conv_hr(x), SLOPE))  # (b, 3, scale h, scale w)
        return x[..., : self.scale * h, : self.scale * w]

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An official file's tensors under this network's names."""
        return rrdb_names.own(state)


class ShuffledRrdbNet(nn.Module):
    """(b, 3, h, w) to (b, 3, scale h, scale w), of standardised pictures: the log's ESRGAN.

    Growth equals the channels, leaky ReLUs are flatter than ESRGAN's, and a convolution per doubling makes four
    times the channels, whose pixels are laid side by side.

    Args:
        channels: of the blocks.
        blocks: RRDBs.
        scale: 2, 4 or 8.

    Source: the contest log's x2 network (6 or 8 blocks of 64 channels); Shi et al., CVPR 2016, for the enlarging.
    """

    def __init__(self, *, channels: int, blocks: int, scale: int) -> None:
        super().__init__()
        _require(blocks, scale, scales=(2, 4, 8))
        self.scale = scale
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = _body(channels, growth=channels, blocks=blocks, slope=SHUFFLED_SLOPE)
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        ups: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            ups += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.LeakyReLU(SHUFFLED_SLOPE), nn.PixelShuffle(2)]
        self.upsampling = nn.Sequential(*ups)
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv_first(x)  # (b, n, h, w)
        x = self.upsampling(first + self.conv_body(self.body(first)))  # (b, n, scale h, scale w)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), SHUFFLED_SLOPE))  # (b, 3, scale h, scale w)

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An official file's tensors under this network's names."""
        return rrdb_names.own(state)


class SuperResolution(SceneModel):
    """`source` pictures enlarged.

    Args:
        generator: of pictures in [0, 1], less `mean` and over `std`; so is its result.
        height, width: of the enlarged pictures.
        scale: of both sides.
        mean, std: per colour.

    Attributes:
        scale: as given.

    Raises:
        Refusal: sides that do not divide by the scale.
    """

    reads: frozenset[str] = frozenset({"source"})
    keeps_start: ClassVar[bool] = True

    def __init__(
        self,
        generator: nn.Module,
        *,
        height: int,
        width: int,
        scale: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        if height % scale or width % scale:
            raise Refusal(f"model.scale={scale} enlarges to sides that it divides, but size is {height}x{width}; "
                          "choose size.height= and size.width= that divide")  # fmt: skip
        self.generator = generator
        self.scale = scale
        self.mean, self.std = tuple(mean), tuple(std)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The enlarged picture, unclamped."""
        source = batch.require("source")
        made = self.generator(self._standardised(source))  # (b, 3, scale h, scale w)
        mean, std = self._moments(source)
        return Synthesis(image=2 * (made * std + mean) - 1)

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """The enlarged and the real pictures as the generator's network has them, less `mean` and over `std`."""
        return Shown(None, self._standardised(synthesis.image), self._standardised(batch.require("image")))

    def _standardised(self, picture: Tensor) -> Tensor:
        mean, std = self._moments(picture)
        return ((picture + 1) / 2 - mean) / std

    def _moments(self, like: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (like.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return mean, std


class Rrdb(SuperResolution):
    """ESRGAN's generator as a model; see `RrdbNet` and `SuperResolution`.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the enlarged pictures.
        channels, growth, blocks, scale: see `RrdbNet`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        channels: int,
        growth: int,
        blocks: int,
        scale: int,
    ) -> None:
        net = RrdbNet(channels=channels, growth=growth, blocks=blocks, scale=scale)
        super().__init__(net, height=height, width=width, scale=scale, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class ShuffledRrdb(SuperResolution):
    """The log's ESRGAN as a model; see `ShuffledRrdbNet` and `SuperResolution`.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the enlarged pictures.
        channels, blocks, scale: see `ShuffledRrdbNet`.
        mean, std: of the pictures that the network sees, per colour.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        channels: int,
        blocks: int,
        scale: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        net = ShuffledRrdbNet(channels=channels, blocks=blocks, scale=scale)
        super().__init__(net, height=height, width=width, scale=scale, mean=mean, std=std)


def _body(channels: int, *, growth: int, blocks: int, slope: float) -> nn.Sequential:
    return nn.Sequential(*(ResidualDenseBlocks(channels, growth=growth, slope=slope) for _ in range(blocks)))


def _start_near_identity(body: nn.Module) -> None:
    """A tenth of He's start (Wang et al. 2018, section 3.1), so that deep sums of blocks begin small."""
    for part in body.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
            part.weight.data.mul_(0.1)
            nn.init.zeros_(part.bias)  # pyright: ignore[reportArgumentType]


def _require(blocks: int, scale: int, *, scales: Sequence[int]) -> None:
    if blocks < 1:
        raise Refusal(f"model.blocks={blocks} must be 1 or more; 23 is ESRGAN's, 6 the log's")
    if scale not in scales:
        raise Refusal(f"model.scale={scale} is not one of {', '.join(map(str, scales))}, which this network has")
