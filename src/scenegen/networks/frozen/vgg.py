"""VGG19, and the VGG16 with L2 pooling that DISTS reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.extractors import IMAGENET_MEAN, IMAGENET_STD, Extractor, Normalise

CAFFE_MEAN = (0.40760392, 0.45795686, 0.48501961)
"""Of blue, green, red."""
MEAN_COLOUR = (123.68, 116.779, 103.939)
"""Of red, green, blue in grey levels; CAFFE_MEAN, as others released it, is the same to 6e-7."""
VGG16_CONVOLUTIONS = (2, 2, 3, 3, 3)
VGG19_CONVOLUTIONS = (2, 2, 4, 4, 4)
VGG_WIDTHS = (64, 128, 256, 512, 512)


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


class GreyLevels(nn.Module):
    """Picture in [-1, 1] -> grey levels without the mean colour, as VGG's authors trained it.

    Args:
        bgr: channels in the order of Caffe's weights; false for the same weights in MatConvNet's.
    """

    def __init__(self, *, bgr: bool) -> None:
        super().__init__()
        self.bgr = bgr

    def forward(self, image: Tensor) -> Tensor:
        levels = 127.5 * (image + 1) - image.new_tensor(MEAN_COLOUR).view(1, -1, 1, 1)
        return levels.flip(1) if self.bgr else levels


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
    "levels_rgb": GreyLevels(bgr=False),
    "levels_bgr": GreyLevels(bgr=True),
}


class Vgg19(Extractor):
    """VGG19 with torchvision's parameter names; layers "image", "conv1_1" (before its ReLU), "relu1_1" ...
    "relu5_4".

    Args:
        weights: "published" (torchvision's ImageNet weights) or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.
        normalise: "none" feeds [-1, 1] as it is, as SPADE's published objective does; "imagenet" standardises;
            "caffe" and "caffe_legacy" are CoCosNet's and UNITE's, for weights trained in Caffe (see CaffeTreatment);
            "levels_rgb" and "levels_bgr" are for the authors' own weights in MatConvNet's and Caffe's form.
        resize_to: see `Extractor`.

    Source: Simonyan and Zisserman, ICLR 2015, configuration E.
    """

    def __init__(
        self,
        *,
        weights: str,
        folder: str | Path | None,
        normalise: str,
        resize_to: int | None,
    ) -> None:
        if normalise not in TREATMENTS:
            raise Refusal(f"normalise={normalise} of Vgg19 is not one of {', '.join(TREATMENTS)}")
        features, taps = vgg(VGG19_CONVOLUTIONS, pool=lambda channels: nn.MaxPool2d(2))
        stamp = pinned.fill(features, pinned.VGG19, policy=weights, folder=folder)
        stamp = f"{stamp}, normalise={normalise}"
        super().__init__(features, taps=taps, stamp=stamp, treatment=TREATMENTS[normalise], resize_to=resize_to)


class DistsVgg16(Extractor):
    """VGG16 with L2 pooling, the trunk of DISTS; layers "image", "conv1_1", "relu1_1" ... "relu5_3".

    Args:
        weights: "published" (torchvision's ImageNet weights) or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.
        resize_to: 256 repeats piq, which shrinks larger pictures to a smaller side of 256; None keeps the size.

    Source: Ding et al., TPAMI 2020 (DISTS), section 3.1.
    """

    def __init__(
        self,
        *,
        weights: str,
        folder: str | Path | None,
        resize_to: int | None,
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
        The trunk up to its last ReLU, and "convS_N" -> index of that convolution, "reluS_N" -> of the ReLU after it.
    """
    modules: list[nn.Module] = []
    taps: dict[str, int] = {}
    channels = 3
    for stage, (count, width) in enumerate(zip(convolutions, widths, strict=True), start=1):
        if stage > 1:
            modules.append(pool(channels))
        for n in range(1, count + 1):
            modules.append(nn.Conv2d(channels, width, 3, padding=1))
            taps[f"conv{stage}_{n}"] = len(modules) - 1
            modules.append(nn.ReLU(inplace=False))  # in place would overwrite a tapped convolution
            taps[f"relu{stage}_{n}"] = len(modules) - 1
            channels = width
    return nn.Sequential(*modules), taps
