"""SPADE: the modulated normalisation, and the residual block made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.norm import SpectralConv2d
from scenegen.networks.layers.windows import Survey, Windows, scale_shift

Padding = Literal["zeros", "reflect"]


class SPADE(nn.Module):
    """Spatially-adaptive denormalisation: normalise, then scale and shift by maps read from the condition.

    Args:
        channels: of the features.
        condition_channels: of the condition (semantics, or a picture).
        norm: the normalisation without parameters, for `channels`.
        hidden: width of the shared convolution, 128 as published.
        kernel: of all three convolutions, odd.
        padding_mode: of all three convolutions; "zeros" as published for SPADE, "reflect" for the exemplar families,
            where the padding is a member of `mlp_shared` of its own and so the convolution is `mlp_shared.1`.

    Attributes:
        norm_name: of the norm among the state dict's keys.
        noise: changes the features before they are normalised (a ClassNoise); None as published.
        survey: finds the distinct windows of the condition, each of which is then modulated once, forward and
            backward; shared by the layers of one generator. None convolves every pixel.

    Source: Park et al. 2019, SPADE, equation 1 and figure 3.
    """

    norm_name: ClassVar[str] = "param_free_norm"
    noise: nn.Module | None

    def __init__(
        self,
        channels: int,
        *,
        condition_channels: int,
        norm: nn.Module,
        hidden: int,
        kernel: int = 3,
        padding_mode: Padding = "zeros",
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise Refusal(f"a SPADE kernel must be odd, got {kernel}; use {kernel - 1} or {kernel + 1}")

        self.survey: Survey | None = None
        reflect = padding_mode == "reflect"

        def conv(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel, padding=0 if reflect else kernel // 2)

        self.channels = channels
        self.add_module(self.norm_name, norm)
        self.pad = nn.ReflectionPad2d(kernel // 2) if reflect else nn.Identity()
        shared = [conv(condition_channels, hidden), nn.ReLU(inplace=True)]
        self.mlp_shared = nn.Sequential(*([self.pad] if reflect else []), *shared)
        self.mlp_gamma = conv(hidden, channels)
        self.mlp_beta = conv(hidden, channels)
        self.register_module("noise", None)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Modulate the features.

        Args:
            x: (b, channels, h, w).
            condition: (b, condition_channels, h, w); another size is resized, nearest.

        Returns:
            (b, channels, h, w) norm(x) * (1 + gamma) + beta.
        """
        condition = nearest(condition, x.shape[-2:])
        normalised = self.get_submodule(self.norm_name)(x if self.noise is None else self.noise(x))
        windows = self.survey.of(condition) if self.survey is not None else None
        if windows is not None:
            return self._look_up(normalised, windows)
        hidden = self.pad(self.mlp_shared(condition))  # padded once for both that follow
        # gamma and beta stay two convolutions: one over joined weights measured 0.96 to 1.4 of their time
        return torch.addcmul(normalised + self.mlp_beta(hidden), normalised, self.mlp_gamma(hidden))

    def _look_up(self, normalised: Tensor, windows: Windows) -> Tensor:
        rows = scale_shift(windows, self.mlp_shared[0], self.mlp_gamma, self.mlp_beta).to(normalised.dtype)
        b, _, h, w = normalised.shape
        index = windows.index.view(b, h, w)
        # two dense gathers: the gradient of one joined gather would be put together from two halves first
        scale, shift = (F.embedding(index, part).permute(0, 3, 1, 2) for part in rows.chunk(2, dim=1))
        return torch.addcmul(shift, normalised, scale)


