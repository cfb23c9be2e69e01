"""Dense correspondence: cosine similarity of all positions of two maps, and softmax warps by it, in little memory.

    similarity = match(content, exemplar, kernel=3, centre="channels")      # both (b, c, h, w); sizes may differ
    warped = similarity.warp(value, temperature=0.01)                       # value (b, v, h', w') -> (b, v, h, w)
    back = similarity.transposed().warp(value, temperature=0.01)            # value (b, v, h, w) -> (b, v, h', w')
    warped = similarity.warp(value, temperature=eps, bias=potential / eps)  # bias (b, h' w') joins the logits

Features, values and biases get gradients. Labels and colours go in one pass: concatenate them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.networks.correspondence.softmax_warp import warp
from scenegen.networks.layers.exporting import exporting
from scenegen.networks.layers.precision import at_least_float32

CENTRES = ("channels", "positions")


@dataclass(frozen=True)
class Similarity:
    """Every position of a query map against every position of a key map; no matrix is held.

    similarity[i, j] = rows[i] * columns[j] * (sum over offsets t of <query[i + t], key[j + t]>) + left[i] . right[j],
    with t over a kernel x kernel window and zeros outside the maps.

    Attributes:
        query: (b, c, h, w).
        key: (b, c, h', w').
        kernel: side of the window, odd.
        scale: rows (b, h w) and columns (b, h' w'); None is 1.
        offset: left (b, h w, k) and right (b, h' w', k); None is 0.
    """

    query: Tensor
    key: Tensor
    kernel: int = 1
    scale: tuple[Tensor, Tensor] | None = None
    offset: tuple[Tensor, Tensor] | None = None

    def transposed(self) -> Similarity:
        """The same with query and key exchanged."""
        scale = None if self.scale is None else (self.scale[1], self.scale[0])
        offset = None if self.offset is None else (self.offset[1], self.offset[0])
        return Similarity(self.key, self.query, self.kernel, scale, offset)

    def warp(self, value: Tensor, *, temperature: float, bias: Tensor | None = None) -> Tensor:
        """For every query position the mean of the values, weighted by softmax over key positions.

        Args:
            value: (b, v, h', w') at the key's positions.
            temperature: the similarity is divided by it.
            bias: (b, h' w') added to the logits similarity / temperature, or None.

        Returns:
            (b, v, h, w) at the query's positions, float32 also under autocast.

        Raises:
            Refusal: for another size of value or bias, or a temperature that is not above 0.

        Source: Zhang et al., CVPR 2020 (CoCosNet), equation 4.
        """
        size = self.key.shape[-2:]
        count = size[0] * size[1]
        if value.shape[-2:] != size or (bias is not None and bias.shape != (self.key.shape[0], count)):
            given = "none" if bias is None else tuple(bias.shape)
            raise Refusal(
                f"values {tuple(value.shape)} with bias {given} do not fit keys {tuple(self.key.shape)}; "
                "give values as large as the keys and one bias per sample and key"
            )
        if not temperature > 0:
            raise Refusal(f"temperature={temperature} is not above 0; CoCosNet has 0.01")
        scale = None if self.scale is None else (self.scale[0], self.scale[1] / temperature)
        key = self.key / temperature if scale is None else self.key
        offset = None if self.offset is None else (self.offset[0], self.offset[1] / temperature)
        if bias is not None:
            ones = bias.new_ones(bias.shape[0], self.query.shape[2] * self.query.shape[3], 1)
            pairs = [(ones, bias[..., None]), *([offset] if offset else [])]
            left, right = (torch.cat(parts, dim=-1).to(key.dtype) for parts in zip(*pairs, strict=True))
            offset = left, right
        flat = value.to(key.dtype).flatten(2).mT.contiguous()  # (b, h' w', v)
        with torch.autocast(value.device.type, enabled=False):
            out = warp(self.query, key, flat, scale=scale, offset=offset, kernel=self.kernel)
        return out.mT.unflatten(2, self.query.shape[-2:])

    def dense(self) -> Tensor:
        """(b, h w, h' w') the similarity as a matrix, differentiable: for small maps, and to look at."""
        query, key = (F.unfold(t, self.kernel, padding=self.kernel // 2) for t in (self.query, self.key))
        found = query.mT @ key
        if self.scale is not None:
            found = self.scale[0][:, :, None] * self.scale[1][:, None] * found
        return found if self.offset is None else found + self.offset[0] @ self.offset[1].mT


def match(content: Tensor, exemplar: Tensor, *, kernel: int = 1, centre: str = "channels") -> Similarity:
    """Cosine similarity of the centred kernel x kernel patches of two feature maps.

    Patches are never unfolded: their products are sums of products of single positions, and mean and length
    of a patch are box sums. Zeros outside the maps take part in both.

    Args:
        content: (b, c, h, w).
        exemplar: (b, c, h', w').
        kernel: side of the patches, odd; 1 compares single positions.
        centre: "channels" subtracts each patch's own mean, "positions" the mean over all patches of its map.

    Returns:
        The similarity, values in [-1, 1]; rows are content's positions.

    Raises:
        Refusal: for an even kernel, an unknown centre, or maps of other channels or batch.

    Source: Zhang et al., CVPR 2020 (CoCosNet), equation 3; patches as in its release (`match_kernel`, `PONO_C`).
    """
    if kernel < 1 or kernel % 2 == 0 or centre not in CENTRES:
        raise Refusal(f"kernel={kernel} must be odd and centre={centre!r} one of {', '.join(CENTRES)}")
    if content.shape[:2] != exemplar.shape[:2]:
        raise Refusal(
            f"features {tuple(content.shape)} and {tuple(exemplar.shape)} differ in batch or channels; make them equal"
        )
    with torch.autocast(content.device.type, enabled=False):
        content, exemplar = at_least_float32(content), at_least_float32(exemplar)
        if centre == "channels":
            return _centred_by_patch(content, exemplar, kernel)
        return _centred_by_map(content, exemplar, kernel)


def _centred_by_patch(content: Tensor, exemplar: Tensor, kernel: int) -> Similarity:
    size = content.shape[1] * kernel**2

    def parts(x: Tensor) -> tuple[Tensor, Tensor]:
        mean = _box(x.sum(1, keepdim=True), kernel) / size
        power = _box(x.square().sum(1, keepdim=True), kernel)
        return _inverse_length(power - size * mean.square(), power), mean

    (rows, left), (columns, right) = parts(content), parts(exemplar)
    offset = (-size * rows * left)[..., None], (columns * right)[..., None]
    return Similarity(content, exemplar, kernel, (rows, columns), offset)


def _centred_by_map(content: Tensor, exemplar: Tensor, kernel: int) -> Similarity:
    means = [_mean_patch(content, kernel), _mean_patch(exemplar, kernel)]

    def parts(x: Tensor, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        power = _box(x.square().sum(1, keepdim=True), kernel)
        length = power - 2 * _along(x, own) + own.square().sum((1, 2, 3))[:, None]
        return _inverse_length(length, power), _along(x, other)

    (rows, left), (columns, right) = parts(content, *means), parts(exemplar, *reversed(means))
    shared = (means[0] * means[1]).sum((1, 2, 3))[:, None]
    offset = torch.stack([rows * (shared - left), rows], dim=-1), torch.stack([columns, -columns * right], dim=-1)
    return Similarity(content, exemplar, kernel, (rows, columns), offset)


def _box(x: Tensor, kernel: int) -> Tensor:
    """(b, 1, h, w) -> (b, h w) sums over each position's window."""
    return (F.avg_pool2d(x, kernel, stride=1, padding=kernel // 2) * kernel**2).flatten(1)


def _mean_patch(x: Tensor, kernel: int) -> Tensor:
    """(b, c, kernel, kernel) the mean over positions of the patches of (b, c, h, w)."""
    h, w = x.shape[-2:]
    windows = F.pad(x, [kernel // 2] * 4).unfold(2, h, 1).unfold(3, w, 1)  # a view: (b, c, kernel, kernel, h, w)
    return windows.mean((4, 5))


def _along(x: Tensor, patch: Tensor) -> Tensor:
    """(b, h w) the product of each patch of x (b, c, h, w) with one patch per sample."""
    kernel = patch.shape[-1]
    if exporting():  # a convolution has as many groups as there are samples
        return (F.unfold(x, kernel, padding=kernel // 2) * patch.flatten(1)[..., None]).sum(1)
    return F.conv2d(x.flatten(0, 1)[None], patch, padding=kernel // 2, groups=len(x))[0].flatten(1)


def _inverse_length(square: Tensor, power: Tensor) -> Tensor:
    # patches without variation have length 0 up to rounding: no division by noise
    return torch.maximum(square, 1e-8 * power.detach() + 1e-30).rsqrt()
