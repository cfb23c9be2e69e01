"""UNITE: label maps and exemplars to pictures, matched by optimal transport."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal, Synthesis, Warp
from scenegen.networks.correspondence.adaptor import Adaptor
from scenegen.networks.correspondence.transport import Released, Unbalanced
from scenegen.networks.correspondence.unite import TransportCorrespondence
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
        centre: matching features lose their mean over "channels" (published) or "positions".
        transport: "released" or "unbalanced", as in the paper.
        reach: with "unbalanced": > 0; the smaller, the more the marginals may differ from the masses.
        per_sample_diameter: a sample's transport does not depend on its batch mates; false as released.
        bilinear: enlarge `warped` so; otherwise nearest.
        warped_label: "direct", "cycle" or "none": what `warped_label` of Synthesis is made of.
        cycle, two_cycle: offer `warped_back` and `returned`.
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
        centre: str,
        transport: str,
        reach: float,
        per_sample_diameter: bool,
        bilinear: bool,
        warped_label: str,
        cycle: bool,
        two_cycle: bool,
        adaptor: Adaptor,
    ) -> None:
        super().__init__(num_classes=num_classes, height=height, width=width)
        if min(num_classes, ngf, hidden, inter) < 1:
            raise Refusal(
                f"widths must be positive, got num_classes={num_classes}, ngf={ngf}, hidden={hidden}, inter={inter}"
            )
        transports = {"released": Released, "unbalanced": lambda: Unbalanced(reach)}
        if transport not in transports:
            raise Refusal(f"transport={transport} is not one of {', '.join(transports)}")
        optional = {"warp.label": warped_label != "none", "warp.back": cycle, "warp.returned": two_cycle}
        self.offers = frozenset({"warp", "warp.aligned", *(name for name, given in optional.items() if given)})
        self.mode = "bilinear" if bilinear else "nearest"
        self.generator = SeaceGenerator(semantic_channels=num_classes, ngf=ngf, hidden=hidden, norm=norm)
        self.correspondence = TransportCorrespondence(
            semantic_channels=num_classes,
            transport=transports[transport](),
            ngf=ngf,
            hidden=hidden,
            inter=inter,
            norm=norm,
            centre=centre,
            per_sample_diameter=per_sample_diameter,
            warped_label=warped_label,
            cycle=cycle,
            two_cycle=two_cycle,
            options=adaptor,
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
