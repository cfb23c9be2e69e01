"""SESAME's discriminator: a stream that reads the labels weighs the map of a stream that reads the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.discriminators.patch import MultiScale, PatchNet


class TwoStreamNet(nn.Module):
    """One scale: a patch network on the picture, its last map weighed by one on the semantics.

    Args:
        channels: of the semantics.
        ndf: width of the first group of each stream.
        layers: groups before the score; all but the last of them halve the map.
        norm: a key of norm.AFTER_CONVOLUTION, for all groups but the first.
        padding: of the convolutions.

    Attributes:
        before: channels before the last group of the picture's stream, where `attn` stands; None as published.

    Source: Ntavelis et al., ECCV 2020 (SESAME), section 3.2 and figure 4.
    """

    before: int
    attn: nn.Module | None

    def __init__(self, channels: int, *, ndf: int, layers: int, norm: str, padding: int) -> None:
        super().__init__()

        def stream(inputs: int, groups: int) -> nn.Sequential:
            net = PatchNet(inputs, ndf=ndf, layers=layers, norm=norm, padding=padding)
            self.before = net.before
            return nn.Sequential(*(net.get_submodule(f"model{i}") for i in range(groups)))

        self.sem_sequence = stream(channels, layers)
        self.img_sequence = stream(3, layers + 1)
        self.layers = layers
        self.register_module("attn", None)

    def forward(self, semantics: Tensor, image: Tensor) -> list[Tensor]:
        """The picture's maps, shallow to deep and not weighed; the last is the score map (b, 1, h', w')."""
        maps = []
        for i, group in enumerate(self.img_sequence[:-1]):
            image = group(image if self.attn is None or i < self.layers - 1 else self.attn(image))
            maps.append(image)
        # a sum over the channels, nowhere normalised: scores of 10 to 50 are usual at the start
        weight = self.sem_sequence(semantics).sum(1, keepdim=True)
        return [*maps, self.img_sequence[-1](torch.addcmul(image, image, weight))]


class SesameDiscriminator(MultiScale):
    """Two-stream networks at several scales.

    For editing, the hole mask (1 where the picture is generated) is the last channel of the semantics.

    Args:
        semantic_channels: of the planes beside the picture.
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
        ndf: int,
        layers: int,
        scales: int,
        norm: str,
        padding: int,
    ) -> None:
        if semantic_channels < 1:
            raise Refusal(f"this discriminator reads the condition in a stream of its own, so semantic_channels must "
                          f"be positive, got {semantic_channels}; use discriminator=patch without one")  # fmt: skip
        shared = {"ndf": ndf, "layers": layers, "norm": norm, "padding": padding}
        super().__init__(
            lambda: TwoStreamNet(semantic_channels, **shared),
            semantic_channels=semantic_channels,
            scales=scales,
            **shared,
        )

    def networks(self) -> list[TwoStreamNet]:
        """The networks, from the full size down."""
        return [net for net in self.children() if isinstance(net, TwoStreamNet)]

    def streams(self, planes: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        """Planes and picture, one for each stream."""
        return planes, image
