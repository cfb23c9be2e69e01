"""The generator of GauGAN and CoCosNet: SPADE blocks on a start grid that is doubled up to the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.layers.attention import NonLocal
from scenegen.networks.layers.norm import PARAMETER_FREE, choose
from scenegen.networks.layers.precision import at_least_float32, autocast_dtype
from scenegen.networks.layers.small_pictures import SmallPictures
from scenegen.networks.layers.spade import SPADE, Doubled, Padding, SPADEBlock, nearest

DOUBLINGS = {"normal": 5, "more": 6, "most": 7}
"""Number of doublings of the start grid, by the name of the published option."""


class SpadeGenerator(nn.Module):
    """The generator of GauGAN: a start grid doubled five to seven times, every block modulated by the semantics.

    Args:
        semantic_channels: of the semantics.
        height, width: of the picture; both divisible by 32 (normal), 64 (more) or 128 (most).
        ngf: base width; the grid has 16 ngf channels, the last block ngf (half of it for "most").
        hidden: width inside each SPADE layer, 128 as published.
        latent: length of z, whose linear map is the grid; None starts from the semantics instead.
        upsampling: "normal", "more" or "most".
        norm: a key of PARAMETER_FREE.
        spectral: spectral norm on the blocks' convolutions.
        kernel: of the SPADE convolutions.
        padding_mode: of the convolutions in the blocks; the exemplar families reflect.
        attention: a non-local block before up_2, at half the picture's size (CoCosNet).

    Attributes:
        dual: a layer of the last block's input and result (DAGAN's gates); None as published.
        small: pictures of its maps (tricks grow and multi_scale_gradient); None as published.

    Source: Park et al. 2019, SPADE, figure 4 right and appendix A.
    """

    dual: nn.Module | None
    small: SmallPictures | None

    def __init__(
        self,
        *,
        semantic_channels: int,
        height: int,
        width: int,
        ngf: int,
        hidden: int,
        latent: int | None = None,
        upsampling: str = "normal",
        norm: str,
        spectral: bool = True,
        kernel: int = 3,
        padding_mode: Padding = "zeros",
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.grid = start_grid(height, width, upsampling=upsampling)
        self.semantic_channels = semantic_channels
        self.latent = latent
        self.upsampling = upsampling
        last = ngf // 2 if upsampling == "most" else ngf
        if min(last, hidden, semantic_channels, 1 if latent is None else latent) < 1:
            raise Refusal(
                f"widths must be positive, got ngf={ngf} (with upsampling={upsampling}), hidden={hidden}, "
                f"semantic_channels={semantic_channels}, latent={latent}; give at least 1 (ngf 2 with 'most')"
            )
        make = choose(norm, PARAMETER_FREE)

        def modulation(channels: int) -> SPADE:
            return SPADE(
                channels,
                condition_channels=semantic_channels,
                norm=make(channels),
                hidden=hidden,
                kernel=kernel,
                padding_mode=padding_mode,
            )

        def block(channels: int, out: int) -> SPADEBlock:
            return SPADEBlock(channels, out=out, modulation=modulation, spectral=spectral, padding_mode=padding_mode)

        widest = 16 * ngf
        if latent is None:
            self.fc = nn.Conv2d(semantic_channels, widest, 3, padding=1)
        else:
            self.fc = nn.Linear(latent, widest * self.grid[0] * self.grid[1])
        self.head_0 = block(widest, widest)
        self.G_middle_0 = block(widest, widest)
        self.G_middle_1 = block(widest, widest)
        self.up_0 = block(widest, 8 * ngf)
        self.up_1 = block(8 * ngf, 4 * ngf)
        self.attn = NonLocal(4 * ngf, spectral=spectral) if attention else None
        self.up_2 = block(4 * ngf, 2 * ngf)
        self.up_3 = block(2 * ngf, ngf)
        self.up_4 = block(ngf, last) if upsampling == "most" else None
        self.conv_img = nn.Conv2d(last, 3, 3, padding=1)
        deep = [widest] * (1 if upsampling == "normal" else 2)
        top = [ngf] if upsampling == "most" else []
        self.doubled = Doubled([*deep, widest, 8 * ngf, 4 * ngf, 2 * ngf, *top])
        self.register_module("dual", None)
        self.register_module("small", None)

    def forward(self, semantics: Tensor, z: Tensor | None = None, *, size: tuple[int, int] | None = None) -> Tensor:
        """Paint a picture.

        Args:
            semantics: (b, semantic_channels, h, w) at any size.
            z: (b, latent), needed exactly when the generator has a latent.
            size: (height, width) of the picture, of a generator without latent; None is the size it was built for.

        Returns:
            (b, 3, height, width) in [-1, 1], float32 also under autocast.

        Raises:
            Refusal: when z is missing, not wanted or of another shape, the channels differ, or the size cannot be had.
        """
        self._check(semantics, z)
        grid = self.grid if size is None else start_grid(*size, upsampling=self.upsampling)
        if self.latent is not None and grid != self.grid:
            raise Refusal("z fills the start grid of the size that this generator was built for; leave size out")
        # once here, not in each of 18 convolutions; zeros and ones are exact in every dtype
        semantics = semantics.to(autocast_dtype(semantics) or semantics.dtype)
        condition = nearest(semantics, grid)
        x = self.fc(condition) if z is None else self.fc(z).unflatten(1, (-1, *grid))
        x = self.head_0(x, condition)
        place = 0
        entering = x
        for block, doubled in self._upper():
            if doubled:
                if self.small is not None and (ended := self.small(x, place)) is not None:
                    return ended
                x = self.doubled(x, place)
                place += 1
                condition = nearest(semantics, x.shape[-2:])
            if block is self.up_2 and self.attn is not None:
                x = self.attn(x)
            entering, x = x, block(x, condition)
        if self.dual is not None:
            x = self.dual(entering, x)
        image = torch.tanh(at_least_float32(self.conv_img(F.leaky_relu(x, 0.2))))
        return image if self.small is None else self.small.whole(image)

    def _upper(self) -> list[tuple[nn.Module, bool]]:
        """The blocks after head_0, and whether the map is doubled before each."""
        rows: list[tuple[nn.Module, bool]] = [
            (self.G_middle_0, True),
            (self.G_middle_1, self.upsampling != "normal"),
            *((block, True) for block in (self.up_0, self.up_1, self.up_2, self.up_3)),
        ]
        return rows if self.up_4 is None else [*rows, (self.up_4, True)]

    def _check(self, semantics: Tensor, z: Tensor | None) -> None:
        if semantics.ndim != 4 or semantics.shape[1] != self.semantic_channels:
            raise Refusal(
                f"the generator needs semantics (b, {self.semantic_channels}, h, w), got "
                f"{tuple(semantics.shape)}; num_classes and edges must match the data"
            )
        if self.latent is None and z is not None:
            raise Refusal("this generator has no latent; leave z out, or build it with latent=256 (model.vae=true)")
        if self.latent is not None and (z is None or z.shape != (semantics.shape[0], self.latent)):
            got = "none" if z is None else f"{tuple(z.shape)}"
            raise Refusal(f"this generator needs z of shape ({semantics.shape[0]}, {self.latent}), got {got}")


def start_grid(height: int, width: int, *, upsampling: str) -> tuple[int, int]:
    """(rows, columns) of the smallest map.

    Raises:
        Refusal: when a side is not divisible by 2 to the number of doublings, or the option is unknown.
    """
    if upsampling not in DOUBLINGS:
        raise Refusal(f"upsampling={upsampling!r} is not known; choose one of {', '.join(DOUBLINGS)}")
    step = 2 ** DOUBLINGS[upsampling]
    if height < step or width < step or height % step or width % step:
        near = [_around(side, step) for side in (height, width)]
        raise Refusal(
            f"upsampling={upsampling} needs height and width divisible by {step}, got {height}x{width}; "
            f"the nearest are height {near[0]} and width {near[1]}"
        )
    return height // step, width // step


def require_sides(height: int, width: int, *, family: str, step: int, smallest: int) -> None:
    """Refuse sides that are not divisible by `step` or smaller than `smallest`, with the nearest that are right."""
    if height % step or width % step or min(height, width) < smallest:
        near = [_around(side, step, smallest) for side in (height, width)]
        raise Refusal(
            f"{family} needs height and width divisible by {step} and at least {smallest}, got {height}x{width}; "
            f"the nearest are height {near[0]} and width {near[1]}"
        )


def _around(side: int, step: int, smallest: int = 0) -> str:
    floor = max(step, smallest)
    return " or ".join(map(str, sorted({max(floor, side // step * step), max(floor, -(-side // step) * step)})))
