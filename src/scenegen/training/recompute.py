"""Activations computed again in the backward pass in place of being kept: less memory, more time, equal gradients."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scenegen.networks.correspondence import cocosnetv1, cocosnetv2
from scenegen.networks.discriminators import oasis
from scenegen.networks.generators.resnet import ResnetGenerator
from scenegen.networks.generators.rrdb import DenseBlock
from scenegen.networks.generators.sesame_editing import ResidualBlock
from scenegen.networks.layers import picnet
from scenegen.networks.layers.class_noise import ClassNoise, NoiseField, Pass
from scenegen.networks.layers.log_spdnorm import LogSPDBlock
from scenegen.networks.layers.spade import SPADEBlock
from scenegen.networks.layers.spdnorm import SPDBlock
from scenegen.networks.layers.transposed_attention import CrossBlock, RestormerBlock

STEPS: dict[type[nn.Module], tuple[str, ...]] = {
    SPADEBlock: ("convolved",),
    SPDBlock: ("convolved", "soft_map"),
    ResnetGenerator: ("stretch",),
    picnet.ShortLongAttention: ("attended",),
    oasis.DownBlock: ("convolved",),
    oasis.UpBlock: ("convolved",),
    **dict.fromkeys((DenseBlock, ResidualBlock, LogSPDBlock, RestormerBlock, CrossBlock), ("forward",)),
    **dict.fromkeys((cocosnetv1.ResidualBlock, cocosnetv2.ResidualBlock), ("forward",)),
    **dict.fromkeys((picnet.FirstBlock, picnet.ResidualBlock, picnet.DoublingBlock, picnet.OutputBlock), ("forward",)),
}
"""Methods of blocks of which only what they are given is kept.

Each ends in a convolution where it can: the second pass stops in front of it, as nothing asks for its result.
"""

Before = list[tuple[nn.Module, str, Tensor]]


def recompute(network: nn.Module) -> int:
    """Let the blocks of a network keep the inputs of their steps alone, in place.

    What a forward pass leaves in buffers (batch statistics, a spectral norm's vectors) is left once: the second pass
    reads what the first one read.

    Args:
        network: whose blocks forget; of those inside a block whose whole forward pass is one step, none does.

    Returns:
        The number of blocks; 0 where the network has none.
    """
    for kind, steps in STEPS.items():
        if isinstance(network, kind):
            for step in steps:
                setattr(network, step, partial(_forgetful, network, getattr(network, step)))
            return 1 + (0 if "forward" in steps else sum(recompute(child) for child in network.children()))
    return sum(recompute(child) for child in network.children())


def _forgetful(block: nn.Module, step: Any, *given: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled() or _small(block, given):
        return step(*given, **named)
    before: Before = [(m, k, b.clone()) for m in block.modules() for k, b in m._buffers.items() if b is not None]
    drawing = {m.field: m.field.current for m in block.modules() if isinstance(m, ClassNoise)}

    def contexts() -> tuple[Any, Any]:
        return contextlib.nullcontext(), _Reading(before, drawing)

    return checkpoint(step, *given, use_reentrant=False, context_fn=contexts, **named)


def _small(block: nn.Module, given: tuple[Any, ...]) -> bool:
    """The map is smaller than the largest weight that reads it: keeping takes little memory, and much time is saved.

    A step without weights is none either: what it makes is kept for the next one.
    """
    parts = [part for part in given if isinstance(part, nn.Module)] or [block]
    x: Tensor = next(part for part in given if isinstance(part, Tensor))
    weights = [weight.numel() for part in parts for weight in part.parameters()]
    return not weights or x.numel() < max(weights)


class _Reading:
    """Buffers and class noise as they were; other tensors stand in for buffers, as a graph may hold the ones of now.

    A context that is entered anew by every pass of gradients: under a penalty on a slope there are two.
    """

    def __init__(self, before: Before, drawing: dict[NoiseField, Pass | None]) -> None:
        self.before, self.drawing = before, drawing

    def __enter__(self) -> None:
        self.now = [(module, name, module._buffers[name]) for module, name, _ in self.before]
        self.fields = contextlib.ExitStack()
        for field, drawn in self.drawing.items():
            self.fields.enter_context(field.during(drawn))
        for module, name, value in self.before:
            module._buffers[name] = value.clone()

    def __exit__(self, *raised: object) -> None:
        for module, name, value in self.now:
            module._buffers[name] = value
        self.fields.close()
