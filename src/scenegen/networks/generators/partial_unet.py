"""PD-GAN's coarse completion: a U-Net of convolutions that look at what is known alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch, Completion, Refusal, Synthesis
from scenegen.networks.generators.hole_filler import HoleFiller
from scenegen.networks.layers.holes import composite, masked, visible
from scenegen.networks.layers.spdnorm import per_picture_norm

WIDTHS = (1, 2, 4, 8, 8, 8)
"""Channels of each level, times the base width."""

STEP = 2 ** len(WIDTHS)


class PartialConv(nn.Module):
    """conv(x m) / mask_conv(m), 0 where nothing known lies under the window; and the new mask.

    The divisor's weights are ones by the paper, and in the authors' files whatever their initialiser left there: they
    are read from a file and never trained.

    Args:
        channels, out: of input and result.
        kernel, stride, padding: of both convolutions.

    Source: Liu et al., ECCV 2018 (image inpainting with partial convolutions), eq. 1, as PD-GAN released it.
    """

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int, padding: int) -> None:
        super().__init__()
        options = {"stride": stride, "padding": padding, "bias": False}
        self.input_conv = nn.Conv2d(channels, out, kernel, **options)
        self.mask_conv = nn.Conv2d(channels, out, kernel, **options).requires_grad_(False)
        nn.init.ones_(self.mask_conv.weight)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(b, channels, h, w) and the mask of its shape, 1 where known, to the same of (b, out, h', w')."""
        weight = self.mask_conv(mask)
        known = weight != 0
        y = self.input_conv(x * mask) / torch.where(known, weight, torch.ones_like(weight))
        return y * known, known.to(x.dtype)


class Level(nn.Module):
    """LeakyReLU, a partial convolution that halves, an affine instance norm; the first level is the convolution alone.

    Args:
        channels, out: of input and result.
        acts: the activation comes first.
        normed: the norm comes last.
    """

    def __init__(self, channels: int, out: int, *, acts: bool, normed: bool) -> None:
        super().__init__()
        self.conv = PartialConv(channels, out, 4, stride=2, padding=1)
        self.norm = nn.InstanceNorm2d(out, affine=True) if normed else None
        self.acts = acts

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, known = self.conv(F.leaky_relu(x, 0.2) if self.acts else x, mask)
        return (y if self.norm is None else self.norm(y)), known


class Middle(nn.Module):
    """Residual block of two partial 3x3 convolutions.

    Args:
        channels: of input and result.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1 = PartialConv(channels, channels, 3, stride=1, padding=1)
        self.conv_2 = PartialConv(channels, channels, 3, stride=1, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, known = self.conv_1(x, mask)
        y, known = self.conv_2(F.relu(per_picture_norm(y)), known)
        return x + per_picture_norm(y), known


class PartialEncoder(nn.Module):
    """Six levels that halve and four residual blocks.

    Args:
        ngf: base width.

    Source: Liu et al., CVPR 2021 (PD-GAN), section 4.1; keys of the released EN.
    """

    def __init__(self, *, ngf: int) -> None:
        super().__init__()
        widths = [3, *(ngf * width for width in WIDTHS)]
        self.middle = nn.ModuleList(Middle(widths[-1]) for _ in range(4))
        for k in range(1, len(widths)):
            last = k == len(widths) - 1
            level = Level(widths[k - 1], widths[k], acts=k > 1, normed=k > 1 and not last)
            self.add_module(f"Encoder_{k}", level)

    def forward(self, image: Tensor, known: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Maps of the six levels and their masks.

        Args:
            image: (b, 3, h, w), 0 in the hole.
            known: (b, 1, h, w) 1 where the picture is known.

        Returns:
            Maps as the decoder reads them: through their LeakyReLU, the deepest after the residual blocks.
        """
        x, mask = image, known.expand_as(image)
        maps, masks = [], []
        for k in range(1, len(WIDTHS) + 1):
            x, mask = self.get_submodule(f"Encoder_{k}")(x, mask)
            maps.append(F.leaky_relu(x, 0.2))  # in place in the release, so that the decoder reads it so
            masks.append(mask)
        for block in self.middle:
            x, mask = block(x, mask)
        return [*maps[:-1], x], [*masks[:-1], mask]


class PartialDecoder(nn.Module):
    """Six transposed convolutions, each beside the encoder's map of its size.

    Args:
        ngf: base width.

    Source: Liu et al., CVPR 2021 (PD-GAN), section 4.1; keys of the released DE.
    """

    def __init__(self, *, ngf: int) -> None:
        super().__init__()
        outs = [*(ngf * width for width in WIDTHS[-2::-1]), 3]
        channels = ngf * WIDTHS[-1]
        for k, out in enumerate(outs, 1):
            parts: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)]
            parts += [nn.InstanceNorm2d(out, affine=True)] if k < len(outs) else []
            level = nn.Module()
            level.model = nn.Sequential(*parts)
            self.add_module(f"Decoder_{k}", level)
            channels = 2 * out

    def forward(self, maps: list[Tensor]) -> Tensor:
        """(b, 3, h, w) in [-1, 1] of the encoder's maps."""
        *skips, x = maps
        for k in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"Decoder_{k}.model")(x)
            x = torch.cat([x, skips.pop()], 1) if skips else x
        return torch.tanh(x)


class PartialUnet(HoleFiller):
    """One completion of a picture with a hole: coarse, for model=pdgan, or an end in itself.

    Args:
        num_classes, edges: of the data; not read.
        height, width: of the pictures, multiples of 64.
        ngf: base width.

    Source: Liu et al., CVPR 2021 (PD-GAN), section 4.1; Liu et al., ECCV 2018 (partial convolutions).
    """

    offers: frozenset[str] = frozenset({"completion.raw"})
    normal_start = True

    def __init__(self, *, num_classes: int, edges: bool, height: int, width: int, ngf: int) -> None:
        super().__init__()
        require_sides(height, width, model="pconv")
        self.encoder = PartialEncoder(ngf=ngf)
        self.decoder = PartialDecoder(ngf=ngf)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The raw picture, as the losses read it."""
        raw = self.decoder(self.encoder(masked(batch), visible(batch))[0])  # (b, 3, h, w)
        return Synthesis(image=raw, completion=Completion(raw))

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The composite."""
        made = self.forward(batch)
        return Synthesis(image=composite(made.image, batch), completion=made.completion)


def require_sides(height: int, width: int, *, model: str) -> None:
    """Refuse sizes that six halvings do not divide."""
    if height % STEP or width % STEP:
        raise Refusal(f"model={model} halves pictures {len(WIDTHS)} times, but {height}x{width} are no multiples of "
                      f"{STEP}; choose size=tiny (64x64), s128 or s256, or size.height= and size.width=")  # fmt: skip
