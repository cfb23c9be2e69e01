"""Tricks that change the layers of a generator once, when it is built: class noise, borders, enlarging, start, sizes.

Borders and enlarging leave the published state dicts as they are; class noise and small pictures add their weights, and
an even start has a smaller first map.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from scenegen.base.records import Refusal, SceneModel
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.generators.oasis import Oasis, OasisGenerator
from scenegen.networks.generators.painter import Painter
from scenegen.networks.generators.seace import SEACE
from scenegen.networks.generators.spade import SpadeGenerator
from scenegen.networks.layers.class_noise import ClassNoise, NoiseField
from scenegen.networks.layers.enlarging import PixelShuffled, ResizeConv
from scenegen.networks.layers.small_pictures import SmallPictures
from scenegen.networks.layers.spade import SPADE, Doubled

Borders = Literal["replicate", "reflect"]
Enlarged = Literal["bilinear", "nearest"]


def add_class_noise(*, model: SceneModel, gain: float) -> None:
    """Give every modulated normalisation of a model's generator noise of a learnt strength per class, zero at first.

    Args:
        model: freshly built; changed in place.
        gain: see `ClassNoise`.

    Raises:
        Refusal: for a model without such normalisations, or a gain that is not positive.
    """
    if not 0 < gain < float("inf"):
        raise Refusal(f"trick.noise.gain={gain} must be a positive number")
    generator = _generator(model, trick="class_noise")
    field = NoiseField()
    model_of = _painter(model)
    layers = [layer for layer in generator.modules() if isinstance(layer, SPADE | SEACE)]
    for number, layer in enumerate(layers):
        layer.noise = ClassNoise(layer.channels, classes=model_of.num_classes, gain=gain, field=field, layer=number)
    model_of.take_field(field)


def set_borders(*, model: SceneModel, mode: Borders) -> None:
    """Let convolutions of the generator and of its correspondence see edge pixels beyond the border instead of zeros.

    A zero beyond the border is a mark that every convolution sees and hands on inwards, so that a frame of other
    brightness stands around each picture.

    Args:
        model: freshly built; changed in place.
        mode: "replicate" repeats the edge, "reflect" mirrors the map, which a map of one pixel cannot be.

    Raises:
        Refusal: for an unknown mode, or a model without such a generator.
    """
    if mode not in get_args(Borders):
        raise Refusal(f"trick.borders.mode={mode} is not one of {', '.join(get_args(Borders))}")
    painting = ("generator", "correspondence")  # UNITE modulates with features that its correspondence makes
    for name, network in _painter(model, trick="borders").named_children():
        for part in network.modules() if name in painting else ():
            if isinstance(part, nn.Conv2d) and part.padding_mode == "zeros" and any(map(int, part.padding)):
                part.padding_mode = mode


def set_enlarging(*, model: SceneModel, mode: Enlarged) -> None:
    """Enlarge the maps between the blocks of a model's generator in another way.

    A convolution on an enlarged map of equal 2x2 squares answers at its odd and even pixels in two ways: lines of
    period 2, which later blocks enlarge to 4, 8 and 16.

    Args:
        model: freshly built; changed in place.
        mode: "bilinear", or "nearest" as published.

    Raises:
        Refusal: for an unknown mode, or a model without such a generator.
    """
    if mode not in get_args(Enlarged):
        raise Refusal(f"trick.enlarging.mode={mode} is not one of {', '.join(get_args(Enlarged))}")
    for part in _generator(model, trick="bilinear").modules():
        if isinstance(part, Doubled):
            part.mode = mode


def set_pixelshuffle(*, model: SceneModel, nearest_start: bool) -> None:
    """Enlarge the maps between the blocks of a model's generator by sub-pixel convolutions.

    Args:
        model: freshly built; changed in place.
        nearest_start: start as nearest enlargings (ICNR).

    Raises:
        Refusal: for a model without such a generator.
    """
    for part in _doublings(model, trick="pixelshuffle"):
        part.learnt = nn.ModuleList(PixelShuffled(width, nearest_start=nearest_start) for width in part.widths)


def set_resize_conv(*, model: SceneModel) -> None:
    """Put a convolution behind every nearest enlarging of a model's generator.

    Args:
        model: freshly built; changed in place.

    Raises:
        Refusal: for a model without such a generator.
    """
    for part in _doublings(model, trick="resize_conv"):
        part.learnt = nn.ModuleList(ResizeConv(width) for width in part.widths)


class EvenStart(nn.Linear):
    """A latent's linear map, the same at every position of the start grid.

    Args:
        latent: length of z.
        channels: of the grid.
        positions: of the grid, rows times columns.
    """

    def __init__(self, latent: int, channels: int, *, positions: int) -> None:
        super().__init__(latent, channels)
        self.positions = positions

    def forward(self, input: Tensor) -> Tensor:
        """(b, latent) to (b, channels * positions), in the order of the published map."""
        return super().forward(input).repeat_interleave(self.positions, 1)


def set_even_start(*, model: SceneModel) -> None:
    """Start from one vector at every position instead of weights of its own for each.

    The published map from z gives every cell of the start grid its own weights; a cell is 32 pixels wide in the
    picture, so that its columns and rows stand in every sky.

    Args:
        model: freshly built; changed in place.

    Raises:
        Refusal: for a model whose start is no map of a latent.
    """
    generator = _generator(model, trick="even_start")
    if not isinstance(generator, SpadeGenerator) or not isinstance(generator.fc, nn.Linear):
        raise Refusal("trick=even_start replaces the map from a VAE's latent, and this model starts from its labels, "
                      "evenly already; leave it out, or use model=gaugan model.vae=true")  # fmt: skip
    rows, columns = generator.grid
    generator.fc = EvenStart(
        generator.fc.in_features, generator.fc.out_features // (rows * columns), positions=rows * columns
    )


def show_small_pictures(*, model: SceneModel, count: int) -> None:
    """Show the discriminator's smaller scales pictures that the generator makes at their sizes.

    Args:
        model: freshly built; changed in place.
        count: pictures, at 1/2, 1/4, ... of the size.

    Raises:
        Refusal: for a model without such a generator, or one of fewer doublings.

    Source: Karnewar and Wang, CVPR 2020 (MSG-GAN), section 2.1; a discriminator of scales reads each at its input.
    """
    _add_small(model, trick="multi_scale_gradient", count=count, growing=False)
    model.smaller = count


def grow_pictures(*, model: SceneModel, count: int) -> None:
    """Let a model's generator end at smaller sizes, for the slot `grow`.

    Args:
        model: freshly built; changed in place.
        count: sizes below its own, 1/2, 1/4, ... of it.

    Raises:
        Refusal: for a model without such a generator, or one of fewer doublings.

    Source: Karras et al., ICLR 2018 (progressive growing of GANs), section 2.
    """
    _add_small(model, trick="grow", count=count, growing=True)


def _add_small(model: SceneModel, *, trick: str, count: int, growing: bool) -> None:
    generator = _generator(model, trick=trick)
    if not isinstance(model, GauGAN | Oasis) or not isinstance(generator, SpadeGenerator | OasisGenerator):
        raise Refusal(f"trick={trick} makes pictures out of a generator's smaller maps, which model=gaugan, sasame and "
                      "oasis do; use one of them, or leave it out")  # fmt: skip
    generator.small = SmallPictures(generator.doubled.widths, count=count, growing=growing)
    model.offers |= {"coarse"}


def _doublings(model: SceneModel, *, trick: str) -> list[Doubled]:
    return [part for part in _generator(model, trick=trick).modules() if isinstance(part, Doubled)]


def _generator(model: SceneModel, *, trick: str) -> nn.Module:
    return _painter(model, trick=trick).get_submodule("generator")


def _painter(model: SceneModel, *, trick: str = "class_noise") -> Painter:
    if not isinstance(model, Painter):
        raise Refusal(f"trick={trick} changes a generator that paints label maps, and this model has none; leave it "
                      "out, or use model=gaugan, sasame, oasis, cocosnetv1, cocosnetv2 or unite")  # fmt: skip
    return model
