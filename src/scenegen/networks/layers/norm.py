"""Normalisations: batch norm over the batch of all processes, and spectral norm, with the official state dicts."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.precision import at_least_float32, autocast_dtype


class GlobalBatchNorm(nn.Module):
    """Batch norm whose training statistics are those of the global batch, on any device and backend.

    On one process it is `F.batch_norm`. With torch.distributed and more than one process it exchanges the
    statistics itself, because nn.SyncBatchNorm does not run on a CPU. Process counts may differ per rank.

    Args:
        channels: of the input.
        affine: learn a scale and a shift (SPADE does not: its modulation takes their place).
        eps, momentum: as published, 1e-5 and 0.1.

    Source: Park et al. 2019, SPADE, equation 1 (mu, sigma) and section 3.1 (synchronised).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, affine: bool = False, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        # published checkpoints hold this counter and it is never counted up
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise per channel.

        Args:
            x: (b, channels, h, w).

        Returns:
            (b, channels, h, w), zero mean and unit variance over the global batch in training mode.

        Raises:
            Refusal: in training with a single value per channel.
        """
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1 and not _processes():
            raise Refusal("batch norm needs more than one value per channel in training; raise batch or size")
        if self.training and _processes():
            return self._across_processes(x)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )

    def _across_processes(self, x: Tensor) -> Tensor:
        y, mean, var, count = _Normalise.apply(x, self.eps)  # type: ignore[misc]
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        if self.weight is not None and self.bias is not None:
            y = torch.addcmul(self.bias.view(1, -1, 1, 1), y, self.weight.view(1, -1, 1, 1))
        return y

    def extra_repr(self) -> str:
        return f"{self.running_mean.numel()}, eps={self.eps}, momentum={self.momentum}"


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) with mean and var over all processes, and its exact gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = x if x.dtype == torch.float64 else x.float()
        var, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
        n = torch.full_like(mean[:1], x.numel() // x.shape[1])
        own = torch.cat([mean, var, n])
        every = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(every, own)
        means, variances, counts = torch.stack(every).split([len(mean), len(mean), 1], dim=1)
        count = counts.sum()
        share = counts / count
        mean = (share * means).sum(0)
        # the parallel variance: no difference of large squares
        var = (share * (variances + (means - mean).square())).sum(0)
        rstd = (var + eps).rsqrt()
        y = ((wide - mean.view(1, -1, 1, 1)) * rstd.view(1, -1, 1, 1)).to(x.dtype)
        ctx.save_for_backward(y, rstd, count)
        ctx.mark_non_differentiable(mean, var, count)
        return y, mean, var, count

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        y, rstd, count = ctx.saved_tensors
        dy = grads[0].to(rstd.dtype)
        wide = y.to(rstd.dtype)
        sums = torch.stack([dy.sum((0, 2, 3)), (dy * wide).sum((0, 2, 3))])
        dist.all_reduce(sums)
        mean_dy, mean_dy_y = (sums / count).view(2, 1, -1, 1, 1)
        dx = (dy - mean_dy - wide * mean_dy_y) * rstd.view(1, -1, 1, 1)
        return dx.to(y.dtype), None


class SpectralWeight(nn.Module):
    """Base of spectrally normalised layers: a weight beside u and v, one power step per call in training.

    State dict and numbers are those of the hook `torch.nn.utils.spectral_norm` (v is renewed before u, in
    every training-mode call, also under no_grad); the estimate reuses W v and keeps full precision under
    autocast. Unlike the hook it can be deep-copied.

    Source: Miyato et al. 2018, Spectral normalization for GANs, algorithm 1.
    """

    bias: nn.Parameter | None
    weight_orig: nn.Parameter
    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        weight = self._parameters.pop("weight")
        assert weight is not None
        self.register_parameter("weight_orig", weight)  # after the bias, as published
        rows = weight.shape[0]
        self.register_buffer("weight_u", _unit(weight.new_empty(rows).normal_()))
        self.register_buffer("weight_v", _unit(weight.new_empty(weight.numel() // rows).normal_()))

    @torch.no_grad()
    def reset(self, generator: torch.Generator | None = None) -> None:
        """Draw the weight (uniform, 1 / sqrt(fan in)) and both vectors anew; the bias becomes zero."""
        bound = (self.weight_orig[0].numel()) ** -0.5
        self.weight_orig.uniform_(-bound, bound, generator=generator)
        self.weight_u.copy_(_unit(self.weight_u.normal_(generator=generator)))
        self.weight_v.copy_(_unit(self.weight_v.normal_(generator=generator)))
        if self.bias is not None:
            self.bias.zero_()

    def sigma(self) -> Tensor:
        """The estimated largest singular value; in training mode after one power step on v, then u."""
        if autocast_dtype(self.weight_orig) is None:
            return self._estimate()
        with torch.autocast(self.weight_orig.device.type, enabled=False):
            return self._estimate()

    def _estimate(self) -> Tensor:
        matrix = self.weight_orig.flatten(1)
        if not self.training:
            return torch.dot(self.weight_u.clone(), matrix @ self.weight_v.clone())
        with torch.no_grad():
            v = _unit(matrix.t() @ self.weight_u)
        stretched = matrix @ v
        with torch.no_grad():
            u = _unit(stretched)
            self.weight_u.copy_(u)
            self.weight_v.copy_(v)
        return torch.dot(u, stretched)


class SpectralConv2d(SpectralWeight, nn.Conv2d):
    """A convolution whose weight is divided by its largest singular value; see `SpectralWeight`.

    The division is done on the smaller of weight and output: conv(x, W / s) is conv(x, W) / s.
    """

    def forward(self, input: Tensor) -> Tensor:
        sigma = self.sigma()
        outputs = input.shape[0] * self.out_channels * input.shape[2] * input.shape[3] // self.stride[0] ** 2
        if outputs > self.weight_orig.numel():
            return self._conv_forward(input, self.weight_orig / sigma, self.bias)
        y = self._conv_forward(input, self.weight_orig, None)
        scale = sigma.reciprocal().to(y.dtype)
        return y * scale if self.bias is None else torch.addcmul(self.bias.to(y.dtype).view(-1, 1, 1), y, scale)


class SpectralLinear(SpectralWeight, nn.Linear):
    """A linear map whose weight is divided by its largest singular value; see `SpectralWeight`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight_orig / self.sigma(), self.bias)


