"""Correspondence at four sizes, as in CoCosNet v2: dense at an eighth of the size, then PatchMatch up to full size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.networks.correspondence.cocosnetv1 import reflected_blocks, unit
from scenegen.networks.correspondence.patchmatch import PatchMatch, first_candidates
from scenegen.networks.correspondence.similarity import CENTRES, Similarity
from scenegen.networks.layers.norm import Norm, PositionalNorm, choose, spectral_layer
from scenegen.networks.layers.spade import nearest

LEVELS = 4
EPS = 1e-10
NORMS: dict[str, Norm] = {"position": partial(PositionalNorm, eps=1e-8), "per_process_batch": nn.BatchNorm2d}
"""Under the modulation: PONO as in every published recipe, or torch's batch norm with scale and shift."""


class ResidualBlock(nn.Module):
    """Two reflected 3x3 convolutions with instance norm; one learnt slope, which the published files hold twice.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), official release.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.relu = nn.PReLU()
        self.model = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            self.relu,
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        return self.relu(x + self.model(x))


class FeaturePyramid(nn.Module):
    """A label map, or a picture with its label map, to features at an eighth, a fourth, half and full size.

    Args:
        channels: of the input, which also modulates its own features.
        nef: base width; the levels have 4, 4, 2 and 1 nef channels.
        hidden: width inside each SPADE layer.
        norm: a key of NORMS.
        kernel: of the halving convolutions, 3 or 4.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), multi-level domain alignment; official release.
    """

    def __init__(self, channels: int, *, nef: int, hidden: int, norm: str, kernel: int) -> None:
        super().__init__()
        if kernel not in (3, 4):
            raise Refusal(f"the pyramid's halving convolutions have kernel 3 (published) or 4, got {kernel}")

        def layer(inputs: int, out: int, *, kernel: int = 3, stride: int = 1) -> nn.Module:
            return spectral_layer(inputs, out=out, kernel=kernel, stride=stride, padding=1, norm="instance")

        def deeper(inputs: int, out: int, **halving: int) -> nn.Sequential:
            return nn.Sequential(layer(inputs, out, **halving), ResidualBlock(out))

        self.layer1 = layer(channels, nef)
        self.layer2 = deeper(nef, 2 * nef)
        self.layer3 = deeper(2 * nef, 4 * nef, kernel=kernel, stride=2)
        self.layer4 = deeper(4 * nef, 4 * nef, kernel=kernel, stride=2)
        self.layer5 = deeper(4 * nef, 4 * nef, kernel=kernel, stride=2)
        block = reflected_blocks(channels, hidden=hidden, norm=choose(norm, NORMS))
        self.head_0 = block(4 * nef, out=4 * nef)
        self.G_middle_0 = block(4 * nef, out=4 * nef)
        self.G_middle_1 = block(4 * nef, out=2 * nef)
        self.G_middle_2 = block(2 * nef, out=nef)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of all four sizes.

        Args:
            x: (b, channels, h, w), both sides divisible by 8.

        Returns:
            Coarse to fine: (b, 4 nef, h / 8, w / 8), (b, 4 nef, h / 4, w / 4), (b, 2 nef, h / 2, w / 2),
            (b, nef, h, w).
        """
        features, downwards = self.layer1(x), []
        for layer in (self.layer2, self.layer3, self.layer4, self.layer5):
            features = layer(F.leaky_relu(features, 0.2))
            downwards.append(features)
        upwards = [self.head_0(features, nearest(x, features.shape[-2:]))]
        for block, skip in zip((self.G_middle_0, self.G_middle_1, self.G_middle_2), downwards[-2::-1], strict=True):
            size = skip.shape[-2:]
            larger = F.interpolate(upwards[-1], size=size, mode="bilinear", align_corners=True)
            upwards.append(block(larger + skip, nearest(x, size)))
        return upwards


@dataclass(frozen=True)
class Correspondence:
    """Result of the matching; see Synthesis for the fields. `index` holds levels 1 to 3, (b, h, w, 16) each."""

    warped: tuple[Tensor, ...]
    warped_back: Tensor | None
    aligned: tuple[tuple[Tensor, Tensor], ...] | None
    index: tuple[Tensor, ...]


