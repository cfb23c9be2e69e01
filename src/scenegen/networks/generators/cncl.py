"""CNCL: one branch finds the content of a noisy slice, another its noise, and both answers are fused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Branches, Refusal, Shown, Synthesis
from scenegen.networks.generators.restormer import Denoiser, Window, to_multiple
from scenegen.networks.layers.after import After, Place
from scenegen.networks.layers.norm import GlobalBatchNorm

STEP = 16
"""Divisor of both sides: four halvings."""

PLANES = ("content", "noise", "source")
"""Planes that the discriminator can be shown."""


class Separated(NamedTuple):
    """The outputs of a network of two branches, each (b, 1, h, w): both branches' own, and the fused picture."""

    content: Tensor
    noise: Tensor
    fused: Tensor


class CnclNet(nn.Module):
    """Two U-Nets of one plan, `_01` for content and `_02` for noise; keys are those of the authors' files.

    Args:
        ngf: channels at full size, 64 as published.

    Source: Geng et al., IEEE Journal of Biomedical and Health Informatics 2022 (CNCL), section III.B, released code.
    """

    def __init__(self, *, ngf: int) -> None:
        super().__init__()
        for branch in ("01", "02"):
            for name, layer in _layers(ngf):
                self.add_module(f"{name}_{branch}", layer)
        self.final_conv = nn.Conv2d(2, 1, 1)
        widths = {5: 8 * ngf, 4: 4 * ngf, 3: 2 * ngf, 2: ngf}
        self.after = After({f"{level}_{branch}": Place(2 ** (level - 1), channels)
                            for level, channels in widths.items() for branch in ("01", "02")})  # fmt: skip

    def forward(self, x: Tensor) -> Separated:
        """Noisy slices (b, 1, h, w), h and w multiples of 16, to both branches and their fusion."""
        content, noise = self._branch(x, "01"), self._branch(x, "02")  # each (b, 1, h, w)
        return Separated(content, noise, self.final_conv(torch.cat([content, x - noise], 1)))

    def _branch(self, x: Tensor, branch: str) -> Tensor:
        skips: list[Tensor] = []
        for level in range(1, 6):
            if level > 1:
                skips.append(x)
                x = F.max_pool2d(x, 2)  # (b, c, h / 2^(level - 1), w / 2^(level - 1))
            x = self._double(x, f"{level}", branch, "")
        x = self.after(x, f"5_{branch}")
        for level in range(4, 0, -1):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = torch.cat([x, skips.pop()], 1)  # (b, 2 c, h / 2^(level - 1), w / 2^(level - 1))
            x = self._double(x, f"{level}", branch, "up") if level > 1 else self._last(x, branch)
            x = self.after(x, f"{level}_{branch}")
        return x

    def _double(self, x: Tensor, level: str, branch: str, up: str) -> Tensor:
        for n in "12":
            x = self.get_submodule(f"{up}conv{level}_{n}_{branch}")(x)
            x = F.relu(self.get_submodule(f"{up}bn{level}_{n}_{branch}")(x))
        return x

    def _last(self, x: Tensor, branch: str) -> Tensor:
        """Both last convolutions, with nothing between: their norms are in the files and in no pass."""
        x = self.get_submodule(f"upconv1_1_{branch}")(x)
        return self.get_submodule(f"upconv1_2_{branch}")(x)


