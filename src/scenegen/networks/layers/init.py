"""Initial weights, as the official GauGAN has them when it is trained on a GPU."""

from __future__ import annotations

import torch
from torch import nn

from scenegen.base.records import Discriminator, SceneModel
from scenegen.networks.layers.enlarging import Enlarging
from scenegen.networks.layers.norm import GlobalBatchNorm, SpectralWeight


@torch.no_grad()
def initialise(module: nn.Module, *, gain: float, generator: torch.Generator | None = None) -> None:
    """Draw every weight below `module` anew, in the order of its modules.

    Plain convolutions and linear maps: Xavier normal with `gain`; affine batch norms: N(1, gain); spectrally
    normalised layers: uniform within 1 / sqrt(fan in), because the official initialiser misses them once
    the network was moved to a GPU, and every published result was trained so; a network with
    `xavier_everywhere` (OASIS, whose initialiser runs before the move) draws those as Xavier too; one with
    `normal_start` (CycleGAN) draws N(0, gain) for Xavier; learnt enlarging layers draw their own start. All biases are
    zero.

    Args:
        module: a network; it stays on its device.
        gain: of the Xavier draw; 0.02 as published.
        generator: on the module's device; None uses torch's global one.

    Source: specified behaviour of the SPADE release (`init_type=xavier`); Glorot and Bengio 2010, equation 16.
    """
    everywhere = isinstance(module, SceneModel | Discriminator) and module.xavier_everywhere
    normal = isinstance(module, SceneModel | Discriminator) and module.normal_start
    for part in module.modules():
        if isinstance(part, SpectralWeight | Enlarging):
            part.reset(generator)
            if everywhere and isinstance(part, SpectralWeight):
                nn.init.xavier_normal_(part.weight_orig, gain=gain, generator=generator)
        elif isinstance(part, nn.Linear | nn.modules.conv._ConvNd):
            if normal:
                nn.init.normal_(part.weight, std=gain, generator=generator)
            else:
                nn.init.xavier_normal_(part.weight, gain=gain, generator=generator)
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, GlobalBatchNorm | nn.BatchNorm2d | nn.SyncBatchNorm):
            # without affine parameters there are none to walk over
            for name, parameter in part.named_parameters(recurse=False):
                if name == "weight":
                    parameter.normal_(1.0, gain, generator=generator)
                else:
                    parameter.zero_()
