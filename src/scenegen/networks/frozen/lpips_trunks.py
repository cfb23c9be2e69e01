"""The trunks that LPIPS reads, AlexNet, VGG16 and SqueezeNet 1.1, and its learned heads."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.frozen import weights as pinned
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import VGG16_CONVOLUTIONS, vgg

PUBLISHER = "https://download.pytorch.org/models"
ALEXNET = pinned.WeightsFile("alexnet", "alexnet-owt-7be5be79.pth", f"{PUBLISHER}/alexnet-owt-7be5be79.pth")
SQUEEZENET = pinned.WeightsFile(
    "squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", f"{PUBLISHER}/squeezenet1_1-b8a52dc0.pth"
)


@dataclass(frozen=True)
class Net:
    """A trunk of LPIPS.

    Attributes:
        build: makes the trunk with torchvision's parameter names, and layer name -> index.
        source: its weights.
        layers: maps that the heads read, shallow to deep.
        heads_sha256: beginning of the sha256 of the heads' file.
    """

    build: Callable[[], tuple[nn.Sequential, dict[str, int]]]
    source: pinned.WeightsFile
    layers: tuple[str, ...]
    heads_sha256: str


class LpipsTrunk(Extractor):
    """A trunk of LPIPS; its layers are "image" and those of `NETS`, for "vgg" also those in between.

    LPIPS' scaling layer, (x - (-.030, -.088, -.188)) / (.458, .448, .450) of pictures in [-1, 1], is ImageNet's
    mean and deviation of pictures in [0, 1], so it is `Extractor`'s own normalisation. The package lpips
    itself runs the trunk for each of its instances and both pictures, with gradients; here it runs once for all
    terms.

    Args:
        net: "alex", "vgg" or "squeeze".
        weights: "published" (torchvision's ImageNet weights) or "random" (seeded, stamped as such).
        folder: where weight files lie; None is torch hub's cache.
        resize_to: see `Extractor`.

    Source: Zhang et al., CVPR 2018 (LPIPS), section 3; Krizhevsky 2014; Simonyan and Zisserman, ICLR 2015;
        Iandola et al., 2016.
    """

    def __init__(
        self,
        *,
        net: str,
        weights: str,
        folder: str | Path | None,
        resize_to: int | None,
    ) -> None:
        chosen = checked_net(net)
        features, taps = chosen.build()
        stamp = pinned.fill(features, chosen.source, policy=weights, folder=folder)
        super().__init__(features, taps=taps, stamp=f"{stamp}, LPIPS", resize_to=resize_to)
        self._smallest = {layer: smallest_side(features, index) for layer, index in taps.items()}


class Fire(nn.Module):
    """1x1 squeeze, then 1x1 and 3x3 expansions side by side, with torchvision's names.

    Args:
        inputs: channels in.
        squeezed: channels in between.
        expanded: channels of each expansion.

    Source: Iandola et al., 2016 (SqueezeNet), figure 1.
    """

    def __init__(self, inputs: int, *, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


def alexnet() -> tuple[nn.Sequential, dict[str, int]]:
    """AlexNet's five convolutions, of "one weird trick"; layers "relu1" ... "relu5"."""
    features = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip
    return features, {f"relu{n}": index for n, index in enumerate((1, 4, 7, 9, 11), start=1)}


def squeezenet() -> tuple[nn.Sequential, dict[str, int]]:
    """SqueezeNet 1.1; layers "relu1" and "fire2" ... "fire9"."""
    features = nn.Sequential(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU())
    taps, inputs, number = {"relu1": 1}, 64, 2
    for squeezed, expanded, count in ((16, 64, 2), (32, 128, 2), (48, 192, 2), (64, 256, 2)):
        if squeezed < 64:  # the last two widths share a size
            features.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        for _ in range(count):
            features.append(Fire(inputs, squeezed=squeezed, expanded=expanded))
            taps[f"fire{number}"] = len(features) - 1
            inputs, number = 2 * expanded, number + 1
    return features, taps


def lpips_vgg16() -> tuple[nn.Sequential, dict[str, int]]:
    """VGG16; layers "relu1_1" ... "relu5_3"."""
    return vgg(VGG16_CONVOLUTIONS, pool=lambda channels: nn.MaxPool2d(2))


NETS: Mapping[str, Net] = {
    "alex": Net(alexnet, ALEXNET, ("relu1", "relu2", "relu3", "relu4", "relu5"), "df73285e35b22355"),
    "vgg": Net(lpips_vgg16, pinned.VGG16, ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"), "a78928a0af1e5f0f"),
    "squeeze": Net(
        squeezenet, SQUEEZENET, ("relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9"), "4a5350f23600cb79"
    ),
}


def checked_net(net: str) -> Net:
    """The named trunk; refuses others."""
    if net not in NETS:
        raise Refusal(f"net={net} of LPIPS is not one of {', '.join(NETS)}")
    return NETS[net]


def lpips_heads(net: str) -> tuple[Tensor, ...]:
    """LPIPS' learned channel weights, version 0.1, as the package lpips ships them.

    Args:
        net: "alex", "vgg" or "squeeze".

    Returns:
        Per layer of `NETS[net]`, (channels,), non-negative.

    Raises:
        Refusal: for an unknown net, or when the installed lpips does not hold them.

    Source: Zhang et al., CVPR 2018 (LPIPS), section 3.
    """
    wanted = checked_net(net)
    package = importlib.util.find_spec("lpips")  # not imported: its own networks are not needed
    folders = [] if package is None else list(package.submodule_search_locations or [])
    file = Path(*folders[:1], "weights", "v0.1", f"{net}.pth")
    content = file.read_bytes() if file.is_file() else b""
    if not hashlib.sha256(content).hexdigest().startswith(wanted.heads_sha256):
        raise Refusal(
            f"the heads of LPIPS are not at {file} (sha256 {wanted.heads_sha256}...): install lpips 0.1.4, which "
            f"ships them, or use extractor.lpips_heads=uniform"
        )
    state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return tuple(state[f"lin{k}.model.1.weight"].flatten() for k in range(len(wanted.layers)))


def smallest_side(features: nn.Sequential, index: int) -> int:
    """Smallest side of a picture that leaves a map that is not empty after child `index`."""
    side = 1
    for module in reversed(features[: index + 1]):
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            kernel, stride, padding = (_one(n) for n in (module.kernel_size, module.stride, module.padding))
            if isinstance(module, nn.MaxPool2d) and module.ceil_mode:
                kernel -= stride - 1  # its last window may reach beyond the picture
            side = max(1, (side - 1) * stride + kernel - 2 * padding)
    return side


def _one(size: int | str | tuple[int, ...]) -> int:
    return int(size[0] if isinstance(size, tuple) else size)