class SqueezeExcite(nn.Module):
    """Channels scaled by a two-layer map of their averages.

    Args:
        channels: of the features, at least `reduction`.
        reduction: of the width in the middle.

    Source: Hu et al., CVPR 2018 (Squeeze-and-Excitation), section 3.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        if channels < reduction:
            raise Refusal(
                f"squeeze-excite divides its {channels} channels by {reduction}, which leaves none; "
                f"widen the network to {reduction} channels there or switch it off"
            )
        middle = channels // reduction
        down, up = nn.Linear(channels, middle, bias=False), nn.Linear(middle, channels, bias=False)
        self.fc = nn.Sequential(down, nn.ReLU(inplace=True), up, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w), scaled per sample and channel."""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class SPADEBlock(nn.Module):
    """Residual block with two modulated convolutions, and a modulated 1x1 shortcut where the width changes.

    Args:
        channels: fin, of the input.
        out: fout, of the result; the middle has min(fin, fout).
        modulation: channels -> layer called with (x, condition), e.g. a SPADE.
        spectral: normalise the convolutions' weights spectrally.
        dilation: of the two 3x3 convolutions.
        padding_mode: of the two 3x3 convolutions.
        squeeze: end the main path with squeeze-excite.

    Source: Park et al. 2019, SPADE, figure 4 left and appendix A.
    """

    def __init__(
        self,
        channels: int,
        *,
        out: int,
        modulation: Callable[[int], nn.Module],
        spectral: bool = True,
        dilation: int = 1,
        padding_mode: Padding = "zeros",
        squeeze: bool = False,
    ) -> None:
        super().__init__()
        middle = min(channels, out)
        conv = SpectralConv2d if spectral else nn.Conv2d
        around = {"padding": dilation, "dilation": dilation, "padding_mode": padding_mode}
        self.conv_0 = conv(channels, middle, 3, **around)
        self.conv_1 = conv(middle, out, 3, **around)
        self.conv_s = conv(channels, out, 1, bias=False) if channels != out else None
        self.norm_0 = modulation(channels)
        self.norm_1 = modulation(middle)
        self.norm_s = modulation(channels) if channels != out else None
        self.se_layar = SqueezeExcite(out) if squeeze else None  # spelt as in the published files

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """The block.

        Args:
            x: (b, fin, h, w).
            condition: for the modulations; best already at (h, w), which saves one resize per layer.

        Returns:
            (b, fout, h, w).
        """
        y = self.convolved(self.conv_0, self.norm_0, x, condition, slope=0.2)
        y = self.convolved(self.conv_1, self.norm_1, y, condition, slope=0.2)
        if self.se_layar is not None:
            y = self.se_layar(y)
        if self.conv_s is not None and self.norm_s is not None:
            x = self.convolved(self.conv_s, self.norm_s, x, condition, slope=None)
        return y + x  # in the order of y, which a sampler's layers lay channels last

    def convolved(
        self, conv: nn.Module, norm: nn.Module, x: Tensor, condition: Tensor, *, slope: float | None
    ) -> Tensor:
        """A convolution of the modulated map, behind a leaky ReLU unless `slope` is None."""
        y = norm(x, condition)
        return conv(y if slope is None else F.leaky_relu_(y, slope))


def nearest(condition: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resize a label-like map to (h, w) by its nearest source pixel, floor(i * in / out)."""
    if condition.shape[-2:] == torch.Size(size):
        return condition
    (h, w), (rows, columns) = condition.shape[-2:], size
    if h % rows == 0 and w % columns == 0:
        return condition[..., :: h // rows, :: w // columns].clone()  # in 0.2 to 0.7 of interpolate's time on a CPU
    return F.interpolate(condition, size=tuple(size), mode="nearest")


class Doubled(nn.Module):
    """A map at twice its size, as between the blocks of every generator here, and what stands behind it there.

    Args:
        widths: channels of the map at each doubling of a pass, from the first to the last.

    Attributes:
        mode: "nearest" as published, or "bilinear".
        learnt: one layer per doubling that takes the place of `mode`, or None as published.
        after: number of a doubling -> a layer behind it (attention), or None as published.
    """

    learnt: nn.ModuleList | None
    after: nn.ModuleDict | None

    def __init__(self, widths: Sequence[int] = ()) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.mode: Literal["nearest", "bilinear"] = "nearest"
        self.register_module("learnt", None)
        self.register_module("after", None)

    def forward(self, x: Tensor, place: int = 0) -> Tensor:
        """(b, channels, h, w) to (b, channels, 2 h, 2 w); `place` is the number of the doubling within the pass."""
        x = F.interpolate(x, scale_factor=2, mode=self.mode) if self.learnt is None else self.learnt[place](x)
        return self.after[str(place)](x) if self.after is not None and str(place) in self.after else x
