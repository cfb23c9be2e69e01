"""Cost model of frozen extractors: counts parameters and multiply-adds from shapes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from scenegen.networks.frozen.extractors import Extractor


@dataclass(frozen=True)
class Cost:
    """One extractor, read at some layers of pictures of one size.

    Attributes:
        parameters: numbers that it holds, those beyond its deepest layer too.
        forward: multiply-adds per picture, of convolutions and matrix products.
        backward: multiply-adds per picture that the gradient at the picture takes.
        maps: layer -> (c, h', w').
    """

    parameters: int
    forward: int
    backward: int
    maps: dict[str, tuple[int, ...]]


def cost(extractor: Extractor, layers: Collection[str], *, height: int, width: int) -> Cost:
    """Cost of reading some layers, counted without allocating a feature map.

    Args:
        extractor: on the CPU.
        layers: names out of `extractor.layers`.
        height, width: of the picture.

    Raises:
        Refusal: for an unknown layer, or a picture too small for a layer.
    """
    with FakeTensorMode(allow_non_fake_inputs=True):
        image = torch.zeros(1, 3, height, width, requires_grad=True)
        with FlopCounterMode(display=False) as ahead:
            found = extractor(image, layers)
        with FlopCounterMode(display=False) as back:
            torch.autograd.grad(torch.stack([x.sum() for x in found.values()]).sum(), image)
    shapes = {name: tuple(found[name].shape[1:]) for name in extractor.layers if name in found}
    return Cost(parameters(extractor), ahead.get_total_flops() // 2, back.get_total_flops() // 2, shapes)


def parameters(module: nn.Module) -> int:
    """Number of parameters of a module, those outside its state dict included."""
    counts: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        if isinstance(tensor, nn.Parameter):
            counts[id(tensor)] = tensor.numel()
        return tensor

    module._apply(count)  # reaches whatever `.to()` reaches, frozen networks included
    return sum(counts.values())
