"""LPIPS: distance of unit-length features, channels weighted as people judged.

Family: Features of a network
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term
from scenegen.networks.frozen.lpips_trunks import NETS, lpips_heads

HEADS = (*NETS, "uniform")


def lpips(features_x: Sequence[Tensor], features_y: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Sum over layers of the mean, over positions, of the weighted squared difference of unit vectors.

    The same values as the package lpips 0.1.4, whose heads learn and drop channels under `.train()`, and
    whose root at 0 gives NaN gradients at positions where every channel is 0.

    Args:
        features_x, features_y: per layer (b, c, h, w).
        heads: per layer (c,), >= 0.

    Returns:
        (b,) >= 0; 0 for equal pictures.

    Raises:
        Refusal: when the maps differ in size or the heads do not fit the channels.

    Source: Zhang et al., CVPR 2018, eq. 1.
    """
    total = []
    for k, (x, y, head) in enumerate(zip(features_x, features_y, heads, strict=True)):
        refuse_unlike(x, y, term="lpips", where=f"feature {k}")
        if head.numel() != x.shape[1]:
            raise Refusal(
                f"lpips has a head of {head.numel()} weights for {x.shape[1]} channels at feature {k}; published "
                f"heads fit the net of their name, others need extractor.lpips_heads=uniform"
            )
        x, y = full_precision(x).flatten(2), full_precision(y).flatten(2)  # (b, c, p)
        total.append(_UnitDistance.apply(x, y, head.to(x).view(-1, 1)))
    return torch.stack(total).sum(0)


class _UnitDistance(torch.autograd.Function):
    """Mean over positions of sum_c w_c (x_c / norm(x) - y_c / norm(y))^2, (b,), of maps (b, c, p) and w (c, 1).

    Written out because autograd walks the largest maps of the trunk three times as often.
    """

    @staticmethod
    def forward(ctx, x, y, w):  # pyright: ignore[reportIncompatibleMethodOverride]
        (x, *scale_x), (y, *scale_y) = _unit(x), _unit(y)
        difference = x - y
        ctx.save_for_backward(w, difference, x, *scale_x, *((y, *scale_y) if ctx.needs_input_grad[1] else ()))
        return (difference.square() * w).sum(1).mean(1)

    @staticmethod
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        w, difference, *saved = ctx.saved_tensors
        grad = difference * (2 / difference.shape[2] * grad[:, None, None] * w)
        grad_x = _unit_backward(grad, *saved[:3]) if ctx.needs_input_grad[0] else None
        grad_y = _unit_backward(grad, *saved[3:]).neg_() if ctx.needs_input_grad[1] else None
        return grad_x, grad_y, None


def _unit(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x / norm, the root and the norm; (b, c, p) and two of (b, 1, p)."""
    # 1e-20 under the root is the square of the package's 1e-10: a zero vector has a gradient, and it is finite
    root = (torch.linalg.vecdot(x, x, dim=1).unsqueeze(1) + 1e-20).sqrt_()
    norm = root + 1e-10
    return x / norm, root, norm


def _unit_backward(grad: Tensor, unit: Tensor, root: Tensor, norm: Tensor) -> Tensor:
    along = torch.linalg.vecdot(grad, unit, dim=1).unsqueeze(1) * (norm / root)
    return torch.addcmul(grad, unit, along, value=-1).div_(norm)


class Lpips(Term):
    """`lpips` on a frozen extractor, mean over the batch.

    Args:
        extractor: name of the extractor.
        heads: "alex", "vgg" or "squeeze" (learned for that trunk and its layers), or "uniform": every channel
            weighs 1 / (number of layers). Values with uniform heads, or on another trunk, are LPIPS in form
            only and compare with no published number.
        layers: maps that uniform heads read, shallow to deep; None with learned heads, which have their own.
        target: "real" or "exemplar".

    Formula: sum over layers of mean over positions of sum_c w_c (x_c / norm(x) - y_c / norm(y))^2
    Range: features of pictures in [-1, 1]; >= 0, 0 for equal pictures
    """

    def __init__(self, *, extractor: str, heads: str, layers: Sequence[str] | None, target: str) -> None:
        super().__init__()
        if heads not in HEADS:
            raise Refusal(f"heads={heads} of loss.lpips is not one of {', '.join(HEADS)}")
        if heads == "uniform" and not layers:
            raise Refusal("loss.lpips.heads=uniform needs loss.lpips.layers, e.g. [relu1_2, relu2_2]")
        own = () if heads == "uniform" else NETS[heads].layers
        if own and layers is not None and tuple(layers) != own:
            raise Refusal(
                f"the {heads} heads of lpips belong to {', '.join(own)}, not to {', '.join(layers)}; use "
                f"extractor.lpips_heads=uniform"
            )
        self.layers: tuple[str, ...] = own or tuple(layers or ())
        self.needs = target_needs(target, term="lpips")
        self.reads = {extractor: self.layers}
        self.extractor, self.target = extractor, target
        learned = () if heads == "uniform" else lpips_heads(heads)
        self.heads = nn.Buffer(torch.cat(learned), persistent=False) if learned else None
        self._channels = [len(head) for head in learned]

    def forward(self, evidence: Evidence) -> Tensor:
        fake = evidence.features.get("fake", self.extractor)
        target = evidence.features.get(self.target, self.extractor)
        x, y = [fake[layer] for layer in self.layers], [target[layer] for layer in self.layers]
        if self.heads is None:
            heads = [f.new_full((f.shape[1],), 1 / len(x)) for f in x]
        else:
            heads = self.heads.split(self._channels)
        return lpips(x, y, heads).mean()
