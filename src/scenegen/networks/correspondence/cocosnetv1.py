"""Networks that bring label maps and pictures into one domain, to be matched there: CoCosNet's, and their blocks."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.correspondence.adaptor import CoCosNetAdaptor
from scenegen.networks.layers.attention import NonLocal
from scenegen.networks.layers.norm import PARAMETER_FREE, choose, spectral_layer
from scenegen.networks.layers.precision import at_least_float32
from scenegen.networks.layers.spade import SPADE, SPADEBlock, nearest

STRIDES = (2, 4)
UNIT_EPS = 2.220446049250313e-16


def unit(features: Tensor, *, eps: float = UNIT_EPS) -> Tensor:
    """Features divided by their length.

    Args:
        features: (b, c, ...).
        eps: added to the length; CoCosNet and UNITE have 2.2e-16, CoCosNet v2 1e-10.

    Returns:
        The shape of features, of length 1 over c (0 where they were 0), float32 also under autocast.
    """
    features = at_least_float32(features)
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + eps)


def coordinates(like: Tensor) -> Tensor:
    """Coordinates of each pixel: x and y in [-1, 1], then the distance from the centre.

    Args:
        like: (b, c, h, w), h and w at least 2.

    Returns:
        (b, 3, h, w), of the same type and device.

    Source: Liu et al., NeurIPS 2018 (CoordConv), section 3, with the optional radius.
    """
    b, _, h, w = like.shape
    x = torch.linspace(-1, 1, w, dtype=like.dtype, device=like.device).expand(h, w)
    y = torch.linspace(-1, 1, h, dtype=like.dtype, device=like.device)[:, None].expand(h, w)
    return torch.stack([x, y, (x.square() + y.square()).sqrt()]).expand(b, -1, -1, -1)


class ResidualBlock(nn.Module):
    """Two reflected 3x3 convolutions with instance norm; one learnt slope serves both activations.

    Args:
        channels: of the features.

    Source: Zhang et al., CVPR 2020 (CoCosNet), supplementary material (correspondence network).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        y = self.prelu(F.instance_norm(self.conv1(x)))
        return self.prelu(F.instance_norm(self.conv2(y)) + x)


def reflected_blocks(
    condition_channels: int, *, norm: Callable[[int], nn.Module], hidden: int, squeeze: bool = False
) -> Callable[..., SPADEBlock]:
    """Maker of the exemplar families' SPADE blocks: reflected borders throughout.

    Args:
        condition_channels: of what modulates them.
        hidden: width inside each SPADE layer.
        norm: channels -> normalisation without parameters.
        squeeze: with squeeze-excite.

    Returns:
        block(channels, out=..., dilation=1, squeeze=squeeze) -> SPADEBlock.
    """

    def modulation(channels: int) -> SPADE:
        return SPADE(
            channels,
            condition_channels=condition_channels,
            norm=norm(channels),
            hidden=hidden,
            padding_mode="reflect",
        )

    def block(channels: int, *, out: int, dilation: int = 1, squeeze: bool = squeeze) -> SPADEBlock:
        return SPADEBlock(
            channels, out=out, modulation=modulation, dilation=dilation, padding_mode="reflect", squeeze=squeeze
        )

    return block