def positional_norm(x: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Normalise every position over its channels, by the unbiased variance.

    Args:
        x: (b, c, ...), c at least 2.
        eps: added to the variance; CoCosNet and UNITE have 1e-5, CoCosNet v2 1e-8.

    Returns:
        The shape of x; zero mean and unit unbiased variance over c.

    Source: Li et al., NeurIPS 2019 (Positional Normalization), equation 1; unbiased as in CoCosNet's release.
    """
    wide = at_least_float32(x)
    var, mean = torch.var_mean(wide, dim=1, keepdim=True, correction=1)
    return ((wide - mean) * (var + eps).rsqrt()).to(x.dtype)


class PositionalNorm(nn.Module):
    """`positional_norm` as a layer, without parameters or buffers.

    Args:
        channels: of the input, at least 2.
        eps: see `positional_norm`.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        if channels < 2:
            raise Refusal(
                f"positional norm compares the channels of a pixel, got {channels} of them; give it 2 or more by a "
                "wider network (width.ngf=)"
            )
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return positional_norm(x, eps=self.eps)


Norm = Callable[[int], nn.Module]
"""Channels -> a normalisation layer."""


def choose(name: str, choices: dict[str, Norm]) -> Norm:
    """The named normalisation.

    Raises:
        Refusal: for a name that is not among the choices.
    """
    if name not in choices:
        raise Refusal(f"norm={name!r} is not known here; choose one of {', '.join(choices)}")
    return choices[name]


def instance_norm(channels: int) -> nn.Module:
    """Instance norm without parameters or buffers."""
    return nn.InstanceNorm2d(channels, affine=False)


def affine_batch_norm(channels: int) -> nn.Module:
    """Batch norm over the global batch with a learnt scale and shift."""
    return GlobalBatchNorm(channels, affine=True)


def per_process_batch_norm(channels: int) -> nn.Module:
    """torch's batch norm without parameters: statistics of each process on its own."""
    return nn.BatchNorm2d(channels, affine=False)


PARAMETER_FREE: dict[str, Norm] = {
    "batch": GlobalBatchNorm,
    "instance": instance_norm,
    "per_process_batch": per_process_batch_norm,
    "position": PositionalNorm,
}
"""Norms under a SPADE modulation; the official names are syncbatch, instance, batch, and PONO."""

AFTER_CONVOLUTION: dict[str, Norm] = {
    "instance": instance_norm,
    "batch": affine_batch_norm,
    "per_process_batch": nn.BatchNorm2d,
    "none": nn.Identity,
}
"""Norms after the convolutions of encoders and discriminators."""

PER_SAMPLE = frozenset({"instance", "none"})
"""Those of them that look at one sample at a time."""


def spectral_layer(
    channels: int,
    *,
    out: int,
    kernel: int,
    stride: int,
    padding: int,
    norm: str,
    dilation: int = 1,
    spectral: bool = True,
) -> nn.Module:
    """Spectrally normalised convolution, then a norm; the bias is left out where a norm follows.

    Args:
        channels, out: of the convolution.
        kernel, stride, padding, dilation: of the convolution.
        norm: a key of AFTER_CONVOLUTION.
        spectral: false leaves the weight as it is.

    Source: the `norm_layer` of the official SPADE release, with its state dict keys.
    """
    made = choose(norm, AFTER_CONVOLUTION)
    kind = SpectralConv2d if spectral else nn.Conv2d
    conv = kind(channels, out, kernel, stride=stride, padding=padding, dilation=dilation, bias=norm == "none")
    return conv if norm == "none" else nn.Sequential(conv, made(out))


def _processes() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=1e-12)
