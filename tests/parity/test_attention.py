"""Attention layers, statistics of a batch and learnt enlarging against fixtures/losses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.layers.attention import NonLocal
from scenegen.networks.layers.enlarging import icnr
from scenegen.networks.layers.minibatch import minibatch_deviation, minibatch_likeness
from scenegen.networks.layers.self_attention import (
    ChannelGate,
    ChannelSelfAttention,
    SelfAttention,
    SimAM,
    SpatialGate,
)

from .losses_cases import close, load


def kernel(tensors: dict[str, Tensor]) -> int:
    return tensors["param.conv.weight"].shape[-1]


LAYERS: dict[str, Callable[[dict[str, Tensor]], nn.Module]] = {
    "attn_sagan": lambda t: SelfAttention(t["in.x"].shape[1], spectral=False),
    "attn_danet_pam": lambda t: SelfAttention(t["in.x"].shape[1], spectral=False, fused=False),
    "attn_danet_cam": lambda t: ChannelSelfAttention(),
    "attn_biggan": lambda t: NonLocal(t["in.x"].shape[1], spectral=False),
    "attn_dagan_spatial": lambda t: SpatialGate(kernel=kernel(t)),
    "attn_dagan_channel": lambda t: ChannelGate(t["in.x"].shape[1]),
    "simam": lambda t: SimAM(lambda_=1e-4),
}


@pytest.mark.parametrize("case", LAYERS)
def test_attention(case: str) -> None:
    tensors, about = load(case)
    net = LAYERS[case](tensors)
    net.load_state_dict({key.removeprefix("param."): t for key, t in tensors.items() if key.startswith("param.")})
    given = [tensors[key] for key in ("in.x", "in.low") if key in tensors]
    y = net(*given)
    close(y, "out.y", tensors, about)
    for grad, name in zip(torch.autograd.grad(y, given, tensors["in.cotangent"]), ("x", "low"), strict=False):
        close(grad, f"grad.{name}", tensors, about)


def test_statistics_of_a_batch() -> None:
    """The fixtures' cotangents are not stored, so that only the results are compared."""
    tensors, about = load("minibatch_std")
    close(minibatch_deviation(tensors["in.x"], **about["options"]), "out.y", tensors, about)
    tensors, about = load("minibatch_discrimination")
    told = minibatch_likeness(tensors["in.x"], tensors["param.T"], **about["options"])
    close(torch.cat([tensors["in.x"], told], dim=1), "out.y", tensors, about)


def test_icnr() -> None:
    """Weights, and a first result that is the small kernels' own, enlarged by nearest neighbours."""
    tensors, about = load("icnr")
    factor = about["options"]["r"]
    weight = icnr(tensors["in.subkernel"], factor=factor)
    assert torch.equal(weight, tensors["out.weight"])
    y = F.pixel_shuffle(F.conv2d(tensors["in.x"], weight, padding=1), factor)
    close(y, "out.y", tensors, about)
    small = F.conv2d(tensors["in.x"], tensors["in.subkernel"], padding=1)
    torch.testing.assert_close(y, F.interpolate(small, scale_factor=factor, mode="nearest"))
