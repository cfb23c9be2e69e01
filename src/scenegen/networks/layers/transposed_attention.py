"""Attention between channels, over one feature map or between two: parts of Restormer and of log 003's denoiser."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, with the biased variance.

    Args:
        channels: of the input.
        eps: added to the variance.
        bias: False divides by the deviation and subtracts no mean ("BiasFree").

    Source: Ba et al. 2016; bias-free: Zamir et al., CVPR 2022 (Restormer), released code for denoising.
    """

    def __init__(self, channels: int, *, eps: float, bias: bool) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        mean = x.mean(1, keepdim=True)  # (b, 1, h, w)
        scale = (x.var(1, keepdim=True, unbiased=False) + self.eps).rsqrt()  # (b, 1, h, w)
        weight = self.weight.view(1, -1, 1, 1)
        if self.bias is None:
            return x * scale * weight
        return (x - mean) * scale * weight + self.bias.view(1, -1, 1, 1)


class TransposedAttention(nn.Module):
    """MDTA: every channel attends to the others of its head; the cost is linear in the pixels.

    Args:
        channels: of the map, a multiple of `heads`.
        heads: groups of neighbouring channels.

    Source: Zamir et al., CVPR 2022 (Restormer), section 3.1, equation 1.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = require_heads(channels, heads)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = _pointwise(channels, 3 * channels)
        self.qkv_dwconv = _depthwise(3 * channels)
        self.project_out = _pointwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)  # each (b, channels, h, w)
        return self.project_out(attend(q, k, v, temperature=self.temperature))


class GatedFeedForward(nn.Module):
    """GDFN: two branches of depthwise convolutions, one the gate of the other.

    Args:
        channels: of the map.
        expansion: width of a branch over the channels, rounded down.

    Source: Zamir et al., CVPR 2022 (Restormer), section 3.2, equation 2.
    """

    def __init__(self, channels: int, *, expansion: float) -> None:
        super().__init__()
        width = int(channels * expansion)
        self.project_in = _pointwise(channels, 2 * width)
        self.dwconv = _depthwise(2 * width)
        self.project_out = _pointwise(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)  # each (b, width, h, w)
        return self.project_out(F.gelu(gate) * value)


class RestormerBlock(nn.Module):
    """x + MDTA(norm(x)), then x + GDFN(norm(x)).

    Args:
        channels: of the map.
        heads: see `TransposedAttention`.
        expansion: see `GatedFeedForward`.
        norm_bias: see `ChannelNorm`; False as published for denoising.

    Source: Zamir et al., CVPR 2022 (Restormer), figure 2.
    """

    def __init__(self, channels: int, *, heads: int, expansion: float, norm_bias: bool) -> None:
        super().__init__()
        self.norm1 = _body(ChannelNorm(channels, eps=1e-5, bias=norm_bias))
        self.attn = TransposedAttention(channels, heads=heads)
        self.norm2 = _body(ChannelNorm(channels, eps=1e-5, bias=norm_bias))
        self.ffn = GatedFeedForward(channels, expansion=expansion)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class CrossAttention(nn.Module):
    """Channel attention between two maps: the queries of each ask the keys and values of the other's partner.

    The first output is made of x's values under the queries of the context, the second of the context's values under
    the queries of x. There is no residual and no norm: what came in is thrown away (see `CrossBlock`).

    Args:
        channels: of each map.
        heads: see `TransposedAttention`; both directions share its temperatures.

    Source: log 003, whose own code it repeats (cross/1).
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = require_heads(channels, heads)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.x_qkv = _pointwise(channels, 3 * channels)
        self.x_qkv_dwconv = _depthwise(3 * channels)
        self.x_project_out = _pointwise(channels, channels)
        self.ctx_qkv = _pointwise(channels, 3 * channels)
        self.ctx_qkv_dwconv = _depthwise(3 * channels)
        self.ctx_project_out = _pointwise(channels, channels)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Two maps (b, channels, h, w) to two of the same shape."""
        q_x, k_x, v_x = self.x_qkv_dwconv(self.x_qkv(x)).chunk(3, dim=1)  # each (b, channels, h, w)
        q_c, k_c, v_c = self.ctx_qkv_dwconv(self.ctx_qkv(context)).chunk(3, dim=1)  # each (b, channels, h, w)
        of_x = attend(q_c, k_x, v_x, temperature=self.temperature)
        of_context = attend(q_x, k_c, v_c, temperature=self.temperature)
        return self.x_project_out(of_x), self.ctx_project_out(of_context)


class CrossBlock(nn.Module):
    """Both maps plus their cross attention, each under a layer norm of its own.

    Args:
        channels, heads: see `CrossAttention`.

    Source: log 003's later form, whose own code it repeats.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.attn = CrossAttention(channels, heads=heads)
        self.norm_x = ChannelNorm(channels, eps=1e-6, bias=True)
        self.norm_ctx = ChannelNorm(channels, eps=1e-6, bias=True)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Two maps (b, channels, h, w) to two of the same shape."""
        of_x, of_context = self.attn(self.norm_x(x), self.norm_ctx(context))
        return x + of_x, context + of_context


def attend(q: Tensor, k: Tensor, v: Tensor, *, temperature: Tensor) -> Tensor:
    """softmax(q k^T temperature) v between the channels of each head, q and k of unit length over the pixels.

    Args:
        q, k, v: (b, channels, h, w).
        temperature: (heads, 1, 1).

    Returns:
        (b, channels, h, w).
    """
    b, channels, h, w = v.shape
    heads = temperature.shape[0]
    q, k, v = (t.reshape(b, heads, channels // heads, h * w) for t in (q, k, v))  # (b, heads, c, h w)
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    weights = (q @ k.transpose(-2, -1) * temperature).softmax(dim=-1)  # (b, heads, c, c)
    return (weights @ v).reshape(b, channels, h, w)


def require_heads(channels: int, heads: int) -> int:
    """The number of heads, refused where the channels do not divide."""
    if heads < 1 or channels % heads:
        raise Refusal(f"attention divides {channels} channels into {heads} heads, which leaves a rest; give heads that "
                      "divide the channels, or another width= (width.ngf)")  # fmt: skip
    return heads


def _pointwise(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 1, bias=False)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


def _body(norm: nn.Module) -> nn.Module:
    """The norm below the name that the authors' files have for it."""
    return nn.Sequential(OrderedDict(body=norm))
