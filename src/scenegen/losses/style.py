"""Style (texture) loss: which channels of a network fire together, wherever they do.

Family: Features of a network
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import checked_layers, full_precision, target_needs
from scenegen.losses.objective import Evidence, Term

NORMALISATIONS = {"none": lambda c, p: 1, "hw": lambda c, p: p, "chw": lambda c, p: c * p}
FORMS = {
    # sum of dG^2 / (4 C^2 (HW)^2), with G / HW taken first: plain Grams leave half precision's range
    "gatys": ("hw", lambda d: d.square().sum((1, 2)).mean() / (4 * d.shape[1] ** 2)),
    "neural_style": ("chw", lambda d: d.square().mean()),
    "l1": ("chw", lambda d: d.abs().mean()),
}


def gram(x: Tensor, *, normalisation: str = "chw") -> Tensor:
    """Inner products of the channels.

    Args:
        x: (b, c, h, w).
        normalisation: divides by nothing ("none"), by h w ("hw") or by c h w ("chw").

    Returns:
        (b, c, c), in float32 or wider, under autocast too.

    Source: Gatys, Ecker and Bethge, CVPR 2016, eq. 3.
    """
    x = full_precision(x).flatten(2)  # (b, c, p)
    with torch.autocast(x.device.type, enabled=False):
        return x @ x.transpose(1, 2) / NORMALISATIONS[normalisation](*x.shape[1:])


def style(x: Mapping[str, Tensor], y: Mapping[str, Tensor], *, layers: Mapping[str, float], form: str = "l1") -> Tensor:
    """Weighted sum over layers of the difference of Gram matrices.

    The three forms differ by orders of magnitude, so a weight belongs to one of them. A map of p positions
    has a Gram matrix of rank <= p: deep layers of small pictures say little.

    Args:
        x, y: layer -> (b, c, h, w), of the generated and of the target picture, which may differ in size.
        layers: layer -> weight.
        form: "gatys" (sum of squares / (4 c^2 (h w)^2)), "neural_style" (mean square of Grams / (c h w)) or
            "l1" (mean difference of Grams / (c h w), PD-GAN).

    Returns:
        A scalar >= 0.

    Raises:
        Refusal: when the maps differ in batch or channels.

    Source: Gatys, Ecker and Bethge, CVPR 2016, eqs. 4-5.
    """
    normalisation, measure = FORMS[form]
    values = []
    for layer, weight in layers.items():
        if x[layer].shape[:2] != y[layer].shape[:2]:
            raise Refusal(
                f"loss.style compares features of equal batch and channels, but at {layer} has "
                f"{tuple(x[layer].shape)} and {tuple(y[layer].shape)}"
            )
        difference = gram(x[layer], normalisation=normalisation) - gram(y[layer], normalisation=normalisation)
        values.append(weight * measure(difference))
    return torch.stack(values).sum()


class Style(Term):
    """`style` on a frozen extractor.

    Args:
        extractor: name of the extractor.
        layers: layer -> weight; weight 0 leaves a layer out.
        form: see `style`.
        target: "real" or "exemplar".

    Formula: sum over layers of w_l mean(abs(F_x F_x^T - F_y F_y^T)) / (c h w)
    Range: features of pictures in [-1, 1]; >= 0, 0 for equal Gram matrices
    """

    def __init__(self, *, extractor: str, layers: Mapping[str, float], form: str, target: str) -> None:
        super().__init__()
        if form not in FORMS:
            raise Refusal(f"form={form} of loss.style is not one of {', '.join(FORMS)}")
        self.layers = checked_layers(layers, term="style")
        self.needs = target_needs(target, term="style")
        self.reads = {extractor: tuple(self.layers)}
        self.extractor, self.form, self.target = extractor, form, target

    def forward(self, evidence: Evidence) -> Tensor:
        x = evidence.features.get("fake", self.extractor)
        y = evidence.features.get(self.target, self.extractor)
        return style(x, y, layers=self.layers, form=self.form)
