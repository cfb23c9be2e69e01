"""Frozen networks whose feature maps the losses and metrics read: VGG19, and DISTS' VGG16 with L2 pooling."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (0.40760392, 0.45795686, 0.48501961)
"""Of blue, green, red."""
VGG16_CONVOLUTIONS = (2, 2, 3, 3, 3)
VGG19_CONVOLUTIONS = (2, 2, 4, 4, 4)
VGG_WIDTHS = (64, 128, 256, 512, 512)


class Extractor(nn.Module):
    """A trunk that never learns: always in eval mode, without gradients of its own, outside every state dict.

    The trunk is kept out of the module tree, so optimizers, EMA, checkpoints, `.train()` and DDP do not see
    it; `.to()` and friends still reach it. One instance is one treatment of the picture (range, resize), so
    terms that share an instance share its forward pass. Under autocast the trunk follows the ambient precision.

    Args:
        features: the trunk; child i is called on the result of child i - 1.
        taps: layer name -> index of the child whose result it is, shallow to deep.
        stamp: name and weights of the trunk, for the protocol of a number.
        mean, std: per channel of a picture in [0, 1], subtracted and divided; None feeds [-1, 1] as it is.
        treatment: what is done with [-1, 1] pictures in place of mean and std.
        resize_to: pictures whose smaller side exceeds this are shrunk to it, bilinear; None keeps the size.

    Attributes:
        layers: what can be asked for, shallow to deep; "image" is the picture itself in [0, 1].
        stamp: as given.
    """

    def __init__(
        self,
        features: nn.Sequential,
        *,
        taps: Mapping[str, int],
        stamp: str,
        mean: tuple[float, ...] | None = IMAGENET_MEAN,
        std: tuple[float, ...] | None = IMAGENET_STD,
        treatment: nn.Module | None = None,
        resize_to: int | None = None,
    ) -> None:
        super().__init__()
        if resize_to is not None and resize_to < 32:
            raise Refusal(f"resize_to={resize_to} is too small for {stamp}; use null, or 256 as piq does")
        self.layers: tuple[str, ...] = ("image", *taps)
        self.stamp = stamp
        self.resize_to = resize_to
        if treatment is None:
            treatment = nn.Identity() if mean is None or std is None else Normalise(mean, std)
        frozen = nn.ModuleList([treatment, features]).requires_grad_(False).eval()
        self._frozen = (frozen,)  # a tuple: not registered as a submodule
        self._taps = dict(taps)
        self._child_layer = {index: layer for layer, index in taps.items()}
        self._smallest = {layer: _smallest_side(features, index) for layer, index in taps.items()}

    @property
    def features(self) -> nn.Sequential:
        """The trunk."""
        return self._frozen[0][1]  # pyright: ignore[reportReturnType]

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Run the trunk as deep as asked.

        Args:
            image: (b, 3, h, w) in [-1, 1].
            layers: names out of `self.layers`.

        Returns:
            Layer name -> (b, c, h', w').

        Raises:
            Refusal: for an unknown layer, or a picture too small for a layer.
        """
        self.require(layers)
        image = self._resized(image)
        deepest = max((self._taps[name] for name in layers if name != "image"), default=-1)
        self._refuse_small(image, layers)
        found = {"image": (image + 1) / 2} if "image" in layers else {}
        x = self._frozen[0][0](image)
        for index, module in enumerate(self.features[: deepest + 1]):
            x = module(x)
            layer = self._child_layer.get(index, "")
            if layer in layers:
                found[layer] = x
        return found

    def require(self, layers: Collection[str]) -> None:
        """Refuse layers that this extractor does not have, naming those that it has."""
        missing = [name for name in layers if name not in self.layers]
        if missing:
            raise Refusal(f"extractor {self.stamp} has no layer {', '.join(missing)}; it has {', '.join(self.layers)}")

    def _resized(self, image: Tensor) -> Tensor:
        smaller = min(image.shape[-2:])
        if self.resize_to is None or smaller <= self.resize_to:
            return image
        scale = self.resize_to / smaller
        return F.interpolate(image, scale_factor=scale, mode="bilinear", recompute_scale_factor=False)

    def _refuse_small(self, image: Tensor, layers: Collection[str]) -> None:
        h, w = image.shape[-2:]
        for name in layers:
            if min(h, w) < self._smallest.get(name, 1):
                raise Refusal(
                    f"a {h}x{w} picture is too small for layer {name} of {self.stamp}, which needs at least "
                    f"{self._smallest[name]} pixels a side; use larger pictures or shallower layers"
                )

    def _apply(self, fn: Callable, recurse: bool = True) -> Extractor:
        super()._apply(fn, recurse)
        self._frozen[0]._apply(fn, recurse)
        return self


