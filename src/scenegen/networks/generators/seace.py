"""SEACE: semantic-activation normalisation, and UNITE's generator that is made of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.layers.attention import NonLocal, attend
from scenegen.networks.layers.norm import PARAMETER_FREE, choose
from scenegen.networks.layers.precision import at_least_float32, autocast_dtype
from scenegen.networks.layers.spade import Doubled, SPADEBlock, nearest


class Gaze(NamedTuple):
    """Attention of each position of a label map within that map, before the softmax.

    Attributes:
        query, key: (b, h w, c), of an h x w grid.
        grid: (h, w).
    """

    query: Tensor
    key: Tensor
    grid: tuple[int, int]


class Guide(NamedTuple):
    """Maps that modulate a block; those of another size are resized, nearest.

    Attributes:
        layout: (b, q, h, w) features of the label map.
        warped: (b, q, h, w) features of the exemplar, warped to the label map.
        confidence: (b, 1, h, w) in [0, 1], how far the warp is trusted.
        gaze: gathers the warped features over the label map; None leaves them as they are.
    """

    layout: Tensor
    warped: Tensor
    confidence: Tensor
    gaze: Gaze | None = None

    def at(self, size: tuple[int, int] | torch.Size) -> Guide:
        """The same with all maps at a size."""
        maps = (self.layout, self.warped, self.confidence)
        layout, warped, confidence = (nearest(t, size) for t in maps)
        return Guide(layout, warped, confidence, self.gaze)


class SEACE(nn.Module):
    """Normalise, then scale and shift by maps read from labels and warped exemplar, mixed by their confidence.

    Args:
        channels: of the features.
        layout: channels of the guide's layout.
        warped: channels of the guide's warped exemplar.
        norm: the normalisation without parameters, for `channels`.
        hidden: width in the middle, 128 as published.
        gathers: whether guides come with a gaze; published files hold the weights for it in any case.

    Attributes:
        noise: changes the features before they are normalised (a ClassNoise); None as published.

    Source: Zhan et al., CVPR 2021 (UNITE), section 3.3 (semantic-activation normalization), equations 6 to 8.
    """

    noise: nn.Module | None

    def __init__(
        self, channels: int, *, layout: int, warped: int, norm: nn.Module, hidden: int, gathers: bool = False
    ) -> None:
        super().__init__()

        def shared(inputs: int, out: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, out, 3, padding=1), nn.ReLU(inplace=True))

        self.channels = channels
        self.param_free_norm = norm
        self.seg_shared = shared(layout, hidden)
        self.ref_shared = shared(warped, warped)
        self.ref_shared2 = shared(warped, hidden)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)
        self.coef = nn.Parameter(torch.zeros(()))
        self.ref_shared.requires_grad_(gathers)
        self.coef.requires_grad_(gathers)
        self.register_module("noise", None)

    def forward(self, x: Tensor, guide: Guide) -> Tensor:
        """Modulate (b, channels, h, w)."""
        layout, warped, confidence, gaze = guide.at(x.shape[-2:])
        if gaze is not None:
            values = self.ref_shared(nearest(warped, gaze.grid)).flatten(2).mT  # (b, h w, q)
            gathered = attend(gaze.query, gaze.key, values).mT.unflatten(2, gaze.grid)
            warped = torch.addcmul(warped, self.coef, nearest(gathered, x.shape[-2:]))
        mixed = torch.lerp(self.seg_shared(layout), self.ref_shared2(warped), confidence)
        normalised = self.param_free_norm(x if self.noise is None else self.noise(x))
        return torch.addcmul(normalised + self.beta(mixed), normalised, self.gamma(mixed))


class SelfCorrelation(nn.Module):
    """Self-attention of a label map: its features become a `Gaze`.

    Args:
        channels: of the features, at least 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.key_conv = nn.Conv2d(channels, channels // 4, 1, bias=False)

    def forward(self, features: Tensor, grid: tuple[int, int]) -> Gaze:
        """(b, channels, h, w) to the gaze on a grid of another size."""
        features = nearest(features, grid)
        return Gaze(self.query_conv(features).flatten(2).mT, self.key_conv(features).flatten(2).mT, grid)


class SeaceGenerator(nn.Module):
    """UNITE's generator: a start grid doubled five times; labels and warped exemplar of its depth modulate each block.

    Args:
        semantic_channels: of the label maps.
        ngf: base width; the start grid has 16 ngf channels.
        hidden: width inside each SEACE layer.
        norm: a key of PARAMETER_FREE.

    Source: Zhan et al., CVPR 2021 (UNITE), section 3.3 and figure 2.
    """

    def __init__(self, *, semantic_channels: int, ngf: int, hidden: int, norm: str) -> None:
        super().__init__()
        make = choose(norm, PARAMETER_FREE)

        def block(
            channels: int, out: int, guide: int, *, layout: int | None = None, gathers: bool = False
        ) -> SPADEBlock:
            def modulation(n: int) -> SEACE:
                own = guide if layout is None else layout
                return SEACE(n, layout=own, warped=guide, norm=make(n), hidden=hidden, gathers=gathers)

            return SPADEBlock(channels, out=out, modulation=modulation, padding_mode="reflect")

        self.fc = nn.Conv2d(16 * ngf, 16 * ngf, 3, padding=1)
        self.G_head_0 = block(16 * ngf, 16 * ngf, 8 * ngf)
        self.G_middle_0 = block(16 * ngf, 16 * ngf, 8 * ngf, gathers=True)
        self.G_middle_1 = block(16 * ngf, 16 * ngf, 8 * ngf)
        self.G_up_0 = block(16 * ngf, 8 * ngf, 4 * ngf, gathers=True)
        self.G_up_1 = block(8 * ngf, 4 * ngf, 4 * ngf)
        self.attn = NonLocal(4 * ngf)
        self.G_out_0 = block(4 * ngf, 2 * ngf, 2 * ngf, gathers=True)
        self.G_out_1 = block(2 * ngf, ngf, 3, layout=semantic_channels)
        self.conv_img1 = nn.Conv2d(ngf, 3, 3, padding=1)
        self.doubled = Doubled([n * ngf for n in (16, 16, 8, 4, 2)])
        self.attn2, self.attn3, self.attn4 = (SelfCorrelation(width * ngf) for width in (2, 4, 8))

    def forward(self, layout: tuple[Tensor, ...], warped: tuple[Tensor, ...], confidence: Tensor) -> Tensor:
        """Paint a picture.

        Args:
            layout: the label map's one-hot planes (b, semantic_channels, h, w), then its features from shallow to
                deep: two maps at half the size, two at a fourth, with 2, 4, 8, 8 ngf channels.
            warped: the exemplar's picture and features of the same depths, warped, all at a fourth of the size.
            confidence: (b, 1, h / 4, w / 4).

        Returns:
            (b, 3, h, w) in [-1, 1], float32 also under autocast.
        """
        dtype = autocast_dtype(layout[0]) or layout[0].dtype
        s1, s2, s3, s4, s5 = (t.to(dtype) for t in layout)
        y1, y2, y3, y4, y5 = (t.to(dtype) for t in warped)
        confidence = confidence.to(dtype)
        h, w = y1.shape[-2:]
        gaze2, gaze3, gaze4 = (
            look(s, (h // part, w // part))
            for look, s, part in ((self.attn2, s2, 1), (self.attn3, s3, 2), (self.attn4, s4, 4))
        )

        x = self.fc(nearest(torch.cat([s5, y5], dim=1), (h // 8, w // 8)))
        x = self.G_head_0(x, Guide(s5, y5, confidence).at((h // 8, w // 8)))
        deep = Guide(s4, y4, confidence, gaze4).at((h // 4, w // 4))
        x = self.G_middle_1(self.G_middle_0(self.doubled(x, 0), deep), deep._replace(gaze=None))
        x = self.G_up_0(self.doubled(x, 1), Guide(s3, y3, confidence, gaze3).at((h // 2, w // 2)))
        x = self.G_up_1(self.doubled(x, 2), Guide(s3, y3, confidence).at((h, w)))
        x = self.attn(self.doubled(x, 3))
        x = self.G_out_0(x, Guide(s2, y2, confidence, gaze2).at((2 * h, 2 * w)))
        x = self.G_out_1(self.doubled(x, 4), Guide(s1, y1, confidence).at((4 * h, 4 * w)))
        return torch.tanh(at_least_float32(self.conv_img1(F.leaky_relu(x, 0.2))))
