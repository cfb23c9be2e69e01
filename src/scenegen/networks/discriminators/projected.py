"""The projected discriminator: small heads on a frozen backbone's features, randomly mixed, beside the labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.discriminators.stages import FrozenStages
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.layers.norm import spectral_layer

WIDEST = 512
CONDITIONS = ("shares", "projection")


class RandomConv(nn.Module):
    """A convolution that keeps the random weights it was drawn with; they are buffers, and keep the variance.

    Args:
        channels, out: of the convolution.
        kernel: odd; borders are padded with zeros.
        generator: of the weights.
    """

    def __init__(self, channels: int, *, out: int, kernel: int, generator: torch.Generator) -> None:
        super().__init__()
        weight = torch.randn(out, channels, kernel, kernel, generator=generator)
        self.weight = nn.Buffer(weight / math.sqrt(channels * kernel**2))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=self.weight.shape[-1] // 2)


class Projection(nn.Module):
    """Random mixing of a backbone's layers: across channels, then from coarse to fine across scales.

    Without it a discriminator looks at a few strong features only, and the generator follows those.

    Args:
        channels: of the layers, fine to coarse.
        seed: of the fixed weights.

    Source: Sauer et al., NeurIPS 2021 (Projected GANs), section 3.2 (CCM, CSM).
    """

    def __init__(self, channels: Sequence[int], *, seed: int) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(seed)
        self.across_channels = nn.ModuleList(RandomConv(c, out=c, kernel=1, generator=stream) for c in channels)
        self.across_scales = nn.ModuleList(
            RandomConv(coarse, out=fine, kernel=3, generator=stream) for fine, coarse in pairwise(channels)
        )

    def forward(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """Layers, fine to coarse, to as many mixed maps of their shapes."""
        mixed = [mix(x) for mix, x in zip(self.across_channels, layers, strict=True)]
        for i in range(len(mixed) - 2, -1, -1):
            coarse = self.across_scales[i](mixed[i + 1])
            mixed[i] = mixed[i] + F.interpolate(coarse, size=mixed[i].shape[-2:], mode="bilinear")
        return mixed


class ProjectedHead(nn.Module):
    """The judge of one scale: halves its map a few times, then scores it.

    Args:
        channels: of the input.
        ndf: width of the first convolution; doubled with each, up to 512.
        halvings: convolutions of stride 2.
        out: score maps.
    """

    def __init__(self, channels: int, *, ndf: int, halvings: int, out: int) -> None:
        super().__init__()
        widths = [channels, *(min(ndf * 2**i, WIDEST) for i in range(halvings + 1))]
        self.groups = nn.ModuleList(
            _group(a, out=b, kernel=4 if i < halvings else 3, stride=2 if i < halvings else 1)
            for i, (a, b) in enumerate(pairwise(widths))
        )
        self.score = spectral_layer(widths[-1], out=out, kernel=3, stride=1, padding=1, norm="none")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Every group's result; the last is the score maps (b, out, h', w')."""
        maps = []
        for group in self.groups:
            x = group(x)
            maps.append(x)
        return [*maps, self.score(x)]


class ProjectedDiscriminator(Discriminator):
    """Spectrally normalised heads on a frozen backbone's features, one per layer, each under the label map.

    The features of a layer are divided by their deviation, mixed with fixed random weights, and the shares of the
    labels under each of its positions are concatenated to them. That alone is a weak condition beside strong features:
    a generator could ignore its map and please the heads. So by default a head also gives one score per class, and the
    classes under a position vote with their shares ("projection"). Only the heads are trained; the backbone is in no
    state dict, gradients pass through it to the picture.

    Args:
        semantic_channels: of the planes beside the picture.
        backbone: a frozen feature network of the house.
        height, width: of the pictures.
        layers: of the backbone, fine to coarse, each coarser than the one before.
        deviations: see `FrozenStages`.
        condition: "shares" (concatenated to the features alone), or "projection" (class scores beside that).
        score_stride: of the score maps, a power of 2; heads of coarser layers keep their own. Null is the coarsest
            layer's, as published.
        ndf: base width of the heads.
        seed: of the fixed mixing weights, which state dicts hold.

    Source: Sauer et al., NeurIPS 2021 (Projected GANs converge faster), section 3 and 4; class scores weighed by the
        condition after Miyato and Koyama, ICLR 2018 (cGANs with projection discriminator), eq. 4.
    """

    per_sample: bool = True

    def __init__(
        self,
        *,
        semantic_channels: int,
        backbone: Extractor,
        height: int,
        width: int,
        layers: Sequence[str],
        deviations: str | Sequence[float] | None,
        condition: str,
        score_stride: int | None,
        ndf: int,
        seed: int,
    ) -> None:
        super().__init__()
        if semantic_channels < 0 or ndf < 1:
            raise Refusal(f"ndf must be positive and semantic_channels not negative, got {ndf} and {semantic_channels}")
        if condition not in CONDITIONS:
            raise Refusal(f"discriminator.condition={condition} is not one of {', '.join(CONDITIONS)}")
        if score_stride is not None and (score_stride < 1 or score_stride & (score_stride - 1)):
            raise Refusal(f"discriminator.score_stride={score_stride} is no power of 2; use 8, or null, the coarsest")
        self.stages = FrozenStages(backbone, layers=layers, deviations=deviations)
        self.stages.refuse_small(height, width)
        self.condition_channels = semantic_channels
        self.voting = condition == "projection"
        self.projection = Projection(self.stages.channels, seed=seed)
        wanted = self.stages.strides[-1] if score_stride is None else score_stride
        self.heads = nn.ModuleList(
            ProjectedHead(
                c + semantic_channels,
                ndf=ndf,
                halvings=max(wanted // stride, 1).bit_length() - 1,
                out=1 + semantic_channels * self.voting,
            )
            for c, stride in zip(self.stages.channels, self.stages.strides, strict=True)
        )

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Judge pictures under a condition.

        Args:
            condition: (b, condition_channels, h, w), or None without channels.
            image: (b, 3, h, w) in [-1, 1].

        Returns:
            Per layer (finest first) the score map and the head's feature maps before it.

        Raises:
            Refusal: when the channels or the sizes differ, or pictures are smaller than one coarsest position.
        """
        planes = self.planes(condition, image)
        self.stages.refuse_small(*image.shape[-2:])
        logits, features = [], []
        for x, head in zip(self.projection(self.stages(image)), self.heads, strict=True):
            shares = F.adaptive_avg_pool2d(planes.to(x.dtype), x.shape[-2:])
            *maps, score = head(torch.cat([x, shares], dim=1))
            logits.append(self._voted(score, planes))
            features.append(tuple(maps))
        return Judgement(logits=tuple(logits), features=tuple(features))

    def _voted(self, scores: Tensor, planes: Tensor) -> Tensor:
        """(b, 1 + n, h', w') scores to one map: the first, and the classes' by their shares."""
        if not self.voting:
            return scores
        h, w = scores.shape[-2:]
        shares = F.adaptive_avg_pool2d(planes.to(scores.dtype), (h, w))
        return scores[:, :1] + (scores[:, 1:] * shares).sum(1, keepdim=True)


def _group(channels: int, *, out: int, kernel: int, stride: int) -> nn.Sequential:
    layer = spectral_layer(channels, out=out, kernel=kernel, stride=stride, padding=1, norm="none")
    return nn.Sequential(layer, nn.LeakyReLU(0.2, inplace=True))
