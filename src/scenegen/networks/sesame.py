"""SESAME's discriminator: a stream that reads the labels says where the stream that reads the picture counts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.norm import PER_SAMPLE
from scenegen.networks.patch import PatchNet
from scenegen.types import Judgement, Refusal


class TwoStreamNet(nn.Module):
    """One scale: a patch network on the picture, its last map weighed by one on the semantics.

    Args:
        channels: of the semantics.
        ndf: width of the first group of each stream.
        layers: groups before the score; all but the last of them halve the map.
        norm: a key of norm.AFTER_CONVOLUTION, for all groups but the first.
        padding: of the convolutions.

    Source: Ntavelis et al., ECCV 2020 (SESAME), section 3.2 and figure 4.
    """

    def __init__(self, channels: int, *, ndf: int, layers: int, norm: str, padding: int) -> None:
        super().__init__()

        def stream(inputs: int, groups: int) -> nn.Sequential:
            net = PatchNet(inputs, ndf=ndf, layers=layers, norm=norm, padding=padding)
            return nn.Sequential(*(net.get_submodule(f"model{i}") for i in range(groups)))

        self.sem_sequence = stream(channels, layers)
        self.img_sequence = stream(3, layers + 1)

    def forward(self, semantics: Tensor, image: Tensor) -> list[Tensor]:
        """The picture's maps, shallow to deep and not weighed; the last is the score map (b, 1, h', w')."""
        maps = []
        for group in self.img_sequence[:-1]:
            image = group(image)
            maps.append(image)
        # a sum over the channels, nowhere normalised: scores of 10 to 50 are usual at the start
        weight = self.sem_sequence(semantics).sum(1, keepdim=True)
        return [*maps, self.img_sequence[-1](torch.addcmul(image, image, weight))]


class SesameDiscriminator(nn.Module):
    """Two-stream networks with weights of their own, each seeing the input at half the former size.

    For editing, the hole mask (1 where the picture is generated) is the last channel of the semantics.

    Args:
        semantic_channels: of the semantics.
        ndf: base width of both streams.
        layers: groups before the score (4 as published).
        scales: number of networks (2 as published).
        norm: a key of norm.AFTER_CONVOLUTION.
        padding: of the convolutions; 2 in the authors' release, 1 in the log's port.

    Source: Ntavelis et al., ECCV 2020 (SESAME), section 3.2.
    """

    def __init__(
        self,
        *,
        semantic_channels: int,
        ndf: int = 64,
        layers: int = 4,
        scales: int = 2,
        norm: str = "instance",
        padding: int = 2,
    ) -> None:
        super().__init__()
        if min(semantic_channels, ndf, layers, scales) < 1:
            raise Refusal(
                "semantic_channels, ndf, layers and scales must be positive, "
                f"got {semantic_channels}, {ndf}, {layers}, {scales}"
            )
        if padding not in (1, 2):
            raise Refusal(f"SESAME's padding is 2 (the authors' release) or 1 (the log's port), got {padding}")
        self.semantic_channels = semantic_channels
        self.per_sample = norm in PER_SAMPLE
        for k in range(scales):
            net = TwoStreamNet(semantic_channels, ndf=ndf, layers=layers, norm=norm, padding=padding)
            self.add_module(f"discriminator_{k}", net)

    def forward(self, semantics: Tensor, image: Tensor) -> Judgement:
        """Judge pictures under their semantics.

        Args:
            semantics: (b, semantic_channels, h, w).
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            Per scale (full size first) the score map and the picture stream's maps before it.

        Raises:
            Refusal: when the channels or the sizes differ.
        """
        if semantics.shape[1] != self.semantic_channels or semantics.shape[2:] != image.shape[2:]:
            raise Refusal(
                f"the discriminator needs semantics (b, {self.semantic_channels}, h, w) as large as the pictures, "
                f"got {tuple(semantics.shape)} beside {tuple(image.shape)}"
            )
        semantics = semantics.to(image.dtype)
        logits, features = [], []
        for k, net in enumerate(self.children()):
            if k:
                semantics, image = _halved(semantics), _halved(image)
            *maps, score = net(semantics, image)
            logits.append(score)
            features.append(tuple(maps))
        return Judgement(logits=tuple(logits), features=tuple(features))


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
