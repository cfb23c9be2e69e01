"""UNITE's encoders and the correspondence that warps an exemplar to a label map by optimal transport."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.correspondence.adaptor import Adaptor
from scenegen.networks.correspondence.annealing import Box
from scenegen.networks.correspondence.cocosnetv1 import ResidualBlock, coordinates, reflected_blocks, unit
from scenegen.networks.correspondence.similarity import match
from scenegen.networks.correspondence.transport import Matcher
from scenegen.networks.correspondence.warping import TransportWarping
from scenegen.networks.layers.attention import NonLocal
from scenegen.networks.layers.exporting import exporting
from scenegen.networks.layers.norm import PARAMETER_FREE, choose, spectral_layer
from scenegen.networks.layers.precision import at_least_float32
from scenegen.networks.layers.spade import nearest

STRIDE = 4
KERNEL = 3
SHARPNESS = 10.0


class FeatureEncoder(nn.Module):
    """A label map or a picture to features at half and a fourth of its size, shallow to deep.

    Args:
        channels: of the input, which also modulates its own features.
        ngf: base width.
        hidden: width inside each SPADE layer.
        norm: a key of PARAMETER_FREE, under the modulation.
        options: the encoder's kernel, attention and squeeze.

    Source: Zhan et al., CVPR 2021 (UNITE), section 3.1 and supplementary material (feature extractors).
    """

    def __init__(
        self,
        channels: int,
        *,
        ngf: int,
        hidden: int,
        norm: str,
        options: Adaptor,
    ) -> None:
        super().__init__()
        layer = partial(spectral_layer, padding=1, norm="instance")
        block = reflected_blocks(channels, hidden=hidden, norm=choose(norm, PARAMETER_FREE), squeeze=options.squeeze)
        self.layer1 = layer(channels, out=ngf, kernel=3, stride=1)
        self.layer2 = layer(ngf, out=2 * ngf, kernel=options.kernel, stride=2)
        self.layer3 = layer(2 * ngf, out=4 * ngf, kernel=3, stride=1)
        self.layer4 = layer(4 * ngf, out=8 * ngf, kernel=options.kernel, stride=2)
        self.layer5 = layer(8 * ngf, out=8 * ngf, kernel=3, stride=1)
        self.head_0 = block(8 * ngf, out=8 * ngf)
        self.attn = NonLocal(8 * ngf, spectral=False) if options.attention else None
        self.G_middle_0 = block(8 * ngf, out=8 * ngf)
        self.G_middle_1 = block(8 * ngf, out=8 * ngf)
        self.deeper2 = block(8 * ngf, out=4 * ngf, dilation=4, squeeze=False)
        self.degridding0 = spectral_layer(
            4 * ngf, out=4 * ngf, kernel=3, stride=1, padding=2, dilation=2, norm="instance"
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of all depths.

        Args:
            x: (b, channels, h, w), both sides divisible by 4 and at least 20.

        Returns:
            (b, 2 ngf, h / 2, w / 2), (b, 4 ngf, h / 2, w / 2), (b, 8 ngf, h / 4, w / 4) twice, and for matching
            (b, 4 ngf, h / 4, w / 4).
        """
        second = self.layer2(_active(self.layer1(x)))
        third = self.layer3(_active(second))
        features = self.layer5(_active(self.layer4(_active(third))))
        condition = nearest(x, features.shape[-2:])
        fourth = self.head_0(features, condition)
        features = fourth if self.attn is None else self.attn(fourth)
        fifth = self.G_middle_1(self.G_middle_0(features, condition), condition)
        return [second, third, fourth, fifth, self.degridding0(self.deeper2(fifth, condition))]


@dataclass(frozen=True)
class Found:
    """Result of the correspondence, for the generator and the losses.

    Attributes:
        layout: features of the label map, shallow to deep.
        warped: the exemplar's picture and features, shallow to deep, warped, all (b, c, h / 4, w / 4).
        confidence: (b, 1, h / 4, w / 4) in [0, 1].
        warped_label, warped_back, returned, aligned: see Synthesis.
    """

    layout: tuple[Tensor, ...]
    warped: tuple[Tensor, ...]
    confidence: Tensor
    warped_label: Tensor | None
    warped_back: Tensor | None
    returned: Tensor | None
    aligned: tuple[tuple[Tensor, Tensor], ...] | None