class DomainAdaptor(nn.Module):
    """A label map or a picture to features that can be compared, at a fourth (or half) of its size.

    Args:
        channels: of the input, which also modulates its own features.
        ngf: base width; the result has 4 ngf channels.
        hidden: width inside each SPADE layer.
        norm: a key of PARAMETER_FREE, under the modulation.
        stride: input side over output side, 4 or 2.
        options: the adaptor's kernel, attention, squeeze, deeper and dilated.

    Source: Zhang et al., CVPR 2020 (CoCosNet), section 3.1 and supplementary material (domain adaptor).
    """

    def __init__(
        self,
        channels: int,
        *,
        ngf: int,
        hidden: int,
        norm: str,
        stride: int,
        options: CoCosNetAdaptor,
    ) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise Refusal(f"the domain adaptor has stride {' or '.join(map(str, STRIDES))}, got {stride}")
        self.stride = stride
        halving = {"kernel": options.kernel, "stride": 2}
        last = halving if stride == 4 else {"kernel": 3, "stride": 1}
        self.layer1 = _layer(channels, out=ngf)
        self.layer2 = _layer(ngf, out=2 * ngf, **halving)
        self.layer3 = _layer(2 * ngf, out=4 * ngf)
        self.layer4 = _layer(4 * ngf, out=8 * ngf, **last)
        self.layer5 = _layer(8 * ngf, out=8 * ngf)
        block = reflected_blocks(channels, hidden=hidden, norm=choose(norm, PARAMETER_FREE), squeeze=options.squeeze)
        self.head_0 = block(8 * ngf, out=8 * ngf)
        self.attn = NonLocal(8 * ngf, spectral=False) if options.attention else None
        self.G_middle_0 = block(8 * ngf, out=8 * ngf)
        self.G_middle_1 = block(8 * ngf, out=4 * ngf)
        rates = () if not options.deeper else (1, 2, 4) if options.dilated else (1, 1, 1)
        for i, dilation in enumerate(rates):
            self.add_module(f"deeper{i}", block(4 * ngf, out=4 * ngf, dilation=dilation, squeeze=False))
        self.deeper = len(rates)
        self.degridding0 = _layer(4 * ngf, out=4 * ngf, padding=2, dilation=2) if options.dilated else None
        self.degridding1 = _layer(4 * ngf, out=4 * ngf) if options.dilated else None

    def forward(self, x: Tensor) -> Tensor:
        """Adapted features.

        Args:
            x: (b, channels, h, w), both sides divisible by the stride.

        Returns:
            (b, 4 ngf, h / stride, w / stride), not normalised.
        """
        condition = x
        x = self.layer1(x)
        for layer in (self.layer2, self.layer3, self.layer4, self.layer5):
            x = layer(F.leaky_relu_(x, 0.2))
        condition = nearest(condition, x.shape[-2:])
        x = self.head_0(x, condition)
        if self.attn is not None:
            x = self.attn(x)
        x = self.G_middle_1(self.G_middle_0(x, condition), condition)
        for i in range(self.deeper):
            x = self.get_submodule(f"deeper{i}")(x, condition)
        if self.degridding0 is not None and self.degridding1 is not None:
            x = self.degridding1(self.degridding0(x))
        return x


class Correspondence(nn.Module):
    """Features by which positions of a label map and of an exemplar are matched.

    Args:
        semantic_channels: of the one-hot labels.
        ngf: base width; adapted features have 4 ngf channels.
        hidden: width inside each SPADE layer.
        inter: width of the features that are matched.
        norm: a key of norm.PARAMETER_FREE, under the modulation.
        stride: see `DomainAdaptor`.
        options: of the adaptors, and of what their features are joined with.

    Source: Zhang et al., CVPR 2020 (CoCosNet), section 3.1.
    """

    def __init__(
        self,
        *,
        semantic_channels: int,
        ngf: int,
        hidden: int,
        inter: int,
        norm: str,
        stride: int,
        options: CoCosNetAdaptor,
    ) -> None:
        super().__init__()

        def adaptor(channels: int) -> DomainAdaptor:
            return DomainAdaptor(channels, ngf=ngf, hidden=hidden, norm=norm, stride=stride, options=options)

        self.options = options
        self.adaptive_model_seg = adaptor(semantic_channels)
        self.adaptive_model_img = adaptor(3)
        width = 4 * ngf + options.mask_features * semantic_channels + 3 * options.coordinate_features
        self.layer = nn.Sequential(*(ResidualBlock(width) for _ in range(4)))
        self.phi = nn.Conv2d(width, inter, 1)
        self.theta = nn.Conv2d(width, inter, 1)

    def adapted(self, planes: Tensor, exemplar: Tensor, image: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Unit features (b, 4 ngf, h, w) of labels and exemplar and, where there is one, of the photograph.

        The order of the calls counts in training, as each moves the spectral norms.
        """
        content, style = unit(self.adaptive_model_seg(planes)), unit(self.adaptive_model_img(exemplar))
        return content, style, None if image is None else unit(self.adaptive_model_img(image))

    def forward(
        self, content: Tensor, style: Tensor, *, planes: Tensor, exemplar_planes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Matching features, (b, inter, h, w) of labels and exemplar; see `adapted` for the first two arguments.

        Args:
            content, style: unit features.
            planes, exemplar_planes: (b, semantic_channels, ...) one-hot labels, of any size; read as mask features.
        """
        return self.theta(self._mixed(content, planes)), self.phi(self._mixed(style, exemplar_planes))

    def _mixed(self, features: Tensor, planes: Tensor) -> Tensor:
        parts = [features]
        if self.options.coordinate_features:
            parts.append(coordinates(features))
        if self.options.mask_features:
            parts.append(nearest(planes, features.shape[-2:]).to(features.dtype))
        return self.layer(torch.cat(parts, dim=1))


def _layer(
    channels: int, *, out: int, kernel: int = 3, stride: int = 1, padding: int = 1, dilation: int = 1
) -> nn.Module:
    return spectral_layer(
        channels, out=out, kernel=kernel, stride=stride, padding=padding, dilation=dilation, norm="instance"
    )
