"""PICNet's decoder with SPDNorm: each doubling is modulated by a coarse completion, as the log's seed 000 built it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.generators.hole_filler import OverCoarse, Painted
from scenegen.networks.generators.picnet import require_sides
from scenegen.networks.generators.picnet_parts import ATTENDED, LAYERS, PicnetGenerator, Widths
from scenegen.networks.layers.log_spdnorm import LogSPDBlock
from scenegen.networks.layers.picnet import Convolutions, widths
from scenegen.networks.layers.spdnorm import DILATIONS, SPDBlock


def _log(channels: int, place: int) -> nn.Module:
    return LogSPDBlock(channels)


def _released(channels: int, place: int) -> nn.Module:
    # PD-GAN's dilations of maps at the sizes of PICNet's, h/16 to h/2; the last stands for h too
    rings, window = (*DILATIONS[-4:], DILATIONS[-1])[place]
    return SPDBlock(channels, channels, rings=rings, window=window, spectral=True)


BLOCKS: dict[str, Callable[[int, int], nn.Module]] = {"log": _log, "released": _released}
"""Options of model.block: (channels, number of the doubling) -> a block."""


class PicnetSpdGenerator(PicnetGenerator):
    """PICNet's doublings without its encoder, each followed by a block that a coarse completion modulates.

    Args:
        sizes, norm, convolutions: see `PicnetGenerator`.
        attention: short attention behind the second doubling's block; the long part has no encoder to read.
        block: "log" (`LogSPDBlock`) or "released" (PD-GAN's).

    Source: the code behind the log's seed 000; Liu et al., CVPR 2021 (PD-GAN), for the released block.
    """

    def __init__(self, *, sizes: Widths, norm: str, attention: bool, block: str, convolutions: Convolutions) -> None:
        super().__init__(
            sizes=sizes, norm=norm, attention=attention, simam=None, attentive=None, convolutions=convolutions
        )
        if block not in BLOCKS:
            raise Refusal(f"model.block={block} is not one of {', '.join(BLOCKS)}")
        channels = widths(sizes.ngf, sizes.widest, LAYERS)[::-1]
        self.blocks = nn.ModuleList(BLOCKS[block](c, i) for i, c in enumerate(channels))
        if self.attn1 is not None:  # its long part is in the files of PICNet and never runs here
            self.attn1.model.requires_grad_(False)
            self.attn1.alpha.requires_grad_(False)

    def forward(self, z: Tensor, coarse: Tensor, visible: Tensor) -> Painted:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Paint.

        Args:
            z: (b, z, h/32, w/32) the latent map.
            coarse: (b, 3, h, w) in [-1, 1].
            visible: (b, 1, h, w) 1 where the picture is known.

        Returns:
            Pictures (b, 3, h', w') in [-1, 1] at 1/8, 1/4, 1/2 and 1 of the size, and there the doublings' maps in
            front of the blocks.
        """
        pictures: list[Tensor] = []
        maps: list[Tensor] = []
        x, picture = self.generator(z), None  # (b, widest, h/32, w/32)
        for i, block in enumerate(self.blocks):
            plain = self.get_submodule(f"decoder{i}")(x, picture)  # (b, channels of i, h 2^(i-4), w 2^(i-4))
            x = self.after(block(plain, coarse, visible), f"{i}")
            if i == ATTENDED and self.attn1 is not None:
                x = self.attn1(x)
            if i >= ATTENDED:
                maps.append(plain)
                picture = self.get_submodule(f"out{i}")(x)
                pictures.append(picture)
        return tuple(pictures), tuple(maps)


class PicnetSpdnorm(OverCoarse):
    """`source` pictures whose `hole` is filled over a coarse completion by PICNet's decoder with SPDNorm.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures, multiples of 32, 64 or more.
        sizes: widths; a mapping of `Widths`' fields.
        norm: of the doublings; see `PicnetGenerator`.
        attention, block: see `PicnetSpdGenerator`.
        coarse: see `OverCoarse`.

    Source: the code behind the log's seed 000, its last inpainting part.
    """

    offers: frozenset[str] = frozenset(
        {
            "completion.raw",
            "completion.generated",
            "completion.other",
            "completion.others",
            "completion.maps",
            "coarse",
            "again",
            "posterior.z",
        }
    )
    keeps_start: ClassVar[bool] = True

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        height: int,
        width: int,
        sizes: dict[str, int],
        norm: str,
        attention: bool,
        block: str,
        coarse: str | None,
    ) -> None:
        require_sides(height, width)
        found, step = Widths(**sizes), 2**LAYERS
        super().__init__(coarse=coarse, size=(height, width), drawn=(found.z, height // step, width // step))
        self.generator = PicnetSpdGenerator(
            sizes=found,
            norm=norm,
            attention=attention,
            block=block,
            convolutions=Convolutions(kind="plain", eval_steps=False),
        )

    def painted(self, z: Tensor, coarse: Tensor, known: Tensor) -> Painted:
        return self.generator(z, coarse, known)
