"""UNITE: label maps and exemplars to pictures, matched by optimal transport."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal, Synthesis, Warp
from scenegen.networks.correspondence.adaptor import Adaptor
from scenegen.networks.correspondence.unite import TransportCorrespondence
from scenegen.networks.correspondence.warping import TransportWarping
from scenegen.networks.generators.exemplar_model import ExemplarModel
from scenegen.networks.generators.seace import SeaceGenerator

STEP, SMALLEST = 32, 64


class UNITE(ExemplarModel):
    """Label maps and exemplars to pictures, matched by optimal transport.

    Args:
        num_classes: one-hot channels, a class for "unknown" included.
        height, width: of the pictures; divisible by 32, at least 64.
        ngf: base width of all networks, 64 as published.
        hidden: width inside each SPADE and SEACE layer.
        inter: width of the features that are matched; 4 ngf as published.
        norm: a key of PARAMETER_FREE, under every modulation; "position" as published.
        warping: options of the transport and of the warps.
        adaptor: options of both encoders and of the features that are matched.

    Attributes:
        offers: the fields of Synthesis that are filled.

    Source: Zhan et al., CVPR 2021 (UNITE): Unbalanced feature transport for exemplar-based image translation.
    """

    family: ClassVar[str] = "UNITE"
    step: ClassVar[int] = STEP
    smallest: ClassVar[int] = SMALLEST

    def __init__(
        self,
        *,
        num_classes: int,
        height: int,
        width: int,
        ngf: int,
        hidden: int,
        inter: int,
        norm: str,
        warping: TransportWarping,
        adaptor: Adaptor,
    ) -> None:
        super().__init__(num_classes=num_classes, height=height, width=width)
        if min(num_classes, ngf, hidden, inter) < 1:
            raise Refusal(
                f"widths must be positive, got num_classes={num_classes}, ngf={ngf}, hidden={hidden}, inter={inter}"
            )
        self.offers = warping.offers
        self.mode = "bilinear" if warping.bilinear else "nearest"
        self.generator = SeaceGenerator(semantic_channels=num_classes, ngf=ngf, hidden=hidden, norm=norm)
        self.correspondence = TransportCorrespondence(
            semantic_channels=num_classes,
            ngf=ngf,
            hidden=hidden,
            inter=inter,
            norm=norm,
            options=adaptor,
            warping=warping,
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
        image = self.generator((planes, *found.layout), found.warped, found.confidence)
        warp = Warp(
            warped=(F.interpolate(found.warped[0], size=planes.shape[-2:], mode=self.mode),),
            back=found.warped_back,
            returned=found.returned,
            label=found.warped_label,
            aligned=found.aligned,
        )
        return Synthesis(image=image, warp=warp)
