"""Style transfer by optimisation: content of the picture, texture of a style picture, one network that sees both."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from scenegen.base.console import printable, say
from scenegen.base.records import Batch, Refusal
from scenegen.base.seeding import hash_seed
from scenegen.losses.objective import Objective, Part
from scenegen.losses.pixels import TotalVariation
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import MEAN_COLOUR
from scenegen.posts.fixed_targets import FixedContent, FixedStyle
from scenegen.posts.optimised import LEVELS, Descent, Progress, draw_curve, minimise
from scenegen.posts.post import Post
from scenegen.posts.style import Style, shares

POOLINGS: Mapping[str, Any] = {
    "max": lambda: nn.MaxPool2d(2, ceil_mode=True),
    "average": lambda: nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
}
"""Pooling -> the module; odd sides are rounded up, and an average divides by the pixels that are there."""

TV_SCALES = {"mean_sq": LEVELS**2, "l1": LEVELS}
"""Form of total variation -> what it is in grey levels, where it is 1 in [-1, 1]."""


@dataclass(frozen=True, kw_only=True)
class Aims:
    """The objective's terms and weights.

    Attributes:
        content_weight, style_weight, tv_weight: of the terms; 0 removes one.
        content_layers, style_layers: that are compared.
        content_layer_weights, style_layer_weights: one per layer, brought to a sum of 1; None for equal ones.
        relative: divide each layer's mean square difference by its target's mean square, so that the weights serve
            any network; false takes the published sums, whose weights belong to one network.
        mix: several styles' "losses" are averaged, or their "grams".
        tv_form: "mean_sq" (mean of squares) or "l1" (sum of absolute values) of neighbouring grey levels' differences.
    """

    content_weight: float
    content_layers: list[str]
    content_layer_weights: list[float] | None
    style_weight: float
    style_layers: list[str]
    style_layer_weights: list[float] | None
    relative: bool
    mix: Literal["losses", "grams"]
    tv_weight: float
    tv_form: Literal["mean_sq", "l1"]

    def __post_init__(self) -> None:
        if self.mix not in ("losses", "grams"):
            raise Refusal(f"mix={self.mix} of a style transfer is not one of losses, grams")
        if self.tv_form not in TV_SCALES:
            raise Refusal(f"tv_form={self.tv_form} of a style transfer is not one of {', '.join(TV_SCALES)}")
        for of in ("content", "style"):  # refuses weights that do not fit
            shares(getattr(self, f"{of}_layers"), getattr(self, f"{of}_layer_weights"), option=f"{of}_layer_weights")

    @property
    def layers(self) -> list[str]:
        """Every layer that is looked at."""
        return [*self.content_layers, *self.style_layers]

    def objective(self, content: Tensor, styles: Sequence[Style], extractor: Extractor) -> Objective:
        """The objective of one picture; the network looks at the targets here."""
        of_content = shares(self.content_layers, self.content_layer_weights, option="content_layer_weights")
        of_style = shares(self.style_layers, self.style_layer_weights, option="style_layer_weights")
        terms: dict[str, Part] = {
            "content": FixedContent(content, extractor="net", layers=of_content, relative=self.relative),
            "style": FixedStyle(styles, extractor="net", layers=of_style, relative=self.relative, mix=self.mix),
            "tv": TotalVariation(form=self.tv_form),
        }
        weights = {
            "content": self.content_weight,
            "style": self.style_weight,
            "tv": self.tv_weight * TV_SCALES[self.tv_form],
        }
        return Objective(terms=terms, weights=weights, extractors={"net": extractor}, offers=())


@dataclass(frozen=True, kw_only=True)
class Start:
    """The picture that the descent begins with: (1 - noise) of a picture and a share of noise.

    Attributes:
        noise: share of the noise, in [0, 1]; 0 starts from the picture (or `first`), 1 from noise alone.
        noise_scale: the noise's standard deviation in grey levels.
        seed: of the noise, which depends on the picture's name too.
    """

    noise: float
    noise_scale: float
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise Refusal(f"noise={self.noise} of a style transfer must lie in [0, 1]; 0 starts from the picture")
        if not 0 <= self.noise_scale < math.inf:
            raise Refusal(f"noise_scale={self.noise_scale} of a style transfer must be 0 or more, in grey levels")

    def levels(self, content: Tensor, *, name: str) -> Tensor:
        """(1, 3, h, w) grey levels."""
        stream = torch.Generator().manual_seed(hash_seed(self.seed, "gatys", name))
        drawn = torch.randn(content.shape, generator=stream, dtype=content.dtype).to(content.device)
        return blend(content, drawn, share=self.noise, scale=self.noise_scale)


class Gatys(Post):
    """Pictures with their own content and the texture of style pictures, found by optimising every pixel.

    Args:
        style: the style pictures' files, as the config names them.
        pictures: name -> (1, 3, h, w) style picture in [-1, 1].
        style_weights: one per style picture, None for equal ones.
        style_scale: width of the style pictures in widths of the picture; None keeps their own size.
        extractor: the frozen network.
        pooling: "max" or "average" in the place of the network's own poolings, odd sides rounded up; "own" keeps them.
        preserve_colours: take over the light alone, the picture's own colours stay.
        first: file of a picture of the same size to start from, as the config names it; None starts from the picture.
        first_picture: it, (1, 3, h, w) in [-1, 1].
        aims, start, descent: terms and weights, first picture, optimiser.

    Source: Gatys, Ecker and Bethge, CVPR 2016; options as in the tools that docs/style_transfer.md names.
    """

    def __init__(
        self,
        *,
        style: str | list[str],
        pictures: Mapping[str, Tensor],
        style_weights: list[float] | None,
        style_scale: float | None,
        extractor: Extractor,
        pooling: str,
        preserve_colours: bool,
        first: str | None,
        first_picture: Tensor | None = None,
        aims: Aims,
        start: Start,
        descent: Descent,
    ) -> None:
        super().__init__()
        if pooling != "own" and pooling not in POOLINGS:
            raise Refusal(f"pooling={pooling} of a style transfer is not one of own, {', '.join(POOLINGS)}")
        if style_scale is not None and not 0 < style_scale <= 16:
            raise Refusal(f"style_scale={style_scale} must lie in (0, 16], or be null for the style pictures' own size")
        wanted = shares(list(pictures), style_weights, option="style_weights")
        self.styles = [Style(name, pictures[name], share) for name, share in wanted.items() if share > 0]
        self.extractor = extractor if pooling == "own" else extractor.repooled(POOLINGS[pooling], name=pooling)
        self.style_scale, self.preserve_colours = style_scale, preserve_colours
        self.aims, self.start, self.descent, self.first = aims, start, descent, first_picture
        self.extractor.require(aims.layers)
        named = " + ".join(f"{s.weight:.3g} {s.stamp}" for s in self.styles)
        options = f"{style_scale}, {pooling}, {preserve_colours}, {aims}, {start}, {descent}"
        if first_picture is not None:
            options += f", from {Style('first', first_picture, 1).stamp}"
        self.stamp = (
            f"Gatys, style {named}, net {self.extractor.stamp}, content {aims.content_weight:g}, style "
            f"{aims.style_weight:g}, tv {aims.tv_weight:g}, {descent.iterations} x {descent.optimiser}, options "
            f"{hashlib.sha256(options.encode()).hexdigest()[:8]}"
        )

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        self.extractor.require_size(height, width, layers=self.aims.layers)
        if self.first is not None and self.first.shape[-2:] != (height, width):
            h, w = self.first.shape[-2:]
            raise Refusal(f"post.gatys.first is a picture of {w}x{h}, but the descent is one of {width}x{height}; give "
                          "one of that size, or null")  # fmt: skip
        for style in self.styles:
            h, w = scaled_size(style.picture, width=width, scale=self.style_scale)
            try:
                self.extractor.require_size(h, w, layers=self.aims.style_layers)
            except Refusal as refusal:
                raise Refusal(f"style picture {style.name} at style_scale={self.style_scale}: {refusal}") from None
        return height, width

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """The same size, clamped to [-1, 1]; each picture is optimised by itself."""
        names = batch.name or tuple(str(place) for place in range(len(picture)))
        made = [self._one(x[None], name=name) for x, name in zip(picture, names, strict=True)]
        return torch.cat(made).to(picture)

    def _one(self, content: Tensor, *, name: str) -> Tensor:
        """One picture, (1, 3, h, w) in [-1, 1]."""
        begun = time.monotonic()
        self.extractor.to(content.device)
        objective = self.aims.objective(content, self._sized(content), self.extractor)
        way = minimise(
            objective,
            Batch(name=(name,)),
            start=self.start.levels(content if self.first is None else self.first.to(content), name=name),
            descent=self.descent,
            checkpoint=self._beside(name, ".ckpt"),
            choice=self._choice(content),
            description=f"gatys {printable(name)}",
        )
        if (curve := self._beside(name, "_curve.png")) is not None:
            draw_curve(way.curve, curve)
        say(summary(way, name=name, seconds=time.monotonic() - begun))
        assert way.best is not None
        levels = own_colours(way.best, content) if self.preserve_colours else way.best
        return (levels / LEVELS - 1).clamp(-1, 1)

    def _sized(self, content: Tensor) -> list[Style]:
        """The style pictures at the size in which they are looked at, on the picture's device."""
        return [Style(s.name, scaled(s.picture.to(content), content, self.style_scale), s.weight) for s in self.styles]

    def _beside(self, name: str, end: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}{end}"

    def _choice(self, content: Tensor) -> str:
        pixels = content.detach().cpu().contiguous().numpy().tobytes()
        return f"{self.stamp}, picture {hashlib.sha256(pixels).hexdigest()[:12]}"


