"""The Inception network rebuilt for a judge: fewer products on a CPU, the same features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.layers.filtering import POINT, Filtered, fourier, is_plain, toom_cook

ALGORITHMS = {1: POINT, 3: toom_cook((0, 1, -1, 0.5, -2), taps=3), 7: fourier(17, taps=7)}
"""Taps of a kernel -> algorithm; the maps that seven taps read have a side of 17."""
WIDE = 64
"""Channels in and out from which the saved products weigh more than the sums around them."""
POOLED = {"Conv2d_2b_3x3": "maxpool1", "Conv2d_4a_3x3": "maxpool2"}
"""Convolutions whose largest values are asked for alone -> the pool that asks; zero cuts a quarter as many after it."""


def quicken(net: nn.Sequential) -> None:
    """Replace blocks and convolutions of a folded network by those of this file."""
    from torchvision.models.inception import BasicConv2d

    for name, block in net.named_children():
        if "branch1x1" in dict(block.named_children()):
            setattr(net, name, Block(block))
    for part in net.modules():
        if isinstance(part, BasicConv2d):
            part.conv = filtered(part.conv)  # pyright: ignore[reportAttributeAccessIssue]
    for name, pool in POOLED.items():
        conv = net.get_submodule(name)
        setattr(net, name, conv.get_submodule("conv"))
        setattr(net, pool, nn.Sequential(net.get_submodule(pool), nn.ReLU(inplace=True)))


def filtered(conv: nn.Conv2d) -> nn.Module:
    """A convolution by an algorithm of fewer products, or itself where none takes less time."""
    down, across = (ALGORITHMS.get(taps) for taps in conv.kernel_size)
    one_tap, narrow = conv.kernel_size == (1, 1), min(conv.in_channels, conv.out_channels) < WIDE
    if down is None or across is None or one_tap or narrow or not is_plain(conv):
        return conv
    return Filtered(conv, down=down, across=across)


class Block(nn.Module):
    """An Inception block whose 1x1 convolutions of the same maps are one.

    That of averages comes before the average, which is a sum over places as it is one over channels.

    Args:
        block: pytorch-fid's, with a branch1x1, norms folded.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        from pytorch_fid.inception import FIDInceptionE_2
        from torchvision.models.inception import BasicConv2d

        parts = {name: part for name, part in block.named_children() if isinstance(part, BasicConv2d)}
        first, *middle, pool = [name for name, part in parts.items() if part.conv.kernel_size == (1, 1)]
        self.pool = parts[pool] if isinstance(block, FIDInceptionE_2) else None  # of the largest, not of an average
        heads = [parts[name].conv for name in (first, *middle, *([] if self.pool else [pool]))]
        self.widths = [head.out_channels for head in heads]
        self.heads = nn.Conv2d(heads[0].in_channels, sum(self.widths), 1).requires_grad_(False)
        states = [head.state_dict() for head in heads]
        self.heads.load_state_dict({what: torch.cat([state[what] for state in states]) for what in ("weight", "bias")})
        self.tails = nn.ModuleList(_tail(name.removesuffix("1"), parts) for name in middle)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h, w)."""
        *maps, last = self.heads(x).split(self.widths, 1)
        if self.pool is None:
            pooled = F.avg_pool2d(last, 3, stride=1, padding=1, count_include_pad=False).relu_()
        else:
            maps, pooled = [*maps, last], self.pool(F.max_pool2d(x, 3, stride=1, padding=1))
        one, *middle = [part.relu_() for part in maps]
        return torch.cat([one, *(tail(part) for tail, part in zip(self.tails, middle, strict=True)), pooled], 1)


class Fork(nn.ModuleList):
    """Convolutions that read the same maps, their results side by side."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([conv(x) for conv in self], 1)


def _tail(branch: str, parts: Mapping[str, nn.Module]) -> nn.Sequential:
    """Convolutions of a branch after its first, in order: NAME2, then NAME3a and NAME3b beside each other."""
    stages: dict[str, list[nn.Module]] = {}
    for name, part in parts.items():
        if name.startswith(branch) and name != f"{branch}1":
            stages.setdefault(name[len(branch)], []).append(part)
    return nn.Sequential(*(convs[0] if len(convs) == 1 else Fork(convs) for convs in stages.values()))
