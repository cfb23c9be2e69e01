"""Look-up tables of SPADE's modulations for sampling: a pixel's gamma and beta depend on the few labels around it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal, SceneModel
from scenegen.networks.layers.norm import GlobalBatchNorm, SpectralConv2d
from scenegen.networks.layers.spade import SPADE, nearest

MOST_DISTINCT = 0.5
"""Share of distinct inner windows among the pixels above which plain convolutions take less time and memory; at
256x256 maps of CamVid, COCO-Stuff and the embedded world have 0.01 to 0.04, at 32x32 they have 0.3."""
CHANNELS_LAST = 128 * 128
"""Pixels of a map from which convolutions get it channels last: no slower, and at 256x256 a fourth faster, but
their sums round five times as coarsely, which the wide small maps would hand on to the picture."""
ROWS = 4096
"""Pixels that are modulated at a time, so that their scales and shifts stay in the cache."""


class Windows(NamedTuple):
    """The distinct neighbourhoods of a condition; one that reaches over the border has "outside" in it.

    Attributes:
        symbols: (s, c) the distinct pixels.
        inner: (n, k * k) the symbols in each window of the first convolution; s is outside.
        outer: (m, k * k) the inner windows in each window of the second; n is outside.
        index: (b * h * w,) the outer window around each pixel.
    """

    symbols: Tensor
    inner: Tensor
    outer: Tensor
    index: Tensor


class Survey:
    """Finds the windows of a condition, once for all layers that get the same one.

    Args:
        kernel: of the modulations' convolutions.
    """

    def __init__(self, *, kernel: int) -> None:
        self.kernel = kernel
        self._last: tuple[Tensor, Windows | None] | None = None

    def of(self, condition: Tensor) -> Windows | None:
        """The windows of a condition (b, c, h, w), or None where too many are distinct for a table."""
        if self._last is None or self._last[0] is not condition:
            self._last = condition, self._look(condition)
        return self._last[1]

    def forget(self, *_) -> None:
        """Drop the windows after a pass: the caller may write other labels into the same tensor."""
        self._last = None

    def _look(self, condition: Tensor) -> Windows | None:
        most = MOST_DISTINCT * condition[:, 0].numel()
        symbols, ids = distinct_pixels(condition)
        if ids is None or len(symbols) > most:
            return None
        inner, ids = distinct_windows(ids, outside=len(symbols), kernel=self.kernel)
        if len(inner) > most:
            return None
        outer, ids = distinct_windows(ids, outside=len(inner), kernel=self.kernel)
        return Windows(symbols, inner, outer, ids.flatten())


class LookupSPADE(nn.Module):
    """A trained SPADE for sampling: gamma and beta are computed once per distinct window of the condition.

    Equal to the SPADE up to the order of summation. A k x k convolution adds k * k products, one per tap: every
    distinct inner window is multiplied with the weights of all taps, and an outer window adds up its taps' rows.

    Args:
        spade: in eval mode, padded with zeros.
        survey: shared by the layers of one generator.
    """

    def __init__(self, spade: SPADE, *, survey: Survey) -> None:
        super().__init__()
        self.spade = spade
        self.survey = survey
        self.norm = spade.get_submodule(spade.norm_name)
        (shared, shared_bias), (gamma, gamma_bias), (beta, beta_bias) = (
            _by_tap(conv) for conv in (spade.mlp_shared[0], spade.mlp_gamma, spade.mlp_beta)
        )
        self.shared = nn.Buffer(shared, persistent=False)  # (condition, k k, hidden)
        self.shared_bias = nn.Buffer(shared_bias, persistent=False)
        self.both = nn.Buffer(torch.cat([gamma, beta], dim=2).flatten(1), persistent=False)  # (hidden, k k 2 channels)
        self.bias = nn.Buffer(torch.cat([gamma_bias + 1, beta_bias]), persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """See `SPADE.forward`."""
        condition = nearest(condition, x.shape[-2:])
        windows = self.survey.of(condition)
        if windows is None:
            return self.spade(x, condition)
        scale_shift = self._modulation(windows)
        if self.spade.noise is not None:
            x = self.spade.noise(x)
        if isinstance(self.norm, GlobalBatchNorm | nn.BatchNorm2d):
            _fold(scale_shift, self.norm)
        else:
            x = self.norm(x)
        b, c, h, w = x.shape
        x = x.permute(0, 2, 3, 1).reshape(-1, c)
        result = torch.empty_like(x)
        for given, made, index in zip(x.split(ROWS), result.split(ROWS), windows.index.split(ROWS), strict=True):
            scale, shift = scale_shift.index_select(0, index).chunk(2, dim=1)
            torch.addcmul(shift, given, scale, out=made)
        result = result.view(b, h, w, c).permute(0, 3, 1, 2)
        return result if h * w >= CHANNELS_LAST else result.contiguous()

    def _modulation(self, windows: Windows) -> Tensor:
        """1 + gamma and beta of every outer window, (m, 2 channels)."""
        k = windows.inner.shape[1]
        taps = torch.arange(k, device=windows.inner.device)
        pixels = torch.tensordot(windows.symbols, self.shared, dims=1)
        pixels = F.pad(pixels.flatten(0, 1), [0, 0, 0, k])  # zeros are what the convolutions see outside
        hidden = F.relu_(F.embedding_bag(windows.inner * k + taps, pixels, mode="sum").add_(self.shared_bias))
        products = F.pad(hidden, [0, 0, 0, 1]) @ self.both
        rows = products.view(-1, len(self.bias))  # ((n + 1) k k, 2 channels)
        return F.embedding_bag(windows.outer * k + taps, rows, mode="sum").add_(self.bias)


def looks_up(model: SceneModel) -> bool:
    """True when `look_up` speeds a model up: its generator has SPADE layers, padded with zeros."""
    layers = _spades(model)
    return bool(layers) and all(
        isinstance(layer.pad, nn.Identity) and layer.mlp_gamma.padding_mode == "zeros" for layer in layers
    )


def look_up(model: SceneModel) -> None:
    """Replace the SPADE layers of a trained model's generator by look-up tables, in place and for sampling only.

    Spectrally normalised weights are divided for good as well; the state dict is another one afterwards. Pictures
    are those of the model as it was up to the order of summation: 5e-6 was measured in [-1, 1].

    Args:
        model: in eval mode, a model that `looks_up`.

    Raises:
        Refusal: for other models, and in training mode, where weights would change under the tables.
    """
    if not looks_up(model):
        raise Refusal("this model's modulations depend on more than labels (pictures, or reflected borders), so "
                      "there is nothing to look up; use lookup=false")  # fmt: skip
    if model.training:
        raise Refusal("modulations are looked up in trained models only; call eval() first")
    survey = Survey(kernel=_spades(model)[0].mlp_gamma.kernel_size[0])
    generator = _generator(model)
    for parent in list(generator.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SPADE):
                setattr(parent, name, LookupSPADE(child, survey=survey))
            elif isinstance(child, SpectralConv2d):
                setattr(parent, name, divided(child))
    generator.register_forward_hook(survey.forget, always_call=True)


def _generator(model: SceneModel) -> nn.Module:
    return dict(model.named_children()).get("generator", nn.Identity())


def _spades(model: SceneModel) -> list[SPADE]:
    return [layer for layer in _generator(model).modules() if isinstance(layer, SPADE)]


@torch.no_grad()
def divided(conv: SpectralConv2d) -> nn.Conv2d:
    """A plain convolution whose weight is divided by its singular value once instead of in every call."""
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        kernel_size=(conv.kernel_size[0], conv.kernel_size[1]),
        padding=conv.padding,  # pyright: ignore[reportArgumentType]
        dilation=(conv.dilation[0], conv.dilation[1]),
        bias=False,
        padding_mode=conv.padding_mode,
        device="meta",
    )
    plain.weight = nn.Parameter(conv.weight_orig / conv.sigma())
    plain.bias = conv.bias
    return plain.eval()


def distinct_pixels(condition: Tensor) -> tuple[Tensor, Tensor | None]:
    """The distinct pixels of a condition (b, c, h, w), their order any.

    Returns:
        The distinct pixels (s, c), and each pixel's number among them (b, h, w); None for the numbers where unequal
        pixels share a projection, which labels, also with edges or noise per sample, never do.
    """
    b, c, h, w = condition.shape
    weights = torch.arange(1, c + 1, device=condition.device, dtype=condition.dtype)  # exact for one class and an edge
    ids = _number(weights @ condition.flatten(2)).flatten()
    pixels = condition.permute(0, 2, 3, 1).reshape(-1, c)
    symbols = pixels[_place_of_each(ids)]
    return symbols, ids.view(b, h, w) if torch.equal(symbols[ids], pixels) else None


def distinct_windows(ids: Tensor, *, outside: int, kernel: int) -> tuple[Tensor, Tensor]:
    """The distinct square windows of maps of ids.

    Args:
        ids: (b, h, w) int64 in [0, outside).
        outside: the id beyond the border.
        kernel: side of the windows, odd.

    Returns:
        The ids in each distinct window, (n, kernel * kernel), and the number of each pixel's window, (b, h, w).
    """
    padded = F.pad(ids, [kernel // 2] * 4, value=outside)
    code = padded
    for axis in (2, 1):
        first, *others = code.unfold(axis, kernel, 1).unbind(-1)
        code = first
        for part in others:  # numbered anew each time: the product of two counts of pixels fits into 64 bits
            code = _number(code * (part.max() + 1) + part)
    windows = padded.unfold(1, kernel, 1).unfold(2, kernel, 1).reshape(-1, kernel * kernel)
    return windows[_place_of_each(code.flatten())], code


def _number(code: Tensor) -> Tensor:
    """Numbers of the entries, from 0 on; equal entries have equal numbers."""
    return torch.unique(code, return_inverse=True)[1]


def _place_of_each(ids: Tensor) -> Tensor:
    """Index of one entry per number, of (p,) numbers from 0 on."""
    place = ids.new_empty(int(ids.max()) + 1)
    place[ids] = torch.arange(len(ids), device=ids.device)
    return place


def _by_tap(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight, (inputs, k k, outputs), and bias of a convolution."""
    weight, bias = (conv.get_parameter(name).detach() for name in ("weight", "bias"))
    return weight.flatten(2).permute(1, 2, 0).contiguous(), bias


def _fold(scale_shift: Tensor, norm: GlobalBatchNorm | nn.BatchNorm2d) -> None:
    """Fold the norm into the scales and shifts, in place, so that they apply to the features themselves."""
    scale, shift = scale_shift.chunk(2, dim=1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale *= (norm.running_var + norm.eps).rsqrt()
    shift.addcmul_(scale, norm.running_mean, value=-1)
