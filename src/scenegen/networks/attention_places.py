"""The group `attention`: which layer stands where in a generator, and in a discriminator that has a place for one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import nn

from scenegen.base.records import Discriminator, Refusal, SceneModel
from scenegen.networks.discriminators.patch import PatchDiscriminator
from scenegen.networks.discriminators.sesame import SesameDiscriminator
from scenegen.networks.generators.cut import Cut
from scenegen.networks.generators.cyclegan import CycleGan
from scenegen.networks.generators.oasis import OasisGenerator
from scenegen.networks.generators.painter import Painter
from scenegen.networks.generators.resnet import ResnetBlock
from scenegen.networks.generators.spade import SpadeGenerator
from scenegen.networks.layers.after import After
from scenegen.networks.layers.attention import NonLocal
from scenegen.networks.layers.self_attention import (
    ChannelSelfAttention,
    DualGate,
    PositionAndChannel,
    SelfAttention,
    SimAM,
)
from scenegen.networks.layers.spade import Doubled

QUARTER = 4
"""Divisor of the picture's sides at a residual generator's blocks."""


class Attention:
    """Base of the group's options: a layer behind some of a generator's doublings; a kind supplies `layer`.

    Args:
        at: divisors of the picture's sides, 1, 2, 4, ...: a layer stands where the map is that part of the picture.
        discriminator: also one before the last group of each patch network of the discriminator.

    Raises:
        Refusal: for divisors that are no powers of 2, or none and no discriminator.
    """

    def __init__(self, *, at: Sequence[int], discriminator: bool) -> None:
        if len(set(at)) < len(at) or any(n < 1 or n & (n - 1) for n in at) or not (at or discriminator):
            raise Refusal(
                f"attention.at={list(at)} must name divisors of the picture's sides, 1, 2, 4, ..., each once; "
                "attention=none puts it nowhere"
            )
        self.at = tuple(at)
        self.discriminator = discriminator

    def layer(self, channels: int, *, fused: bool) -> nn.Module:
        """One layer for a map; `fused` false where it must be differentiable twice."""
        raise NotImplementedError  # every kind has its own

    def into_generator(self, model: SceneModel) -> None:
        """Put the layers into a freshly built model; a residual generator has them behind its last block.

        PICNet and CNCL have them behind the doublings of their decoders, CNCL in both branches.

        Raises:
            Refusal: for a model without such maps, and where no map is that part of the picture.
        """
        if isinstance(model, CycleGan | Cut):
            for block in last_blocks(model):
                if self.at and self.at != (QUARTER,):
                    raise Refusal(f"attention.at={list(self.at)}, but a residual generator has its blocks at a quarter "
                                  "of the picture's sides; use attention.at=[4]")  # fmt: skip
                block.after = self.layer(block.channels, fused=True) if self.at else None
            return
        if behind := [part for part in model.modules() if isinstance(part, After)]:
            for part in behind:
                self._require({place.divisor for place in part.places.values()})
                for name, place in part.places.items():
                    if place.divisor in self.at:
                        part.layers[name] = self.layer(place.channels, fused=True)
            return
        doubled = _generator(model).get_submodule("doubled")
        assert isinstance(doubled, Doubled)
        count = len(doubled.widths)
        places = {2 ** (count - 1 - i): i for i in range(count)}
        self._require(places)
        doubled.after = nn.ModuleDict(
            {str(places[n]): self.layer(doubled.widths[places[n]], fused=True) for n in sorted(self.at, reverse=True)}
        )

    def _require(self, divisors: Collection[int]) -> None:
        """Refuse a place that is not among a generator's."""
        if missing := [n for n in self.at if n not in divisors]:
            raise Refusal(
                f"attention.at={list(self.at)} names {missing[0]}, but this generator's maps are 1/{min(divisors)} to "
                f"1/{max(divisors)} of the picture; choose among {', '.join(map(str, sorted(divisors)))}"
            )

    def into_discriminator(self, judge: Discriminator) -> None:
        """Put a layer into each network of a freshly built discriminator, where `discriminator` asks for it.

        Raises:
            Refusal: for a discriminator without a place, or with attention of its own.
        """
        if not self.discriminator:
            return
        if not isinstance(judge, PatchDiscriminator | SesameDiscriminator):
            raise Refusal("attention.discriminator=true, but this discriminator has no place for it; use "
                          "discriminator=patch or sesame, or attention.discriminator=false")  # fmt: skip
        for net in judge.networks():
            if net.attn is not None:
                raise Refusal("attention.discriminator=true, but discriminator.attention=true has put a layer there; "
                              "use one of both")  # fmt: skip
            net.attn = self.layer(net.before, fused=False)


