"""CoCosNet v2: label maps and exemplars to pictures, by correspondence at four sizes."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Refusal, Synthesis, Warp
from scenegen.networks.correspondence.cocosnetv1 import reflected_blocks
from scenegen.networks.correspondence.cocosnetv2 import LEVELS, NORMS, HierarchicalCorrespondence
from scenegen.networks.generators.exemplar_model import ExemplarModel
from scenegen.networks.layers.norm import choose
from scenegen.networks.layers.precision import at_least_float32, autocast_dtype
from scenegen.networks.layers.spade import Doubled, nearest

STEP, SMALLEST = 32, 64


class TranslationNet(nn.Module):
    """The generator: a start grid doubled five times, every block modulated by warped exemplars and labels.

    Args:
        semantic_channels: of the label maps.
        ngf: base width; the grid has 8 ngf channels, the last block ngf.
        hidden: width inside each SPADE layer.
        norm: a key of NORMS.

    Source: Zhou et al., CVPR 2021 (CoCosNet v2), translation network; official release.
    """

    def __init__(self, *, semantic_channels: int, ngf: int, hidden: int, norm: str) -> None:
        super().__init__()
        channels = 3 * LEVELS + semantic_channels
        block = reflected_blocks(channels, hidden=hidden, norm=choose(norm, NORMS))
        self.fc = nn.Conv2d(channels, 8 * ngf, 3, padding=1)
        self.head_0 = block(8 * ngf, out=8 * ngf)
        self.G_middle_0 = block(8 * ngf, out=8 * ngf)
        self.G_middle_1 = block(8 * ngf, out=8 * ngf)
        self.up_0 = block(8 * ngf, out=8 * ngf)
        self.up_1 = block(8 * ngf, out=4 * ngf)
        self.up_2 = block(4 * ngf, out=2 * ngf)
        self.up_3 = block(2 * ngf, out=ngf)
        self.conv_img = nn.Conv2d(ngf, 3, 3, padding=1)
        self.doubled = Doubled([n * ngf for n in (8, 8, 8, 4, 2)])

    def forward(self, warped: tuple[Tensor, ...], planes: Tensor) -> Tensor:
        """Paint a picture.

        Args:
            warped: the exemplar warped, coarse to fine, each (b, 3, h', w').
            planes: (b, semantic_channels, h, w); both sides divisible by 32 and at least 64.

        Returns:
            (b, 3, h, w) in [-1, 1], float32 also under autocast.
        """
        h, w = planes.shape[-2:]
        full = torch.cat([*(nearest(t, (h, w)) for t in warped), planes], dim=1)
        full = full.to(autocast_dtype(full) or full.dtype)  # once here, not in each of 25 convolutions
        condition = nearest(full, (h // STEP, w // STEP))
        x = self.head_0(self.fc(condition), condition)
        levels = ((self.G_middle_0, self.G_middle_1), (self.up_0,), (self.up_1,), (self.up_2,), (self.up_3,))
        for place, blocks in enumerate(levels):
            x = self.doubled(x, place)
            condition = nearest(full, x.shape[-2:])
            for block in blocks:
                x = block(x, condition)
        return torch.tanh(at_least_float32(self.conv_img(F.leaky_relu(x, 0.2))))


class CoCosNet2(ExemplarModel):
    """Label maps and exemplars to pictures, by correspondence at four sizes.

    Args:
        num_classes: one-hot channels, a class for "unknown" included.
        height, width: of the pictures; divisible by 32, at least 64.
        ngf: base width of the generator.
        nef: base width of the correspondence; None is half of ngf, as published.
        hidden: width inside each SPADE layer.
        norm: "position" (every published recipe) or "per_process_batch" (the published code's default).
        kernel: of the pyramids' halving convolutions, 3 or 4.
        centre: "channels" (published recipe) or "positions": the mean that matching features lose.
        iterations: PatchMatch steps per level.
        temperature: of every softmax over matches.
        refine: "frozen" (published: the ConvGRU keeps its first weights), "trained" or "none".

    Attributes:
        offers: the fields of Synthesis that are filled.

    Source: Zhou et al., CVPR 2021, CoCosNet v2: Full-Resolution Correspondence Learning for Image Translation.
    """

    family: ClassVar[str] = "CoCosNet v2"
    step: ClassVar[int] = STEP
    smallest: ClassVar[int] = SMALLEST

    def __init__(
        self,
        *,
        num_classes: int,
        height: int,
        width: int,
        ngf: int,
        nef: int | None,
        hidden: int,
        norm: str,
        kernel: int,
        centre: str,
        iterations: int,
        temperature: float,
        refine: str,
    ) -> None:
        super().__init__(num_classes=num_classes, height=height, width=width)
        nef = ngf // 2 if nef is None else nef
        if min(num_classes, ngf, nef, hidden) < 1:
            raise Refusal(
                f"widths must be positive, got num_classes={num_classes}, ngf={ngf}, nef={nef}, hidden={hidden}"
            )
        self.offers = frozenset({"warp", "warp.back", "warp.aligned"})
        self.generator = TranslationNet(semantic_channels=num_classes, ngf=ngf, hidden=hidden, norm=norm)
        self.correspondence = HierarchicalCorrespondence(
            semantic_channels=num_classes,
            nef=nef,
            hidden=hidden,
            norm=norm,
            kernel=kernel,
            centre=centre,
            iterations=iterations,
            temperature=temperature,
            refine=refine,
        )

    def _paint(
        self,
        planes: Tensor,
        exemplar: Tensor,
        labels: Tensor | None,
        *,
        photograph: Tensor | None,
        noise: Tensor | None,
    ) -> Synthesis:
        assert labels is not None
        found = self.correspondence(planes, exemplar, labels, photograph=photograph)
        image = self.generator(found.warped, planes)
        warp = Warp(warped=found.warped, back=found.warped_back, aligned=found.aligned)
        return Synthesis(image=image, warp=warp)
