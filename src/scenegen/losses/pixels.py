"""Terms on the pixels themselves: L1, and total variation, which looks at the generated picture alone.

Family: Pictures
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term

FORMS = {
    "mean_abs": lambda dy, dx: dy.abs().mean() + dx.abs().mean(),
    "mean_sq": lambda dy, dx: dy.square().mean() + dx.square().mean(),
    "l1": lambda dy, dx: (_sums(dy.abs()) + _sums(dx.abs())).mean(),
    "l2": lambda dy, dx: (_sums(dy.square()) + _sums(dx.square()) + 1e-12).sqrt().mean(),
    "l2_squared": lambda dy, dx: (_sums(dy.square()) + _sums(dx.square())).mean(),
}


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference.

    Args:
        x, y: (b, c, h, w) of any range, the generated and the target picture.

    Returns:
        A scalar >= 0.

    Raises:
        Refusal: when the pictures differ in size.
    """
    refuse_unlike(x, y, term="l1", where="the pixels")
    return F.l1_loss(full_precision(x), full_precision(y))


class CoarseL1(Term):
    """`l1` of the picture of an earlier stage and the real one, whose pixels are averaged to its size.

    Formula: mean(abs(x_small - mean pixels of y))
    Range: pictures in [-1, 1]; in [0, 2], 0 for equal pictures
    Source: Zheng et al., CVPR 2019 (PICNet), equation 8, at each scale of its outputs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.needs = frozenset({"coarse", "image"})

    def forward(self, evidence: Evidence) -> Tensor:
        coarse = evidence.picture("coarse")
        return l1(coarse, F.interpolate(evidence.picture("real"), size=coarse.shape[-2:], mode="area"))


class L1(Term):
    """`l1` on pictures in [-1, 1].

    Args:
        target: "real" or "exemplar".

    Formula: mean(abs(x - y))
    Range: pictures in [-1, 1]; in [0, 2], 0 for equal pictures
    Source: as an appearance loss, Zheng et al., CVPR 2019 (PICNet).
    """

    def __init__(self, *, target: str) -> None:
        super().__init__()
        self.needs = target_needs(target, term="l1")
        self.target = target

    def forward(self, evidence: Evidence) -> Tensor:
        return l1(*pair(evidence, self.target, term="l1"))


class StandardisedL1(Term):
    """Mean absolute difference of pictures whose colours are divided by their deviations.

    Args:
        std: of each colour of pictures in [0, 1].
        target: "real" or "exemplar".

    Formula: mean(abs(x - y) / (2 std))
    Range: pictures in [-1, 1]; >= 0, 0 for equal pictures
    Source: the contest log's ESRGAN, which compares pictures less ImageNet's mean and over its deviations.
    """

    def __init__(self, *, std: Sequence[float], target: str) -> None:
        super().__init__()
        if len(std) != 3 or min(std) <= 0:
            raise Refusal(f"std={list(std)} of loss.l1_imagenet must be three numbers above 0, one per colour")
        self.needs = target_needs(target, term="l1_imagenet")
        self.std, self.target = tuple(std), target

    def forward(self, evidence: Evidence) -> Tensor:
        x, y = pair(evidence, self.target, term="l1_imagenet")
        double = 2 * x.new_tensor(self.std).view(1, 3, 1, 1)  # [-1, 1] is twice as wide as [0, 1]
        return l1(x / double, y / double)


def total_variation(x: Tensor, *, form: str = "mean_abs", valid: Tensor | None = None) -> Tensor:
    """Differences of neighbouring pixels.

    piq's TV gives NaN gradients on flat pictures with "l2" (a root at 0): here the root is of the sum + 1e-12.

    Args:
        x: (b, c, h, w) of any range, h and w >= 2.
        form: "mean_abs" and "mean_sq" (neural-style) are means over all pairs, independent of the size; "l1",
            "l2" (root of the sum of squares) and "l2_squared" are piq's sums over a picture, mean over the batch.
        valid: 1 on known pixels and 0 in a hole, of x's shape: only pairs inside the hole grown by one pixel
            count, the mean staying over all pairs (inpainting). PD-GAN's released code takes the first row
            minus the last for every vertical pair; that is not repeated.

    Returns:
        A scalar >= 0; 0 for flat pictures ("l2": 1e-6).

    Raises:
        Refusal: for a picture of a single row or column.

    Source: Rudin, Osher and Fatemi, Physica D 1992.
    """
    h, w = x.shape[-2:]
    if min(h, w) < 2:
        raise Refusal(f"loss.tv compares neighbours, but a {h}x{w} picture has none; it needs at least 2 pixels a side")
    x = full_precision(x)
    dy, dx = x.diff(dim=2), x.diff(dim=3)
    if valid is not None:
        hole = F.max_pool2d(1 - full_precision(valid), 3, stride=1, padding=1)
        dy, dx = dy * hole[:, :, 1:] * hole[:, :, :-1], dx * hole[..., 1:] * hole[..., :-1]
    return FORMS[form](dy, dx)


class TotalVariation(Term):
    """`total_variation` of the generated picture in [-1, 1]; it has no target.

    Args:
        form: see `total_variation`.

    Formula: mean(abs(x_(i+1,j) - x_ij)) + mean(abs(x_(i,j+1) - x_ij))
    Range: the generated picture in [-1, 1]; in [0, 4], 0 for a flat one
    """

    def __init__(self, *, form: str) -> None:
        super().__init__()
        if form not in FORMS:
            raise Refusal(f"form={form} of loss.tv is not one of {', '.join(FORMS)}")
        self.form = form

    def forward(self, evidence: Evidence) -> Tensor:
        return total_variation(evidence.picture("fake"), form=self.form)


def pair(evidence: Evidence, target: str, *, term: str) -> tuple[Tensor, Tensor]:
    """The generated picture and its target without a graph, (b, 3, h, w) in [-1, 1]; refuses unequal sizes."""
    x, y = evidence.picture("fake"), evidence.picture(target).detach()
    refuse_unlike(x, y, term=term, where="the pixels")
    return x, y


def unit_pair(evidence: Evidence, target: str, *, term: str) -> tuple[Tensor, Tensor]:
    """`pair` in [0, 1]."""
    x, y = pair(evidence, target, term=term)
    return (x + 1) / 2, (y + 1) / 2


def clamped(x: Tensor) -> Tensor:
    """x in [0, 1], float32 or wider, with the gradient of the identity.

    For libraries that refuse 1.0001. torch's own clamp has no gradient at 0 and 1 themselves, where saturated
    pictures lie.
    """
    x = full_precision(x)
    return x.detach().clamp(0, 1) + (x - x.detach())


def _sums(differences: Tensor) -> Tensor:
    return differences.sum((1, 2, 3))
