"""The multi-scale patch discriminator of pix2pixHD and SPADE."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.norm import spectral_layer
from scenegen.types import Judgement, Refusal

WIDEST = 512


class PatchNet(nn.Module):
    """One scale: 4x4 convolutions, doubling the width up to 512, then a map of scores.

    Args:
        channels: of the input.
        ndf: width of the first group.
        layers: groups before the score; all but the last of them halve the map.
        norm: a key of norm.AFTER_CONVOLUTION, for all groups but the first.

    Source: Park et al. 2019, SPADE, appendix A (discriminator); Isola et al. 2017, pix2pix, section 3.2.2.
    """

    def __init__(self, channels: int, *, ndf: int, layers: int, norm: str = "instance") -> None:
        super().__init__()
        first = nn.Conv2d(channels, ndf, 4, stride=2, padding=2)
        groups: list[nn.Module] = [nn.Sequential(first, nn.LeakyReLU(0.2, inplace=True))]
        width = ndf
        for i in range(1, layers):
            out = min(2 * width, WIDEST)
            stride = 1 if i == layers - 1 else 2
            layer = spectral_layer(width, out=out, kernel=4, stride=stride, padding=2, norm=norm)
            groups.append(nn.Sequential(layer, nn.LeakyReLU(0.2, inplace=True)))
            width = out
        groups.append(nn.Sequential(nn.Conv2d(width, 1, 4, padding=2)))
        for i, group in enumerate(groups):
            self.add_module(f"model{i}", group)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Every group's result, shallow to deep; the last is the score map (b, 1, h', w')."""
        maps = []
        for group in self.children():
            x = group(x)
            maps.append(x)
        return maps


class PatchDiscriminator(nn.Module):
    """Patch networks with weights of their own, each seeing the input at half the former size.

    Call it once on the batch of (fake, real), fake first, and split the judgement.

    Args:
        semantic_channels: of the semantics.
        ndf: base width.
        layers: groups before the score (4 as published).
        scales: number of patch networks (2 as published).
        norm: a key of norm.AFTER_CONVOLUTION.

    Source: Park et al. 2019, SPADE, appendix A; Wang et al. 2018, pix2pixHD, section 3.2.
    """

    def __init__(
        self, *, semantic_channels: int, ndf: int = 64, layers: int = 4, scales: int = 2, norm: str = "instance"
    ) -> None:
        super().__init__()
        if min(semantic_channels, ndf, layers, scales) < 1:
            raise Refusal(
                "semantic_channels, ndf, layers and scales must be positive, "
                f"got {semantic_channels}, {ndf}, {layers}, {scales}"
            )
        self.semantic_channels = semantic_channels
        for k in range(scales):
            net = PatchNet(semantic_channels + 3, ndf=ndf, layers=layers, norm=norm)
            self.add_module(f"discriminator_{k}", net)

    def forward(self, semantics: Tensor, image: Tensor) -> Judgement:
        """Judge pictures under their semantics.

        Args:
            semantics: (b, semantic_channels, h, w).
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            Per scale (full size first) the score map and the feature maps before it.

        Raises:
            Refusal: when the channels or the sizes differ.
        """
        if semantics.shape[1] != self.semantic_channels or semantics.shape[2:] != image.shape[2:]:
            raise Refusal(
                f"the discriminator needs semantics (b, {self.semantic_channels}, h, w) as large as the pictures, "
                f"got {tuple(semantics.shape)} beside {tuple(image.shape)}"
            )
        x = torch.cat([semantics.to(image.dtype), image], dim=1)
        logits, features = [], []
        for k, net in enumerate(self.children()):
            if k:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            *maps, score = net(x)
            logits.append(score)
            features.append(tuple(maps))
        return Judgement(logits=tuple(logits), features=tuple(features))
