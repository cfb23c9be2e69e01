"""Perceptual distance: layer by layer between features of the generated and the target picture.

Family: Features of a network
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import checked_layers, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term

CRITERIA = {"l1": F.l1_loss, "l2": F.mse_loss, "smooth_l1": F.smooth_l1_loss}


def perceptual(
    x: Mapping[str, Tensor], y: Mapping[str, Tensor], *, layers: Mapping[str, float], criterion: str = "l1"
) -> Tensor:
    """Weighted sum over layers of the mean difference of features.

    Args:
        x, y: layer -> (b, c, h, w), of the generated and of the target picture.
        layers: layer -> weight.
        criterion: "l1", "l2" (mean square) or "smooth_l1" (Huber, beta 1).

    Returns:
        A scalar >= 0.

    Raises:
        Refusal: when the maps differ in size.

    Source: Johnson et al., ECCV 2016, eq. 2; with L1 and five layers, Wang et al., CVPR 2018 (pix2pixHD).
    """
    for layer in layers:
        refuse_unlike(x[layer], y[layer], term="vgg", where=layer)
    difference = CRITERIA[criterion]
    return sum((weight * difference(x[layer], y[layer]) for layer, weight in layers.items()), start=torch.zeros(()))


class Perceptual(Term):
    """`perceptual` on a frozen extractor.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        criterion: see `perceptual`.
        target: "real" or "exemplar".

    Formula: sum over layers of w_l mean(abs(f_l(x) - f_l(y)))
    Range: features of pictures in [-1, 1]; >= 0, 0 for equal pictures
    """

    def __init__(self, *, extractor: str, layers: Mapping[str, float], criterion: str, target: str) -> None:
        super().__init__()
        if criterion not in CRITERIA:
            raise Refusal(f"criterion={criterion} of loss.vgg is not one of {', '.join(CRITERIA)}")
        self.layers = checked_layers(layers, term="vgg")
        self.needs = target_needs(target, term="vgg")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.criterion, self.target = extractor, criterion, target

    def forward(self, evidence: Evidence) -> Tensor:
        x = evidence.features.get("fake", self.extractor)
        y = evidence.features.get(self.target, self.extractor)
        return perceptual(x, y, layers=self.layers, criterion=self.criterion)