class Normalise(nn.Module):
    """Picture in [-1, 1] -> zero mean and unit deviation per channel, with mean and std of [0, 1] pictures."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean, self.std = mean, std  # numbers, not buffers: exact in every precision

    def forward(self, image: Tensor) -> Tensor:
        mean, std = (image.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return ((image + 1) / 2 - mean) / std


class CaffeTreatment(nn.Module):
    """Picture in [-1, 1] -> what VGGs trained in Caffe take: BGR, the mean subtracted, 255 grey levels.

    Args:
        shift: bring [-1, 1] to [0, 1] first; false repeats the published slip of UNITE and of CoCosNet's defaults.

    Source: Gatys et al., CVPR 2016, in the form that CoCosNet's and UNITE's releases have.
    """

    def __init__(self, *, shift: bool = True) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, image: Tensor) -> Tensor:
        image = (image + 1) / 2 if self.shift else image
        return 255 * (image.flip(1) - image.new_tensor(CAFFE_MEAN).view(1, -1, 1, 1))


class L2Pool(nn.Module):
    """Halve by a Hann-weighted root mean square, free of aliasing.

    Args:
        channels: number of feature channels.

    Source: Henaff and Simoncelli, ICLR 2016; Ding et al., TPAMI 2020 (DISTS), eq. 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([0.5, 1.0, 0.5])
        window = torch.outer(taps, taps)
        self.window = nn.Buffer((window / window.sum()).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # 1e-12 is 0 in half precision
        with torch.autocast(x.device.type, enabled=False):
            power = F.conv2d(x.square(), self.window.to(x.dtype), stride=2, padding=1, groups=x.shape[1])
        return (power + 1e-12).sqrt()  # the root is singular at 0


TREATMENTS: dict[str, nn.Module] = {
    "imagenet": Normalise(IMAGENET_MEAN, IMAGENET_STD),
    "none": nn.Identity(),
    "caffe": CaffeTreatment(),
    "caffe_legacy": CaffeTreatment(shift=False),
}


class Vgg19(Extractor):
    """VGG19 with torchvision's parameter names; layers "image", "relu1_1" ... "relu5_4".

    Args:
        weights: "published" (torchvision's ImageNet weights) or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.
        normalise: "none" feeds [-1, 1] as it is, as SPADE's published objective does; "imagenet" standardises;
            "caffe" and "caffe_legacy" are CoCosNet's and UNITE's, for weights trained in Caffe (see CaffeTreatment).
        resize_to: see `Extractor`.

    Source: Simonyan and Zisserman, ICLR 2015, configuration E.
    """

    def __init__(
        self,
        *,
        weights: str = "published",
        folder: str | Path | None = None,
        normalise: str = "none",
        resize_to: int | None = None,
    ) -> None:
        if normalise not in TREATMENTS:
            raise Refusal(f"normalise={normalise} of Vgg19 is not one of {', '.join(TREATMENTS)}")
        features, taps = vgg(VGG19_CONVOLUTIONS, pool=lambda channels: nn.MaxPool2d(2))
        stamp = pinned.fill(features, pinned.VGG19, policy=weights, folder=folder)
        stamp = f"{stamp}, normalise={normalise}"
        super().__init__(features, taps=taps, stamp=stamp, treatment=TREATMENTS[normalise], resize_to=resize_to)


class DistsVgg16(Extractor):
    """VGG16 with L2 pooling, the trunk of DISTS; layers "image", "relu1_1" ... "relu5_3".

    Args:
        weights: "published" (torchvision's ImageNet weights) or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.
        resize_to: 256 repeats piq, which shrinks larger pictures to a smaller side of 256; None keeps the size.

    Source: Ding et al., TPAMI 2020 (DISTS), section 3.1.
    """

    def __init__(
        self,
        *,
        weights: str = "published",
        folder: str | Path | None = None,
        resize_to: int | None = None,
    ) -> None:
        features, taps = vgg(VGG16_CONVOLUTIONS, pool=L2Pool)
        stamp = pinned.fill(features, pinned.VGG16, policy=weights, folder=folder)
        stamp = f"{stamp}, L2 pooling"
        super().__init__(features, taps=taps, stamp=stamp, resize_to=resize_to)


def vgg(
    convolutions: tuple[int, ...], *, pool: Callable[[int], nn.Module], widths: tuple[int, ...] = VGG_WIDTHS
) -> tuple[nn.Sequential, dict[str, int]]:
    """A VGG trunk and its layer names; indices equal those of torchvision's `features`.

    Args:
        convolutions: number of 3x3 convolutions per stage.
        pool: channels -> the module between two stages.
        widths: channels per stage.

    Returns:
        The trunk up to its last ReLU, and "reluS_N" -> index of that ReLU.
    """
    modules: list[nn.Module] = []
    taps: dict[str, int] = {}
    channels = 3
    for stage, (count, width) in enumerate(zip(convolutions, widths, strict=True), start=1):
        if stage > 1:
            modules.append(pool(channels))
        for n in range(1, count + 1):
            modules.append(nn.Conv2d(channels, width, 3, padding=1))
            modules.append(nn.ReLU(inplace=False))  # in place would overwrite a tapped convolution
            taps[f"relu{stage}_{n}"] = len(modules) - 1
            channels = width
    return nn.Sequential(*modules), taps


def _smallest_side(features: nn.Sequential, index: int) -> int:
    pools = [m for m in features[: index + 1].modules() if isinstance(m, nn.MaxPool2d) and not m.ceil_mode]
    return 2 ** len(pools)  # halving with ceil never leaves an empty map