class SelfAttentionAt(Attention):
    """`SelfAttention`, spectrally normalised."""

    def layer(self, channels: int, *, fused: bool) -> nn.Module:
        return SelfAttention(channels, fused=fused)


class NonLocalAt(Attention):
    """`NonLocal`, whose keys and values are pooled."""

    def layer(self, channels: int, *, fused: bool) -> nn.Module:
        return NonLocal(channels, fused=fused)


class ChannelAttentionAt(Attention):
    """`ChannelSelfAttention`."""

    def layer(self, channels: int, *, fused: bool) -> nn.Module:
        return ChannelSelfAttention()


class PositionAndChannelAt(Attention):
    """`PositionAndChannel`, spectrally normalised."""

    def layer(self, channels: int, *, fused: bool) -> nn.Module:
        return PositionAndChannel(channels, fused=fused)


class SimAMAt(Attention):
    """`SimAM`.

    Args:
        at, discriminator: see `Attention`.
        lambda_: added to the variance.
    """

    def __init__(self, *, at: Sequence[int], discriminator: bool, lambda_: float) -> None:
        super().__init__(at=at, discriminator=discriminator)
        self.lambda_ = lambda_

    def layer(self, channels: int, *, fused: bool) -> nn.Module:
        return SimAM(lambda_=self.lambda_)


class DualAttention(Attention):
    """DAGAN's two gates behind the last block of a SPADE or OASIS generator, at the picture's full size.

    Args:
        kernel: of the spatial gate, odd.
    """

    def __init__(self, *, kernel: int) -> None:
        super().__init__(at=[1], discriminator=False)
        if kernel < 1 or kernel % 2 == 0:
            raise Refusal(f"attention.kernel={kernel} must be odd; the paper's release has 3 or 7")
        self.kernel = kernel

    def into_generator(self, model: SceneModel) -> None:
        """Put the gates into a freshly built model."""
        generator = _generator(model) if isinstance(model, Painter) else model
        if not isinstance(generator, SpadeGenerator | OasisGenerator):
            raise Refusal("attention=dual stands behind the last block of model=gaugan, sasame, oasis or cocosnetv1; "
                          "use one of them, or another attention")  # fmt: skip
        generator.dual = DualGate(generator.doubled.widths[-1], out=generator.conv_img.in_channels, kernel=self.kernel)


def last_blocks(model: CycleGan | Cut) -> list[ResnetBlock]:
    """The last residual block of each generator of a model."""
    nets = [model.generator] if isinstance(model, Cut) else [model.there, model.back]
    blocks = [[part for part in net.model if isinstance(part, ResnetBlock)] for net in nets if net is not None]
    return [found[-1] for found in blocks]


def _generator(model: SceneModel) -> nn.Module:
    if not isinstance(model, Painter):
        raise Refusal("attention= stands in a generator that paints label maps or translates, in PICNet and in CNCL, "
                      "and this model has no place for it; use model=gaugan, sasame, oasis, cocosnetv1, cocosnetv2, "
                      "unite, cyclegan, cut, picnet, cncl or cncl_unet, or attention=none")  # fmt: skip
    return model.get_submodule("generator")
