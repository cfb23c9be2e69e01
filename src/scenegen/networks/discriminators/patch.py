"""The multi-scale patch discriminator of pix2pixHD and SPADE."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Discriminator, Judgement, Refusal
from scenegen.networks.layers.attention import NonLocal
from scenegen.networks.layers.norm import PER_SAMPLE, SpectralLinear, spectral_layer
from scenegen.networks.layers.small_pictures import apart

WIDEST = 512


class PatchNet(nn.Module):
    """One scale: 4x4 convolutions, doubling the width up to 512, then a map of scores.

    Args:
        channels: of the input.
        ndf: width of the first group.
        layers: groups before the score; all but the last of them halve the map.
        norm: a key of norm.AFTER_CONVOLUTION, for all groups but the first.
        padding: of the convolutions; 2 in SPADE, 1 in the exemplar families.
        spectral: spectral norm on all groups but the first and the score.
        attention: a non-local block before the last group; no part of the feature maps.
        cam: weigh the last group's maps by the weights of two linear scores, of their means and of their maxima
            (class activation maps).
        decoder: classes of the decoder that the exemplar families' files hold and never run; 0 for none.

    Attributes:
        before: channels before the last group, where attention stands.

    Source: Park et al. 2019, SPADE, appendix A (discriminator); Isola et al. 2017, pix2pix, section 3.2.2.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndf: int,
        layers: int,
        norm: str,
        padding: int,
        spectral: bool = True,
        attention: bool = False,
        cam: bool = False,
        decoder: int = 0,
    ) -> None:
        super().__init__()
        first = nn.Conv2d(channels, ndf, 4, stride=2, padding=padding)
        self.model0 = nn.Sequential(first, nn.LeakyReLU(0.2, inplace=True))
        widths = [min(ndf * 2**i, WIDEST) if i else ndf for i in range(layers)]
        for i in range(1, layers):
            layer = spectral_layer(
                widths[i - 1],
                out=widths[i],
                kernel=4,
                stride=1 if i == layers - 1 else 2,
                padding=padding,
                norm=norm,
                spectral=spectral,
            )
            self.add_module(f"model{i}", nn.Sequential(layer, nn.LeakyReLU(0.2, inplace=True)))
        self.add_module(f"model{layers}", nn.Sequential(nn.Conv2d(widths[-1], 1, 4, padding=padding)))
        self.layers = layers
        before = widths[-2] if layers > 1 else ndf
        self.before = before
        self.attn: nn.Module | None = NonLocal(before, spectral=spectral, fused=False) if attention else None
        self.cam = cam
        if cam:
            linear = SpectralLinear if spectral else nn.Linear
            self.gap_fc = linear(widths[-1], 1, bias=False)
            self.gmp_fc = linear(widths[-1], 1, bias=False)
            self.conv1x1 = nn.Conv2d(2 * widths[-1], widths[-1], 1)
        if decoder:
            self.dec = _unused_decoder(before, classes=decoder)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Every group's result, shallow to deep; the last is the score map (b, 1, h', w')."""
        maps = []
        for i in range(self.layers + 1):
            if i == self.layers - 1 and self.attn is not None:
                x = self.attn(x)
            x = self.get_submodule(f"model{i}")(x)
            if i == self.layers - 1 and self.cam:
                x = self._activated(x)
            maps.append(x)
        return maps

    def _activated(self, x: Tensor) -> Tensor:
        self.gap_fc(x.mean((2, 3)))  # no loss reads these scores, but their power step is part of a training call
        self.gmp_fc(x.amax((2, 3)))
        raw = [next(fc.parameters()).view(1, -1, 1, 1) for fc in (self.gap_fc, self.gmp_fc)]  # not divided by sigma
        return F.leaky_relu(self.conv1x1(torch.cat([x * weight for weight in raw], dim=1)), 0.2)