class HierarchicalCorrespondence(nn.Module):
    """Match an exemplar to a label map: densely at an eighth of the size, then by PatchMatch, each level from the last.

    Args:
        semantic_channels: of the label maps.
        nef: base width of the pyramids, and width of the matching features.
        hidden: width inside each SPADE layer.
        norm: a key of NORMS.
        kernel: of the pyramids' halving convolutions, 3 or 4.
        centre: subtract from the matching features their mean "channels" (published recipe) or "positions".
        iterations: PatchMatch steps per level.
        temperature: of every softmax over matches.
        refine: "frozen" (published), "trained" or "none"; see PatchMatch.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), hierarchical correspondence; official release.
    """

    def __init__(
        self,
        *,
        semantic_channels: int,
        nef: int,
        hidden: int,
        norm: str,
        kernel: int,
        centre: str,
        iterations: int,
        temperature: float,
        refine: str,
    ) -> None:
        super().__init__()
        if centre not in CENTRES:
            raise Refusal(f"centre={centre!r} is not known; choose one of {', '.join(CENTRES)}")
        self.temperature = temperature
        self.centre = centre
        shape = {"nef": nef, "hidden": hidden, "norm": norm, "kernel": kernel}
        self.adaptive_model_seg = FeaturePyramid(semantic_channels, **shape)
        self.adaptive_model_img = FeaturePyramid(semantic_channels + 3, **shape)
        for side in ("phi", "theta"):
            for level, width in enumerate((4, 4, 2, 1)):
                self.add_module(f"{side}_{level}", nn.Conv2d(width * nef, nef, 1))
        self.patch_match = PatchMatch(channels=nef, iterations=iterations, temperature=temperature, refine=refine)

    def forward(
        self, planes: Tensor, exemplar: Tensor, exemplar_planes: Tensor, *, photograph: Tensor | None = None
    ) -> Correspondence:
        """Warp the exemplar to the label map.

        Args:
            planes: (b, semantic_channels, h, w) one-hot labels to be painted; both sides divisible by 8.
            exemplar: (b, 3, h, w) in [-1, 1].
            exemplar_planes: (b, semantic_channels, h, w) the exemplar's labels.
            photograph: (b, 3, h, w) of the labels, in training; it asks for `warped_back` and `aligned`.

        Returns:
            The exemplar warped at four sizes, and with a photograph what the losses compare.
        """
        wanted = self._pyramid(self.adaptive_model_seg, planes)
        given = self._pyramid(self.adaptive_model_img, exemplar, exemplar_planes)
        aligned = None
        if photograph is not None:
            real = self._pyramid(self.adaptive_model_img, photograph, planes)
            aligned = tuple(zip(wanted, real, strict=True))
        horizontal_first = self.directions()
        warped, back, best = self._densely(wanted[0], given[0], exemplar, cycle=photograph is not None)
        warps, found = [warped], []
        for level in range(1, LEVELS):
            theta, phi = self._matching(level, wanted[level], given[level])
            colours = _shrink(exemplar, theta.shape[-2:])
            index, warped = self.patch_match(
                theta, phi, colours, first_candidates(best), horizontal_first=horizontal_first[level - 1]
            )
            warps.append(warped)
            found.append(index)
            best = index[..., 0]
        return Correspondence(warped=tuple(warps), warped_back=back, aligned=aligned, index=tuple(found))

    def directions(self) -> list[list[bool]]:
        """Per PatchMatch level and iteration, whether the horizontal half-step is first.

        The published code tosses a coin, also when sampling. Here training tosses one of torch's generator, which the
        step's seed determines, and sampling alternates.
        """
        steps = self.patch_match.iterations
        if self.training:
            return (torch.rand(LEVELS - 1, steps) < 0.5).tolist()
        return [[(level + i) % 2 == 0 for i in range(steps)] for level in range(LEVELS - 1)]

    def _pyramid(self, net: nn.Module, *planes: Tensor) -> list[Tensor]:
        return [unit(features, eps=EPS) for features in net(torch.cat(planes, dim=1))]

    def _matching(self, level: int, wanted: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """Matching features of both sides, (b, nef, h', w') of unit length."""
        with torch.autocast(wanted.device.type, enabled=False):  # the softmax multiplies every error by 1 / temperature
            theta = self.get_submodule(f"theta_{level}")(wanted)
            phi = self.get_submodule(f"phi_{level}")(given)
        return centred(theta, centre=self.centre), centred(phi, centre=self.centre)

    def _densely(
        self, wanted: Tensor, given: Tensor, exemplar: Tensor, *, cycle: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """The coarsest level: warped exemplar, the same warped back, and each position's best match (b, h', w')."""
        theta, phi = self._matching(0, wanted, given)
        similarity = Similarity(theta, phi)
        warped = similarity.warp(_shrink(exemplar, phi.shape[-2:]), temperature=self.temperature)
        back = similarity.transposed().warp(warped, temperature=self.temperature) if cycle else None
        return warped, back, best_match(theta, phi)


def centred(features: Tensor, *, centre: str) -> Tensor:
    """(b, c, h, w) without their mean over "channels" or over "positions", then of unit length."""
    mean = features.mean(1 if centre == "channels" else (2, 3), keepdim=True)
    return unit(features - mean, eps=EPS)


@torch.no_grad()
def best_match(theta: Tensor, phi: Tensor) -> Tensor:
    """The exemplar position of the largest product, for each position.

    Args:
        theta, phi: (b, c, h, w).

    Returns:
        (b, h, w) int64.
    """
    n = theta.shape[2] * theta.shape[3]
    with torch.autocast(theta.device.type, enabled=False):
        blocks = theta.flatten(2).mT.split(max(1, 2**22 // n), dim=1)
        best = torch.cat([(rows @ phi.flatten(2)).argmax(-1) for rows in blocks], dim=1)
    return best.unflatten(1, theta.shape[-2:])


def _shrink(picture: Tensor, size: torch.Size) -> Tensor:
    """The picture averaged over blocks, (b, 3, *size)."""
    return F.avg_pool2d(picture, picture.shape[-1] // size[-1])
