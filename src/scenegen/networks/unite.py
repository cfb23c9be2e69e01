"""UNITE: label maps and exemplars to pictures, matched by optimal transport."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.networks.matching import TransportCorrespondence
from scenegen.networks.seace import SeaceGenerator
from scenegen.networks.semantics import semantics
from scenegen.networks.spade import require_sides
from scenegen.networks.transport import Released, Unbalanced
from scenegen.types import Batch, Refusal, Synthesis

STEP, SMALLEST = 32, 64


class UNITE(nn.Module):
    """Label maps and exemplars to pictures, matched by optimal transport.

    Args:
        num_classes: one-hot channels, a class for "unknown" included.
        height, width: of the pictures; divisible by 32, at least 64.
        ngf: base width of all networks, 64 as published.
        hidden: width inside each SPADE and SEACE layer.
        edges: the data has instance maps; they are not read, as exemplars have none.
        inter: width of the features that are matched; 4 ngf as published.
        norm: a key of PARAMETER_FREE, under every modulation; "position" as published.
        centre: matching features lose their mean over "channels" (published) or "positions".
        transport: "released" or "unbalanced", as in the paper.
        reach: with "unbalanced": > 0; the smaller, the more the marginals may differ from the masses.
        per_sample_diameter: a sample's transport does not depend on its batch mates; false as released.
        bilinear: enlarge `warped` so; otherwise nearest.
        warped_label: "direct", "cycle" or "none": what `warped_label` of Synthesis is made of.
        cycle, two_cycle: offer `warped_back` and `returned`.
        mask_features: matching knows both label maps.
        coordinate_features: matching knows where in the picture it looks.
        adaptor_kernel: of the encoders' halving convolutions, 3 or 4.
        adaptor_attention: a non-local block in both encoders.
        adaptor_squeeze: squeeze-excite in both encoders.

    Attributes:
        offers: the fields of Synthesis that are filled.
        noise_shape: None; the picture follows from labels and exemplar.
        semantic_channels: of what `semantics` returns.

    Source: Zhan et al., CVPR 2021 (UNITE): Unbalanced feature transport for exemplar-based image translation.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        height: int,
        width: int,
        ngf: int = 64,
        hidden: int = 128,
        edges: bool = False,
        inter: int = 256,
        norm: str = "position",
        centre: str = "channels",
        transport: str = "released",
        reach: float = 0.3,
        per_sample_diameter: bool = False,
        bilinear: bool = False,
        warped_label: str = "direct",
        cycle: bool = False,
        two_cycle: bool = False,
        mask_features: bool = True,
        coordinate_features: bool = True,
        adaptor_kernel: int = 3,
        adaptor_attention: bool = True,
        adaptor_squeeze: bool = False,
    ) -> None:
        super().__init__()
        if min(num_classes, ngf, hidden, inter) < 1:
            raise Refusal(
                f"widths must be positive, got num_classes={num_classes}, ngf={ngf}, hidden={hidden}, inter={inter}"
            )
        require_sides(height, width, family="UNITE", step=STEP, smallest=SMALLEST)
        transports = {"released": Released, "unbalanced": lambda: Unbalanced(reach)}
        if transport not in transports:
            raise Refusal(f"transport={transport} is not one of {', '.join(transports)}")
        self.num_classes = num_classes
        self.semantic_channels = num_classes
        optional = {"warped_label": warped_label != "none", "warped_back": cycle, "returned": two_cycle}
        self.offers = frozenset({"image", "warped", "aligned", *(name for name, given in optional.items() if given)})
        self.noise_shape: tuple[int, ...] | None = None
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
            mask_features=mask_features,
            coordinate_features=coordinate_features,
            kernel=adaptor_kernel,
            attention=adaptor_attention,
            squeeze=adaptor_squeeze,
        )

    def semantics(self, batch: Batch) -> Tensor:
        """The conditioning tensor of a batch, (b, semantic_channels, h, w), zeros and ones.

        Raises:
            Refusal: for ids outside the classes.
        """
        return self._planes(batch.label)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """Training: paint the batch with its exemplars; the photographs are only compared with.

        Args:
            batch: labels, photographs, exemplars and their labels.
            noise: None.

        Returns:
            The picture and what `offers` names.

        Raises:
            Refusal: without exemplars, for sizes that do not fit, or with noise.
        """
        return self._paint(batch, photograph=batch.image, extra=noise)

    def sample(self, batch: Batch, *, noise: Tensor | None = None, style: Tensor | None = None) -> Synthesis:
        """Paint labels with exemplars, without their photographs.

        Args:
            batch: labels, exemplars and their labels; `image` is not read.
            noise, style: None.

        Returns:
            The picture and what `offers` names, without `aligned` and `returned`.

        Raises:
            Refusal: without exemplars, for sizes that do not fit, or with noise or style.
        """
        return self._paint(batch, photograph=None, extra=noise if style is None else style)

    def _paint(self, batch: Batch, *, photograph: Tensor | None, extra: Tensor | None) -> Synthesis:
        if extra is not None:
            raise Refusal(
                "this model takes its style from the batch's exemplars, not from noise or style; leave them out"
            )
        if batch.exemplar is None or batch.exemplar_label is None:
            raise Refusal("this model paints with exemplars and the batch has none; use exemplar=retrieved")
        if batch.exemplar.shape[-2:] != batch.label.shape[-2:]:
            raise Refusal(
                f"exemplars are {tuple(batch.exemplar.shape[-2:])} but labels are {tuple(batch.label.shape[-2:])}; "
                "matching needs both at one size, so resize the exemplars"
            )
        require_sides(*batch.label.shape[-2:], family="UNITE", step=STEP, smallest=SMALLEST)
        planes = self._planes(batch.label)
        found = self.correspondence(planes, batch.exemplar, self._planes(batch.exemplar_label), photograph=photograph)
        image = self.generator((planes, *found.layout), found.warped, found.confidence)
        return Synthesis(
            image=image,
            warped=(F.interpolate(found.warped[0], size=planes.shape[-2:], mode=self.mode),),
            warped_back=found.warped_back,
            returned=found.returned,
            warped_label=found.warped_label,
            aligned=found.aligned,
        )

    def _planes(self, label: Tensor) -> Tensor:
        return semantics(label, num_classes=self.num_classes, dtype=self.generator.conv_img1.weight.dtype)
