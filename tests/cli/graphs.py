"""Families that scenegen.export passes on, at tiny size, with drawn weights under which differences show."""

from __future__ import annotations

from typing import Any

import torch

from scenegen.base.depth import Depth
from scenegen.base.records import SceneModel
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary
from scenegen.config.plan import plan
from scenegen.data.classes import LANDSCAPE
from scenegen.networks.layers.class_noise import ClassNoise
from scenegen.networks.layers.init import initialise
from scenegen.sampling.graph import Graph

FAMILIES: dict[str, tuple[str, ...]] = {
    "gaugan": ("model=gaugan", "model.vae=true"),
    "class noise": ("model=gaugan", "model.vae=false", "trick=class_noise+borders+bilinear"),
    "sasame": ("model=sasame",),
    "oasis": ("model=oasis", "loss=none"),
    "cocosnetv1": ("model=cocosnetv1", "exemplar=random"),
    "cocosnetv2": ("model=cocosnetv2", "exemplar=random", "width=small", "model.iterations=1"),
    "unite": ("model=unite", "exemplar=random"),
    "rrdb": ("model=rrdb",),
    "esrgan_log": ("model=esrgan_log",),
    "cyclegan": ("model=cyclegan",),
    "cut": ("model=cut",),
    "pconv": ("model=pconv",),
    "picnet": ("model=picnet",),
    "picnet_spdnorm": ("model=picnet_spdnorm",),
    "pdgan": ("model=pdgan",),
    "sesame_editor": ("model=sesame_editor",),
    "cncl": ("model=cncl",),
    "cncl_unet": ("model=cncl_unet", "model.low=-1"),
    "restormer": ("model=restormer", "model.blocks=[1,1,1,1]", "model.refinement=1", "model.low=-1"),
}
"""Family -> words. Of CoCosNet v2's features of two numbers, centred and of unit length, there are two: all candidates
tie, and a last digit chooses; from width=small on there are eight. Drawn denoisers answer around 0, which is black
where model.low is 0."""


def drawn(family: str) -> Graph:
    """A family's model as a function of tensors, its scale set by a first picture."""
    config = plan(compose("train", ["size=tiny", "width=tiny", *FAMILIES[family]])).config
    torch.manual_seed(0)
    model = build.model(config, Vocabulary(LANDSCAPE, has_instances=False))
    depth = Depth(**config["data"]["depth"]) if model.channels == 1 else None
    graph = Graph(with_contrast(model), size=(config["size"]["height"], config["size"]["width"]), depth=depth)
    graph(*graph.examples(1, seed=3))
    return graph


def with_contrast(model: SceneModel) -> Any:
    """A model whose weights are drawn, whose statistics are those of its own features, and whose noise is seen."""
    stream = torch.Generator().manual_seed(0)
    if not model.keeps_start:
        initialise(model, gain=0.1, generator=stream)
    for module in model.modules():
        if isinstance(module, ClassNoise):
            module.weight.data.normal_(std=0.2, generator=stream)
        elif isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(_take_statistics)
        elif isinstance(module, torch.nn.Conv2d) and module.out_channels == model.channels:
            module.register_forward_hook(_take_range)
    return model


def _take_statistics(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    """The first features that a batch norm meets are those that it expects."""
    if module.running_mean is not None and not getattr(module, "taken", False):
        module.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        module.running_var.copy_(inputs[0].var((0, 2, 3), correction=0) + 1e-3)
        module.taken = True


def _take_range(module: Any, inputs: object, result: torch.Tensor) -> None:
    """The first picture, before its tanh, sets the scale of those that follow."""
    if not getattr(module, "taken", False):
        module.weight.data.div_(2 * result.std())
        module.taken = True