def blend(content: Tensor, noise: Tensor, *, share: float, scale: float) -> Tensor:
    """Grey levels between a picture and noise around the mean colour.

    Args:
        content: (b, 3, h, w) in [-1, 1].
        noise: (b, 3, h, w) of unit deviation.
        share: of the noise, in [0, 1].
        scale: deviation of the noise in grey levels.
    """
    mean = content.new_tensor(MEAN_COLOUR).view(1, 3, 1, 1)
    return mean + (1 - share) * ((content + 1) * LEVELS - mean) + share * scale * noise


def scaled_size(style: Tensor, *, width: int, scale: float | None) -> tuple[int, int]:
    """(h, w) of a style picture in its own shape, as wide as `scale` times a picture of this width; None: its own."""
    if scale is None:
        return style.shape[-2], style.shape[-1]
    wide = max(1, round(scale * width))
    return max(1, round(style.shape[-2] * wide / style.shape[-1])), wide


def scaled(style: Tensor, content: Tensor, scale: float | None) -> Tensor:
    """A style picture at `scaled_size`; bicubic, antialiased."""
    size = scaled_size(style, width=content.shape[-1], scale=scale)
    if size == tuple(style.shape[-2:]):
        return style
    return F.interpolate(style, size=size, mode="bicubic", antialias=True).clamp(-1, 1)