def _layers(ngf: int) -> Iterator[tuple[str, nn.Module]]:
    """Names, without the branch, and layers of one U-Net, in the files' order."""
    down = [(1, ngf, ngf), *((2**i * ngf, 2 ** (i + 1) * ngf, 2 ** (i + 1) * ngf) for i in range(3))]
    down.append((8 * ngf, 16 * ngf, 8 * ngf))
    up = [(16 * ngf, 8 * ngf, 4 * ngf), (8 * ngf, 4 * ngf, 2 * ngf), (4 * ngf, 2 * ngf, ngf), (2 * ngf, ngf // 2, 1)]
    plan = [("", level, widths) for level, widths in zip((1, 2, 3, 4, 5), down, strict=True)]
    plan += [("up", level, widths) for level, widths in zip((4, 3, 2, 1), up, strict=True)]
    for side, level, widths in plan:
        for n in (1, 2):
            yield f"{side}conv{level}_{n}", nn.Conv2d(widths[n - 1], widths[n], 3, padding=1)
            unused = side == "up" and level == 1 and n == 2  # as wide as the finest level in the files
            yield f"{side}bn{level}_{n}", GlobalBatchNorm(ngf if unused else widths[n], affine=True)


class TwoBranches(Denoiser):
    """Base of the models that separate a noisy slice into content and noise.

    Args:
        generator: noisy slices (b, 1, h, w) to `Separated`.
        judged: the three planes that the discriminator sees, in their order, of "content", "noise", "source".
        slice_levels: grey levels from -1 to 1. The network then sees every slice less its mean and over its variance
            in grey levels, as CNCL's release does; None feeds the window from `low` to 1.
        low: number that the network sees at the window's lower end where there are no `slice_levels`, below 1.
    """

    offers: frozenset[str] = frozenset({"branches.content", "branches.noise"})
    step: ClassVar[int] = STEP

    def __init__(self, generator: nn.Module, *, judged: Sequence[str], slice_levels: int | None, low: float) -> None:
        super().__init__()
        if sorted(judged) != sorted(PLANES):
            raise Refusal(f"model.judged={list(judged)} must name each of {', '.join(PLANES)} once, in the order that "
                          "the discriminator sees")  # fmt: skip
        if slice_levels is not None and slice_levels < 2:
            raise Refusal(f"model.slice_levels={slice_levels} must be 2 or more grey levels, or null")
        self.generator = generator
        self.judged, self.slice_levels, self.window = tuple(judged), slice_levels, Window(low)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The fused picture, and what both branches found."""
        picture = batch.require("source")
        h, w = picture.shape[-2:]
        source = to_multiple(picture, step=STEP)
        if self.slice_levels is None:
            mean, spread = self.window.middle, self.window.spread
        else:
            mean, spread = slice_statistics((source + 1) / 2 * self.slice_levels)  # each (b, 1, 1, 1)
            mean, spread = mean / self.slice_levels * 2 - 1, spread / self.slice_levels * 2
        content, residual, fused = self.generator((source - mean) / spread)  # each (b, 1, h, w)
        content, residual, fused = content * spread + mean, residual * spread, fused * spread + mean
        content, residual, fused = (t[..., :h, :w] for t in (content, residual, fused))
        return Synthesis(image=fused, branches=Branches(content=content, noise=residual))

    def shown(self, batch: Batch, synthesis: Synthesis) -> Shown:
        """Content, noise and the noisy slice as three planes: of the model, and of the clean slice."""
        source, image = batch.require("source"), batch.require("image")
        assert synthesis.branches is not None
        fake = {"content": synthesis.image, "noise": synthesis.branches.noise, "source": source}
        real = {"content": image, "noise": source - image, "source": source}
        fakes, reals = (torch.cat([planes[name] for name in self.judged], 1) for planes in (fake, real))
        return Shown(None, fakes, reals)


class Cncl(TwoBranches):
    """CNCL as its authors publish it.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the slices; those that are no multiples of 16 are reflected to the next.
        ngf: see `CnclNet`.
        judged, slice_levels: see `TwoBranches`.

    Source: Geng et al., IEEE Journal of Biomedical and Health Informatics 2022.
    """

    normal_start: ClassVar[bool] = True

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        ngf: int,
        judged: Sequence[str],
        slice_levels: int | None,
    ) -> None:
        super().__init__(CnclNet(ngf=ngf), judged=judged, slice_levels=slice_levels, low=-1.0)


def slice_statistics(slices: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (not deviation) of every noisy slice, by which CNCL's release normalises it and its clean twin.

    Args:
        slices: (b, 1, h, w) in grey levels.

    Returns:
        Two (b, 1, 1, 1); the variance is that of the population, at least 1e-12 for flat slices.

    Source: Geng et al. 2022 (CNCL), released data code.
    """
    variance, mean = torch.var_mean(slices, dim=(1, 2, 3), keepdim=True, unbiased=False)
    return mean, variance.clamp(min=1e-12)
