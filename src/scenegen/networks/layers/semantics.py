"""Label ids to the tensor that conditions every network: one-hot classes, then instance edges."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.records import Batch, Refusal


def batch_semantics(batch: Batch, *, num_classes: int, edges: bool = False, dtype: torch.dtype) -> Tensor:
    """`semantics` of a batch's label map, made and checked once per batch.

    Raises:
        Refusal: without a label map, with edges without instance ids, or as `semantics`.
    """
    if batch.label is None:
        raise Refusal("this model paints label maps, but the batch has none; use data with label maps")
    if edges and batch.instance is None:
        raise Refusal("this model sees instance edges, but the batch has no instance ids; give data with instance maps")
    label, instance = batch.label, batch.instance if edges else None
    options = {"num_classes": num_classes, "checked": batch.classes}
    key = ("semantics", num_classes, edges, dtype)
    return batch.once(key, lambda: semantics(label, instance=instance, dtype=dtype, **options))


def exemplar_semantics(batch: Batch, *, num_classes: int, dtype: torch.dtype) -> Tensor | None:
    """`semantics` of the label map of a batch's exemplar, made and checked once per batch; None without one."""
    label = batch.exemplar_label
    if label is None:
        return None
    key = ("exemplar semantics", num_classes, dtype)
    return batch.once(key, lambda: semantics(label, num_classes=num_classes, checked=batch.classes, dtype=dtype))


def semantics(
    label: Tensor,
    *,
    num_classes: int,
    instance: Tensor | None = None,
    checked: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """One-hot classes, followed by an edge channel when instances are given.

    Args:
        label: (b, h, w) integer class ids in [0, num_classes).
        num_classes: number of one-hot channels, the class for "unknown" included.
        instance: (b, h, w) integer instance ids, or None for no edge channel.
        checked: number of classes that the ids were checked against already; None looks at every id, which makes a
            GPU wait.
        dtype: of the result.

    Returns:
        (b, num_classes [+ 1], h, w), zeros and ones.

    Raises:
        Refusal: for a label that is not (b, h, w) integers, ids outside the classes, or instances of another size.

    Source: Park et al. 2019, SPADE, section 3 and appendix (instance maps as boundaries, as in pix2pixHD).
    """
    _check(label, instance)
    if checked is None or checked > num_classes:
        _check_range(label, num_classes)
    b, h, w = label.shape
    channels = num_classes + (instance is not None)
    planes = torch.zeros(b, channels, h, w, dtype=dtype, device=label.device)
    planes.scatter_(1, label.long().unsqueeze(1), 1.0)
    if instance is not None:
        planes[:, num_classes:] = instance_edges(instance, dtype=dtype)
    return planes


def named_classes(planes: Tensor) -> Tensor:
    """Class ids of one-hot planes (b, n, h, w); -1 where no plane is set, as where a trick blanked or moved them."""
    largest, ids = planes.max(1)
    return torch.where(largest > 0, ids, -1)


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


def _check(label: Tensor, instance: Tensor | None) -> None:
    if label.ndim != 3 or label.is_floating_point():
        raise Refusal(
            f"a label map must be integers of shape (b, h, w), got {label.dtype} {tuple(label.shape)}; "
            "give class ids, without a channel axis"
        )
    if instance is not None and instance.shape != label.shape:
        raise Refusal(
            f"instance ids are {tuple(instance.shape)} but labels are {tuple(label.shape)}; "
            "resize both the same way (nearest)"
        )


def _check_range(label: Tensor, num_classes: int) -> None:
    """Refuse ids outside the classes; a scatter out of range would end the process on a GPU."""
    if not label.numel():
        return
    low, high = torch.stack(label.aminmax()).tolist()  # one transfer for both ends
    if low < 0 or high >= num_classes:
        raise Refusal(
            f"label ids reach from {low} to {high}, but the model has {num_classes} classes "
            f"(0..{num_classes - 1}); raise num_classes or map the ids, and give 'unknown' a class of its own"
        )