class TransportCorrespondence(nn.Module):
    """Match an exemplar to a label map by optimal transport, and warp its picture, features and labels.

    Args:
        semantic_channels: of the label maps.
        ngf: base width of the encoders.
        hidden: width inside each SPADE layer.
        inter: width of the features that are matched.
        norm: a key of PARAMETER_FREE, under the modulation.
        options: of the encoders, and of what their features are joined with.
        warping: of the transport and the warps.

    Source: Zhan et al., CVPR 2021 (UNITE), sections 3.1 and 3.2.
    """

    def __init__(
        self,
        *,
        semantic_channels: int,
        ngf: int,
        hidden: int,
        inter: int,
        norm: str,
        options: Adaptor,
        warping: TransportWarping,
    ) -> None:
        super().__init__()
        self.options, self.warping, self.transport = options, warping, warping.planner()
        shared = {"ngf": ngf, "hidden": hidden, "norm": norm}
        self.adaptive_model_seg = FeatureEncoder(semantic_channels, options=options, **shared)
        self.adaptive_model_img = FeatureEncoder(3, options=options, **shared)
        described = 4 * ngf + 3 * options.coordinate_features + semantic_channels * options.mask_features
        self.layer = nn.Sequential(*(ResidualBlock(described) for _ in range(4)))
        for name in ("theta", "phi", "theta_w", "phi_w", "theta_conf", "phi_conf"):
            self.add_module(name, nn.Conv2d(described, inter, 1))

    def forward(
        self, planes: Tensor, exemplar: Tensor, exemplar_planes: Tensor, *, photograph: Tensor | None = None
    ) -> Found:
        """Warp the exemplar to the label map.

        Args:
            planes: (b, semantic_channels, h, w) one-hot labels to be painted; both sides divisible by 4.
            exemplar: (b, 3, h, w) in [-1, 1].
            exemplar_planes: (b, semantic_channels, h, w) the exemplar's labels.
            photograph: (b, 3, h, w) of the labels, in training; it asks for `aligned` and `returned`.
        """
        grid = planes.shape[-2] // STRIDE, planes.shape[-1] // STRIDE
        *layout, wanted = self.adaptive_model_seg(planes)
        *features, given = self.adaptive_model_img(exemplar)
        wanted = unit(wanted)
        small, exemplar_small = nearest(planes, grid), nearest(exemplar_planes, grid)
        sides = self._described(wanted, small), self._described(unit(given), exemplar_small)
        plan = self._plan(*sides)

        direct = self.warping.warped_label == "direct"
        values = [nearest(t, grid) for t in (exemplar, *features, *([exemplar_small] if direct else []))]
        mixed = plan.to_source(torch.cat([at_least_float32(t) for t in values], dim=1))
        warped = mixed.split([t.shape[1] for t in values], dim=1)
        label = warped[-1] if direct else None
        if self.warping.warped_label == "cycle":
            label = plan.to_source(plan.to_reference(small))
        back = returned = aligned = None
        if self.warping.cycle:
            back = plan.to_reference(warped[0])
        if photograph is not None:
            aligned = ((wanted, unit(self.adaptive_model_img(photograph)[-1])),)
            if self.warping.two_cycle:
                returned = plan.to_source(plan.to_reference(F.avg_pool2d(photograph, STRIDE)))
        return Found(
            layout=tuple(layout),
            warped=warped[:5],
            confidence=self._confidence(*sides),
            warped_label=label,
            warped_back=back,
            returned=returned,
            aligned=aligned,
        )

    def matching(self, source: Tensor, reference: Tensor) -> tuple[Matcher, Tensor, Tensor, Tensor, Tensor]:
        """Inputs of the transport: the matcher, both maps of matching features, and both sides' masses (b, n)."""
        masses = self._masses(self._centred("theta_w", source), self._centred("phi_w", reference))
        matcher = partial(match, kernel=KERNEL, centre=self.warping.centre)
        return matcher, self.get_submodule("theta")(source), self.get_submodule("phi")(reference), *masses

    def _plan(self, source: Tensor, reference: Tensor):
        matcher, theta, phi, *masses = self.matching(source, reference)
        with torch.no_grad():
            sides = (patches(t, centre=self.warping.centre) for t in (theta, phi))
            box = Box.around(*sides, per_sample=self.warping.per_sample_diameter)
        return self.transport(matcher, theta, phi, *masses, box=box)

    def _described(self, features: Tensor, planes: Tensor) -> Tensor:
        parts = [features]
        if self.options.coordinate_features:
            parts.append(coordinates(features))
        if self.options.mask_features:
            parts.append(planes.to(features.dtype))
        return self.layer(torch.cat(parts, dim=1))

    def _centred(self, name: str, x: Tensor) -> Tensor:
        return centred(self.get_submodule(name)(x).flatten(2), centre=self.warping.centre)

    @staticmethod
    def _masses(source: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(source.device.type, enabled=False):
            a = (source.mT @ reference.mean(2, keepdim=True)).squeeze(2)
            b = (reference.mT @ source.mean(2, keepdim=True)).squeeze(2)
        return a.softmax(1), b.softmax(1)

    def _confidence(self, source: Tensor, reference: Tensor) -> Tensor:
        """(b, 1, h, w) in [0, 1]: each position's best cosine, relative to the mean of all positions' best."""
        best = best_cosine(self._centred("theta_conf", source), self._centred("phi_conf", reference))
        above = best - best.mean(1, keepdim=True)
        return torch.sigmoid(SHARPNESS * above).unflatten(1, source.shape[-2:]).unsqueeze(1)


def centred(x: Tensor, *, centre: str) -> Tensor:
    """Unit features (b, c, n) without their mean over "channels" or "positions", float32 also under autocast."""
    x = at_least_float32(x)
    return unit(x - x.mean(1 if centre == "channels" else 2, keepdim=True))


def patches(x: Tensor, *, centre: str) -> Tensor:
    """(b, 9 c, h w): the centred unit 3x3 windows of (b, c, h, w), zeros outside."""
    return centred(F.unfold(at_least_float32(x), KERNEL, padding=KERNEL // 2), centre=centre)


def best_cosine(source: Tensor, reference: Tensor, *, block: int = 2**22) -> Tensor:
    """(b, n): for each of the (b, c, n) unit features the cosine with the best of (b, c, m).

    The gradient flows through the best one alone, so that no matrix of all pairs is held.
    """
    rows = source.mT
    with torch.autocast(source.device.type, enabled=False):
        with torch.no_grad():
            samples = 1 if exporting() else len(source)  # a graph is cut as for one sample, whatever its batch
            step = max(1, block // (samples * reference.shape[2]))
            which = torch.cat([(some @ reference).argmax(2) for some in rows.split(step, dim=1)], dim=1)
        chosen = reference.gather(2, which.unsqueeze(1).expand(-1, reference.shape[1], -1))
        return (source * chosen).sum(1)


def _active(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)
