"""The patch discriminator that compares the samples of a batch before it scores them."""

from __future__ import annotations

from torch import nn

from scenegen.base.records import Refusal
from scenegen.networks.discriminators.patch import PatchDiscriminator
from scenegen.networks.layers.minibatch import MinibatchDeviation, MinibatchLikeness


class Deviation:
    """Standard deviation within groups of samples (Karras et al. 2018).

    Args:
        group: samples of a group.
        channels: planes.
    """

    def __init__(self, *, group: int, channels: int) -> None:
        if group < 2 or channels < 1:
            raise Refusal(f"discriminator.statistics.group={group} and channels={channels} must be at least 2 samples "
                          "and 1 plane; 4 and 1 are usual")  # fmt: skip
        self.group, self.channels = group, channels

    def layer(self, channels: int) -> MinibatchDeviation:
        """The layer behind a map."""
        return MinibatchDeviation(group=self.group, channels=self.channels)


class Likeness:
    """Minibatch discrimination (Salimans et al. 2016).

    Args:
        kernels, size: of the projection.
        include_self: count a sample's likeness to itself.
    """

    def __init__(self, *, kernels: int, size: int, include_self: bool) -> None:
        if min(kernels, size) < 1:
            raise Refusal(f"discriminator.statistics.kernels={kernels} and size={size} must be 1 or more")
        self.kernels, self.size, self.include_self = kernels, size, include_self

    def layer(self, channels: int) -> MinibatchLikeness:
        """The layer behind a map."""
        return MinibatchLikeness(channels, kernels=self.kernels, size=self.size, include_self=self.include_self)


class MinibatchPatchDiscriminator(PatchDiscriminator):
    """`PatchDiscriminator` whose score maps see statistics of the batch beside the last group's features.

    Generated and real pictures are judged apart, since a batch of both would tell itself.

    Args:
        statistics: what is told of the batch.
        semantic_channels, ndf, layers, scales, norm, padding, spectral, attention, cam, decoder: see
            `PatchDiscriminator`.
    """

    def __init__(
        self,
        *,
        statistics: Deviation | Likeness,
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
        super().__init__(
            semantic_channels=semantic_channels,
            ndf=ndf,
            layers=layers,
            scales=scales,
            norm=norm,
            padding=padding,
            spectral=spectral,
            attention=attention,
            cam=cam,
            decoder=decoder,
        )
        self.joint = self.per_sample = False
        for net in self.networks():
            score = net.get_submodule(f"model{layers}.0")
            assert isinstance(score, nn.Conv2d)
            layer = statistics.layer(score.in_channels)
            wider = nn.Conv2d(score.in_channels + layer.planes, 1, 4, padding=padding)
            net.add_module(f"model{layers}", nn.Sequential(layer, wider))