def _unused_decoder(channels: int, *, classes: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for i in range(3):
        layer = spectral_layer(channels >> i, out=channels >> i + 1, kernel=3, stride=1, padding=1, norm="instance")
        parts += [nn.Upsample(scale_factor=2), layer, nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts, nn.Conv2d(channels >> 3, classes, 3, padding=1)).requires_grad_(False)


class MultiScale(Discriminator):
    """Networks of one kind with weights of their own, each seeing the input at half the former size.

    A kind supplies its networks by `make`, and their inputs by `streams`.

    Args:
        make: one network, called `scales` times.
        semantic_channels, ndf, layers, scales, norm, padding: of the kind, checked here.

    Source: Wang et al. 2018, pix2pixHD, section 3.2.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        *,
        semantic_channels: int,
        ndf: int,
        layers: int,
        scales: int,
        norm: str,
        padding: int,
    ) -> None:
        super().__init__()
        if semantic_channels < 0 or min(ndf, layers, scales) < 1:
            raise Refusal(
                "ndf, layers and scales must be positive and semantic_channels not negative, "
                f"got {ndf}, {layers}, {scales} and {semantic_channels}"
            )
        if padding not in (1, 2):
            raise Refusal(f"the discriminator's padding is 2 (the releases) or 1 (exemplar families), got {padding}")
        self.condition_channels = semantic_channels
        self.per_sample = norm in PER_SAMPLE
        self.scales, self.smaller = scales, 0
        for k in range(scales):
            self.add_module(f"discriminator_{k}", make())

    def take_smaller(self, count: int) -> None:
        """See `Discriminator`: the first `count` smaller scales see these pictures.

        Raises:
            Refusal: where there are fewer scales.
        """
        if count >= self.scales:
            raise Refusal(f"trick.small.count={count} smaller pictures need as many scales below the first, but "
                          f"discriminator.scales={self.scales}; use discriminator.scales={count + 1}")  # fmt: skip
        self.smaller = count

    def streams(self, planes: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        """The inputs of one network."""
        raise NotImplementedError  # every kind has its own

    def forward(self, condition: Tensor | None, image: Tensor) -> Judgement:
        """Judge pictures under a condition.

        Args:
            condition: (b, condition_channels, h, w), or None without channels.
            image: (b, 3, h, w) in [-1, 1], or `stacked` with the smaller pictures that were announced.

        Returns:
            Per scale (full size first) the score map and the feature maps before it.

        Raises:
            Refusal: when the channels or the sizes differ.
        """
        image, *smaller = apart(image, self.smaller)
        planes = self.planes(condition, image)
        read = self.streams(planes, image)
        logits, features = [], []
        for k, net in enumerate(self.children()):
            if 0 < k <= len(smaller):
                planes = _halved(planes)
                read = self.streams(planes, smaller[k - 1])
            elif k:
                read = tuple(_halved(x) for x in read)
            *maps, score = net(*read)
            logits.append(score)
            features.append(tuple(maps))
        return Judgement(logits=tuple(logits), features=tuple(features))


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


class PatchDiscriminator(MultiScale):
    """Patch networks on labels and picture at several scales.

    Call it once on the batch of (fake, real), fake first, and split the judgement.

    Args:
        semantic_channels: of the planes beside the picture.
        ndf: base width.
        layers: groups before the score (4 as published).
        scales: number of patch networks (2 as published).
        norm: a key of norm.AFTER_CONVOLUTION.
        padding: of the convolutions; 2 in SPADE, 1 in CoCosNet and UNITE.
        spectral: false for the gradient penalties, whose published networks have no spectral norm.
        attention: a non-local block before the last group (CoCosNet, UNITE).
        cam: class activation maps on the last group (an option of CoCosNet's release).
        decoder: hold the decoder that CoCosNet's and UNITE's files hold and never run, to load them.

    Source: Park et al. 2019, SPADE, appendix A; Wang et al. 2018, pix2pixHD, section 3.2.
    """

    def __init__(
        self,
        *,
        semantic_channels: int,
        ndf: int,
        layers: int,
        scales: int,
        norm: str,
        padding: int,
        spectral: bool,
        attention: bool,
        cam: bool,
        decoder: bool,
    ) -> None:
        shared = {"ndf": ndf, "layers": layers, "norm": norm, "padding": padding}

        def make() -> PatchNet:
            unused = semantic_channels if decoder else 0
            channels = semantic_channels + 3
            return PatchNet(channels, spectral=spectral, attention=attention, cam=cam, decoder=unused, **shared)

        super().__init__(
            make,
            semantic_channels=semantic_channels,
            scales=scales,
            **shared,
        )

    def networks(self) -> list[PatchNet]:
        """The networks, from the full size down."""
        return [net for net in self.children() if isinstance(net, PatchNet)]

    def streams(self, planes: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        """Planes and picture, concatenated."""
        return (torch.cat([planes, image], dim=1),)
