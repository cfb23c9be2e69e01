"""CoCosNet: an exemplar is warped to the label map by dense correspondence, then painted over."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Batch, Refusal, Synthesis, Warp
from scenegen.networks.correspondence.adaptor import CoCosNetAdaptor
from scenegen.networks.correspondence.cocosnetv1 import STRIDES, Correspondence
from scenegen.networks.correspondence.similarity import Similarity, match
from scenegen.networks.correspondence.warping import CoCosNetWarping
from scenegen.networks.generators.exemplar_model import ExemplarModel
from scenegen.networks.generators.spade import SpadeGenerator

CONDITIONS = ("warp_mask", "warp", "mask")
LABEL_NOISE, EXEMPLAR_NOISE = 0.1, 0.01
STEP, SMALLEST = 32, 64


class CoCosNet(ExemplarModel):
    """Labels and an exemplar to a picture with the exemplar's style.

    Args:
        num_classes: one-hot channels, a class for "unknown" included.
        height, width: of the pictures; divisible by 32, at least 64.
        ngf: base width of translator and adaptors.
        hidden: width inside each SPADE layer.
        inter: width of the features that are matched; None is 4 ngf, the published 256 at ngf 64.
        norm: under the modulation; "position" as in all published recipes, or "batch".
        attention: a non-local block in the translator.
        condition: inputs of the translator: "warp_mask", "warp" or "mask".
        stride: a picture's side over that of the grid that is matched, 4 or 2.
        warping: options of the matching and of the warps.
        adaptor: options of the networks that bring labels and pictures into one domain.

    Attributes:
        noise_shape: of the noise of one sample, with noise on labels or exemplar; else None.

    Source: Zhang et al., CVPR 2020, Cross-domain correspondence learning for exemplar-based image translation.
    """

    family: ClassVar[str] = "CoCosNet"
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
        inter: int | None,
        norm: str,
        attention: bool,
        condition: str,
        stride: int,
        warping: CoCosNetWarping,
        adaptor: CoCosNetAdaptor,
    ) -> None:
        super().__init__(num_classes=num_classes, height=height, width=width)
        if num_classes < 1:
            raise Refusal(f"num_classes must be at least 1, got {num_classes}")
        for name, given, known in (("condition", condition, CONDITIONS), ("stride", stride, STRIDES)):
            if given not in known:
                raise Refusal(f"model.{name}={given} is not one of {', '.join(map(str, known))}")
        self.reads = frozenset({"label", "exemplar", *([] if adaptor.exemplar_noise else ["exemplar_label"])})
        self.translator_inputs, self.stride, self.warping = condition, stride, warping
        self.label_noise, self.exemplar_noise = adaptor.label_noise, adaptor.exemplar_noise
        self.offers = warping.offers
        pixels = height * width
        self._noise_sizes = [adaptor.label_noise * pixels, adaptor.exemplar_noise * (pixels // stride**2)]
        self.noise_shape = (num_classes, sum(self._noise_sizes)) if any(self._noise_sizes) else None
        self.correspondence = Correspondence(
            semantic_channels=num_classes,
            ngf=ngf,
            hidden=hidden,
            inter=4 * ngf if inter is None else inter,
            norm=norm,
            stride=stride,
            options=adaptor,
        )
        self.generator = SpadeGenerator(
            semantic_channels={"warp_mask": 3 + num_classes, "warp": 3, "mask": num_classes}[condition],
            height=height,
            width=width,
            ngf=ngf,
            hidden=hidden,
            norm=norm,
            padding_mode="reflect",
            attention=attention,
        )

    def _check_noise(self, batch: Batch, noise: Tensor | None) -> None:
        count = batch.require("label").shape[0]  # no len(), which would fix the batch of a graph that is passed on
        wanted = None if self.noise_shape is None or self.key_alone else (count, *self.noise_shape)
        given = None if noise is None else tuple(noise.shape)
        if given != wanted:
            raise Refusal(
                f"this CoCosNet takes noise {wanted or 'none'}, got {given or 'none'}; "
                "see model.adaptor.label_noise and model.adaptor.exemplar_noise"
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
        noised, mixed = self._noised(planes, labels, noise)
        content, style, truth = self.correspondence.adapted(noised, exemplar, photograph)
        matched = self.correspondence(content, style, planes=planes, exemplar_planes=mixed)
        warp = self.warps(*matched, exemplar=exemplar, planes=planes, exemplar_planes=labels, image=photograph)
        warped = warp.warped[0]
        inputs = {"warp_mask": (warped, planes), "warp": (warped,), "mask": (planes,)}[self.translator_inputs]
        painted = self.generator(torch.cat([part.to(warped.dtype) for part in inputs], dim=1))
        return Synthesis(image=painted, warp=replace(warp, aligned=None if truth is None else ((content, truth),)))

    def warps(
        self,
        theta: Tensor,
        phi: Tensor,
        *,
        exemplar: Tensor,
        planes: Tensor,
        exemplar_planes: Tensor | None,
        image: Tensor | None,
    ) -> Warp:
        """Pictures and labels warped along the correspondence.

        Args:
            theta, phi: (b, inter, h', w') what is matched, of labels and exemplar.
            exemplar: (b, 3, h, w).
            planes, exemplar_planes: (b, num_classes, h, w) one-hot labels; without the exemplar's none are warped.
            image: (b, 3, h, w) the photographs, or None.

        Returns:
            The warp without `aligned`.
        """
        chosen = self.warping
        there = match(theta, phi, kernel=chosen.match_kernel, centre=chosen.centre)
        back = there.transposed()
        colours = F.pixel_unshuffle(exemplar, self.stride) if chosen.patches else self._small(exemplar)
        if chosen.warped_label == "direct" and exemplar_planes is not None:
            labels = exemplar_planes[..., :: self.stride, :: self.stride].to(colours.dtype)
            both = self._along(there, torch.cat([colours, labels], dim=1))
            low, label = both.split([colours.shape[1], self.num_classes], dim=1)
        else:
            low, label = self._along(there, colours), None
        if chosen.warped_label == "cycle":
            label = self._along(there, self._along(back, planes[..., :: self.stride, :: self.stride]))
        home = self._along(back, low) if chosen.cycle else None
        if home is not None and chosen.patches:
            home = F.pixel_shuffle(home, self.stride)
        returned = None
        if chosen.two_cycle and image is not None:
            returned = self._along(there, self._along(back, self._small(image)))
        return Warp(warped=(self._enlarged(low),), label=label, back=home, returned=returned)

    def _along(self, similarity: Similarity, value: Tensor) -> Tensor:
        return similarity.warp(value, temperature=self.warping.temperature)

    def _small(self, picture: Tensor) -> Tensor:
        return F.avg_pool2d(picture, self.stride)

    def _enlarged(self, low: Tensor) -> Tensor:
        if self.warping.patches:
            return F.pixel_shuffle(low, self.stride)
        if self.warping.bilinear:
            return F.interpolate(low, scale_factor=self.stride, mode="bilinear", align_corners=False)
        return F.interpolate(low, scale_factor=self.stride, mode="nearest")

    def _noised(self, planes: Tensor, exemplar_planes: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Labels for the adaptor and exemplar labels for the matching, with noise where options ask for it."""
        on_label, on_exemplar = (None, None) if noise is None else noise.to(planes.dtype).split(self._noise_sizes, 2)
        if self.label_noise and on_label is not None:
            planes = planes + LABEL_NOISE * on_label.view_as(planes) * planes
        if self.exemplar_noise and on_exemplar is not None:
            h, w = planes.shape[2] // self.stride, planes.shape[3] // self.stride
            exemplar_planes = EXEMPLAR_NOISE * on_exemplar.unflatten(2, (h, w))
        assert exemplar_planes is not None
        return planes, exemplar_planes
