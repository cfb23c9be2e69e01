"""DISTS: similarity of structure and of texture in the channels of a network.

Family: Features of a network
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scenegen.base.records import Refusal
from scenegen.losses.features import full_precision, refuse_unlike, target_needs
from scenegen.losses.objective import Evidence, Term
from scenegen.networks.frozen import weights

PUBLISHED_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
COEFFICIENTS = ("published", "uniform")


def dists(
    features_x: Sequence[Tensor],
    features_y: Sequence[Tensor],
    alpha: Tensor,
    beta: Tensor,
    *,
    c1: float = 1e-6,
    c2: float = 1e-6,
) -> Tensor:
    """Distance of channel means (texture) and of channel correlations (structure).

    With l and s of the paper, 1 - l = (mx - my)^2 / (mx^2 + my^2 + c1) and
    1 - s = var(x - y) / (vx + vy + c2): nothing cancels, and equal pictures give exactly 0.

    Args:
        features_x, features_y: per layer (b, c, h, w); the first layer is the picture itself in [0, 1].
        alpha, beta: (total channels,), >= 0; used relative to their joint sum.
        c1, c2: keep empty channels from dividing by 0.

    Returns:
        (b,) in [0, 2]; 0 for equal pictures.

    Raises:
        Refusal: when the maps differ in size or the coefficients do not fit the channels.

    Source: Ding et al., TPAMI 2020, eqs. 4-6.
    """
    channels = sum(x.shape[1] for x in features_x)
    if alpha.numel() != channels or beta.numel() != channels:
        raise Refusal(
            f"dists has {alpha.numel()} and {beta.numel()} coefficients for {channels} channels; the published ones "
            f"fit VGG16's {', '.join(PUBLISHED_LAYERS)}, others need extractor.dists_coefficients=uniform"
        )
    texture, structure = [], []
    for k, (x, y) in enumerate(zip(features_x, features_y, strict=True)):
        refuse_unlike(x, y, term="dists", where=f"feature {k}")
        x, y = full_precision(x).flatten(2), full_precision(y).flatten(2)  # (b, c, p)
        mx, my, vx, vy, vd = _Moments.apply(x, y)  # pyright: ignore[reportGeneralTypeIssues]
        texture.append((mx - my).square() / (mx.square() + my.square() + c1))
        structure.append(vd / (vx + vy + c2))
    alpha, beta = alpha.flatten().to(texture[0]), beta.flatten().to(texture[0])
    total = (torch.cat(texture, 1) * alpha).sum(1) + (torch.cat(structure, 1) * beta).sum(1)
    return total / (alpha.sum() + beta.sum())


class _Moments(torch.autograd.Function):
    """Means of x and y and variances of x, y and x - y over positions, five times (b, c), of maps (b, c, p).

    Autograd's own var walks the maps some thirty times on a CPU, which cost as much as the trunk of SceneNet.
    """

    @staticmethod
    def forward(ctx, x, y):  # pyright: ignore[reportIncompatibleMethodOverride]
        mx, my = x.mean(2, keepdim=True), y.mean(2, keepdim=True)
        x, y = x - mx, y - my
        difference = x - y
        ctx.save_for_backward(x, y if ctx.needs_input_grad[1] else None, difference)
        variances = [torch.linalg.vecdot(centred, centred) / x.shape[2] for centred in (x, y, difference)]
        return mx.squeeze(2), my.squeeze(2), *variances

    @staticmethod
    def backward(ctx, *grads):  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, difference = ctx.saved_tensors
        mx, my, vx, vy, vd = (grad[..., None] / difference.shape[2] for grad in grads)
        grad_x = torch.addcmul(mx, x, vx, value=2).addcmul_(difference, vd, value=2)
        if y is None:
            return grad_x, None
        return grad_x, torch.addcmul(my, y, vy, value=2).addcmul_(difference, vd, value=-2)


class Dists(Term):
    """`dists` on a frozen extractor, mean over the batch; the picture itself is always the first feature.

    Args:
        extractor: name of the extractor; its own `resize_to` says at which size pictures are compared.
        layers: the other features, shallow to deep.
        coefficients: "published" (learned for VGG16 with L2 pooling and its five layers), or "uniform": every
            channel counts alike, 1 / (2 total channels) for its mean and for its correlation. Values with
            uniform coefficients, or on another trunk, are DISTS in form only and compare with no published number.
        target: "real" or "exemplar".

    Formula: 1 - sum_channels(alpha (2 m_x m_y + c) / (m_x^2 + m_y^2 + c) + beta (2 cov + c) / (v_x + v_y + c))
    Range: features of pictures in [-1, 1]; in [0, 2], 0 for equal pictures
    """

    def __init__(
        self,
        *,
        extractor: str,
        layers: Sequence[str],
        coefficients: str,
        target: str,
    ) -> None:
        super().__init__()
        if coefficients not in COEFFICIENTS:
            raise Refusal(f"coefficients={coefficients} of loss.dists is not one of {', '.join(COEFFICIENTS)}")
        if coefficients == "published" and tuple(layers) != PUBLISHED_LAYERS:
            raise Refusal(
                f"the published coefficients of dists belong to {', '.join(PUBLISHED_LAYERS)}, not to "
                f"{', '.join(layers)}; use extractor.dists_coefficients=uniform"
            )
        self.layers = ("image", *layers)
        self.needs = target_needs(target, term="dists")
        self.reads = {extractor: self.layers}
        self.extractor, self.target = extractor, target
        alpha, beta = weights.dists_coefficients() if coefficients == "published" else (None, None)
        self.alpha = None if alpha is None else nn.Buffer(alpha, persistent=False)
        self.beta = None if beta is None else nn.Buffer(beta, persistent=False)

    def forward(self, evidence: Evidence) -> Tensor:
        fake = evidence.features.get("fake", self.extractor)
        target = evidence.features.get(self.target, self.extractor)
        x, y = [fake[layer] for layer in self.layers], [target[layer] for layer in self.layers]
        uniform = torch.ones(sum(f.shape[1] for f in x), device=x[0].device)
        alpha = uniform if self.alpha is None else self.alpha
        beta = uniform if self.beta is None else self.beta
        return dists(x, y, alpha, beta).mean()
