"""Spectral norm as PICNet's files have it: `module.weight_bar` beside u and v, a power step in every forward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SteppingSpectral(nn.Module):
    """A convolution whose weight is divided by its largest singular value; u and v move in every forward.

    A transposed convolution's weight is reshaped on its first axis too, which holds its inputs; torch's own helper
    takes the second there, so that u and v have other lengths.

    Args:
        convolution: nn.Conv2d or nn.ConvTranspose2d; its weight is taken over.
        eval_steps: also in eval mode, as released: pictures then depend on those that were made before them. False
            reads the vectors that training left.

    Source: Miyato et al. 2018, algorithm 1, in the form that Zheng et al., CVPR 2019 (PICNet) released.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, *, eval_steps: bool) -> None:
        super().__init__()
        self.module = convolution
        self.eval_steps = eval_steps
        weight = convolution.weight
        del convolution.weight
        rows = weight.shape[0]
        convolution.register_buffer("weight_u", _unit(weight.new_empty(rows).normal_()))
        convolution.register_buffer("weight_v", _unit(weight.new_empty(weight.numel() // rows).normal_()))
        convolution.register_parameter("weight_bar", nn.Parameter(weight.detach()))

    def forward(self, x: Tensor) -> Tensor:
        conv, weight = self.module, self.weight()
        if isinstance(conv, nn.ConvTranspose2d):
            padding: Any = conv.padding  # of numbers; a word stands for none of a transposed one
            return F.conv_transpose2d(x, weight, conv.bias, conv.stride, padding, conv.output_padding)
        return F.conv2d(x, weight, conv.bias, conv.stride, conv.padding)

    def weight(self) -> Tensor:
        """The weight over u W v; without a graph through u and v."""
        whole = self.module.get_parameter("weight_bar")
        u, v = self.module.get_buffer("weight_u"), self.module.get_buffer("weight_v")
        matrix = whole.flatten(1)
        with torch.no_grad():
            if self.training or self.eval_steps:
                v.copy_(_unit(matrix.t() @ u))
                u.copy_(_unit(matrix @ v))
        # copies: two forwards may come before one backward, and the second moves the vectors
        return whole / torch.dot(u.clone(), matrix @ v.clone())


def _unit(vector: Tensor) -> Tensor:
    return vector / (vector.norm() + 1e-12)
