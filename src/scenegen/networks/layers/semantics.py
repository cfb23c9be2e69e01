"""Label ids to the tensor that conditions every network: one-hot classes, then instance edges."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Refusal


def semantics(
    label: Tensor, *, num_classes: int, instance: Tensor | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """One-hot classes, followed by an edge channel when instances are given.

    Args:
        label: (b, h, w) integer class ids in [0, num_classes).
        num_classes: number of one-hot channels, the class for "unknown" included.
        instance: (b, h, w) integer instance ids, or None for no edge channel.
        dtype: of the result.

    Returns:
        (b, num_classes [+ 1], h, w), zeros and ones.

    Raises:
        Refusal: for a label that is not (b, h, w) integers, ids outside the classes, or instances of another size.

    Source: Park et al. 2019, SPADE, section 3 and appendix (instance maps as boundaries, as in pix2pixHD).
    """
    _check(label, num_classes, instance)
    b, h, w = label.shape
    channels = num_classes + (instance is not None)
    planes = torch.zeros(b, channels, h, w, dtype=dtype, device=label.device)
    planes.scatter_(1, label.long().unsqueeze(1), 1.0)
    if instance is not None:
        planes[:, num_classes:] = instance_edges(instance, dtype=dtype)
    return planes


def instance_edges(instance: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Pixels whose instance id differs from one of their four neighbours (edges are two pixels thick).

    Args:
        instance: (b, h, w) integer ids.
        dtype: of the result.

    Returns:
        (b, 1, h, w), zeros and ones; outside the picture counts as "no difference".

    Source: Wang et al. 2018, pix2pixHD, section 3.3.
    """
    edges = torch.zeros_like(instance, dtype=torch.bool)
    across = instance[:, :, 1:] != instance[:, :, :-1]
    down = instance[:, 1:] != instance[:, :-1]
    edges[:, :, 1:] |= across
    edges[:, :, :-1] |= across
    edges[:, 1:] |= down
    edges[:, :-1] |= down
    return edges.unsqueeze(1).to(dtype)


def _check(label: Tensor, num_classes: int, instance: Tensor | None) -> None:
    if label.ndim != 3 or label.is_floating_point():
        raise Refusal(
            f"a label map must be integers of shape (b, h, w), got {label.dtype} {tuple(label.shape)}; "
            "give class ids, without a channel axis"
        )
    if label.numel():
        # one transfer for both ends; a scatter out of range would end the process on a GPU
        low, high = torch.stack(label.aminmax()).tolist()
        if low < 0 or high >= num_classes:
            raise Refusal(
                f"label ids reach from {low} to {high}, but the model has {num_classes} classes "
                f"(0..{num_classes - 1}); raise num_classes or map the ids, and give 'unknown' a class of its own"
            )
    if instance is not None and instance.shape != label.shape:
        raise Refusal(
            f"instance ids are {tuple(instance.shape)} but labels are {tuple(label.shape)}; "
            "resize both the same way (nearest)"
        )
