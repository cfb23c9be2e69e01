"""Instance norms in a training on a CPU: their gradients are right however they lie in memory."""

from __future__ import annotations

from torch import Tensor, nn


def order_slopes(network: nn.Module) -> None:
    """Lay the gradients that come to a network's instance norms channels first, in place.

    For a batch of one picture on a CPU, torch 2.15 reads a gradient that lies channels last as if it lay channels
    first. Such gradients come from convolutions in channels_last memory and from features gathered place by place. The
    networks themselves keep torch's own, in whose numbers released code was recorded.

    Args:
        network: whose modules get a hook; they learn and are stored as before.
    """
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm2d):
            module.register_forward_hook(_order)


def _order(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
    if made.requires_grad:
        made.register_hook(_channels_first)


def _channels_first(slope: Tensor) -> Tensor:
    return slope.contiguous()