def own_colours(levels: Tensor, content: Tensor) -> Tensor:
    """Light of a picture, colours of another: luminance transfer in the YCbCr of JPEG, on whole grey levels.

    Args:
        levels: (1, 3, h, w) grey levels whose light is taken; clipped, their weighted sum truncated.
        content: (1, 3, h, w) in [-1, 1] whose colours are taken.

    Returns:
        (1, 3, h, w) whole grey levels.

    Source: Gatys et al., arXiv:1606.05897, section 3, in its simplest form.
    """
    light = levels[0].double().clamp(0, 255).permute(1, 2, 0).cpu().numpy()  # (h, w, 3)
    grey = (light @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    own = ((content[0].double() + 1) * LEVELS).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    brightness = Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).convert("YCbCr").getchannel(0)
    _, blue, red = Image.fromarray(own).convert("YCbCr").split()
    merged = Image.merge("YCbCr", (brightness, blue, red)).convert("RGB")
    return torch.from_numpy(np.array(merged)).permute(2, 0, 1)[None].to(levels)


def summary(way: Progress, *, name: str, seconds: float) -> str:
    """One line: weighted losses of the first and of the best picture."""
    first, best = way.curve[0], min(way.curve[1:], key=lambda row: row["total"])
    terms = [f"{key} {first[key]:.4g} -> {best[key]:.4g}" for key in first if key != "iteration"]
    return (
        f"{printable(name)}: {', '.join(terms)}; best of {way.step} iterations: {best['iteration']:g}; {seconds:.1f} s"
    )
