"""Activations computed again in the backward pass in place of being kept: less memory, more time, equal gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scenegen.networks.correspondence import cocosnetv1, cocosnetv2
from scenegen.networks.generators.resnet import ResnetBlock
from scenegen.networks.generators.rrdb import DenseBlock
from scenegen.networks.generators.sesame_editing import ResidualBlock
from scenegen.networks.layers import picnet
from scenegen.networks.layers.log_spdnorm import LogSPDBlock
from scenegen.networks.layers.spade import SPADEBlock
from scenegen.networks.layers.spdnorm import SPDBlock
from scenegen.networks.layers.transposed_attention import CrossBlock, RestormerBlock

BLOCKS = (
    SPADEBlock, ResnetBlock, DenseBlock, ResidualBlock, SPDBlock, LogSPDBlock, RestormerBlock, CrossBlock,
    cocosnetv1.ResidualBlock, cocosnetv2.ResidualBlock,
    picnet.FirstBlock, picnet.ResidualBlock, picnet.DoublingBlock, picnet.OutputBlock,
)  # fmt: skip
"""Blocks of which only the input is kept."""

Before = list[tuple[nn.Module, str, Tensor]]


def recompute(network: nn.Module) -> int:
    """Let the blocks of a network keep their inputs alone, in place.

    What a forward pass leaves in buffers (batch statistics, a spectral norm's vectors) is left once: the second pass
    reads what the first one read.

    Args:
        network: whose outermost blocks forget.

    Returns:
        The number of blocks; 0 where the network has none.
    """
    if isinstance(network, BLOCKS):
        network.forward = partial(_forgetful, network, network.forward)
        return 1
    return sum(recompute(child) for child in network.children())


def _forgetful(block: nn.Module, forward: Any, *given: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*given, **named)
    before: Before = [(m, k, b.clone()) for m in block.modules() for k, b in m._buffers.items() if b is not None]

    def contexts() -> tuple[Any, Any]:
        return contextlib.nullcontext(), _reading(before)

    return checkpoint(forward, *given, use_reentrant=False, context_fn=contexts, **named)


@contextlib.contextmanager
def _reading(before: Before) -> Iterator[None]:
    """Buffers as they were; other tensors stand in for them, as a graph may hold the ones of now."""
    now = [(module, name, module._buffers[name]) for module, name, _ in before]
    for module, name, value in before:
        module._buffers[name] = value.clone()
    try:
        yield
    finally:
        for module, name, value in now:
            module._buffers[name] = value
