"""The Inception network of the published FID, with pytorch-fid's weights: a judge, and a trunk that losses may read.

A loss that reads it sees the judge of fid=legacy and clean; scores of such a run carry a mark.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.extractors import Extractor

INCEPTION = pinned.WeightsFile(
    "inception-2015-12-05",
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
UNUSED = ("dropout", "fc", "AuxLogits")

TAPS = {"pool_1": "maxpool1", "pool_2": "maxpool2", "mixed_5d": "Mixed_5d", "mixed_6e": "Mixed_6e", "pool_3": "avgpool"}
"""Layer -> child of the network whose result it is."""

SIDE = 299
"""Pixels of a side at which the network was trained."""


class Stretched(nn.Module):
    """Pictures brought to the network's size by a plain bilinear, as pytorch-fid does."""

    def forward(self, image: Tensor) -> Tensor:
        return F.interpolate(image, size=(SIDE, SIDE), mode="bilinear", align_corners=False)  # (b, 3, 299, 299)


class InceptionTrunk(Extractor):
    """InceptionV3 of the published FID, fed [-1, 1]; pictures of any size are brought to 299x299 first.

    Layers "pool_1" (73x73), "pool_2" (35x35), "mixed_5d" (35x35), "mixed_6e" (17x17) and "pool_3" (the mean of the last
    maps, 1x1). Terms that name layers as VGG has them get, of relu1_* to relu5_*, these in order.

    Args:
        weights: "published" (pytorch-fid's) or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.

    Source: Szegedy et al., CVPR 2016; as a perceptual loss, the winner of the 2022 contest (APF-GAN).
    """

    def __init__(self, *, weights: str, folder: str | Path | None) -> None:
        if weights not in ("published", "random"):
            raise Refusal(f"weights={weights} is not a policy; use weights=published or weights=random")
        net = assembled()
        if weights == "published":
            state: Mapping[str, Tensor] = torch.load(
                pinned.locate(INCEPTION, folder), map_location="cpu", weights_only=True
            )
            own = net.state_dict()  # the file also holds the classifier
            net.load_state_dict({key: value for key, value in state.items() if key in own})
            stamp = f"{INCEPTION.network}-{INCEPTION.sha256_prefix}"
        else:
            randomise(net)
            stamp = f"{INCEPTION.network} {pinned.RANDOM_STAMP}"
        fold(net.eval())
        names = [name for name, _ in net.named_children()]
        taps = {layer: names.index(child) for layer, child in TAPS.items()}
        aliases = {f"relu{depth}_{n}": layer for depth, layer in enumerate(TAPS, 1) for n in (1, 2, 3, 4)}
        super().__init__(net, taps=taps, stamp=stamp, treatment=Stretched(), aliases=aliases)
        self._smallest = dict.fromkeys(self._taps, 1)  # of the picture as it is given


def assembled() -> nn.Sequential:
    """pytorch-fid's network up to its average pool, with norms as they begin and memory for convolutions' weights.

    Its own constructor downloads and takes no file, so its blocks are put together here in its order. Nobody draws the
    weights that a file or `randomise` replaces: 0.1 of the 0.5 CPU seconds in which a judge is built.
    """
    from pytorch_fid import inception as parts
    from torchvision.models import inception_v3

    with torch.device("meta"):
        net = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
        net.Mixed_5b = parts.FIDInceptionA(192, pool_features=32)
        net.Mixed_5c = parts.FIDInceptionA(256, pool_features=64)
        net.Mixed_5d = parts.FIDInceptionA(288, pool_features=64)
        net.Mixed_6b = parts.FIDInceptionC(768, channels_7x7=128)
        net.Mixed_6c = parts.FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6d = parts.FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6e = parts.FIDInceptionC(768, channels_7x7=192)
        net.Mixed_7b = parts.FIDInceptionE_1(1280)
        net.Mixed_7c = parts.FIDInceptionE_2(2048)
    used = OrderedDict((name, child) for name, child in net.named_children() if name not in UNUSED)
    found = nn.Sequential(used).to_empty(device="cpu")
    for part in found.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()
    return found


def randomise(net: nn.Module) -> None:
    """Seeded random weights that let features through."""
    pinned.randomise(net)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1.0)  # zero gains would give zero features


def fold(net: nn.Module) -> None:
    """Fold every norm into the convolution before it: a seventh of the time, the same features to 1e-5."""
    from torchvision.models.inception import BasicConv2d

    for block in net.modules():
        if isinstance(block, BasicConv2d):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
