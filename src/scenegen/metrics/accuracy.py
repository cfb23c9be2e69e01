"""Mask accuracy on integer ids: confusion counts, pixel accuracy pooled and per picture, IoU per class.

Pixels whose true id is `ignore` are left out everywhere. Counts are int64, so a million pictures do not round.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal


def confusion(prediction: Tensor, label: Tensor, *, num_classes: int, ignore: int | None = None) -> Tensor:
    """Count pixels by (true id, predicted id).

    Args:
        prediction: (..., h, w) integer ids in [0, num_classes).
        label: (..., h, w) integer ids in [0, num_classes), same shape.
        num_classes: number of ids.
        ignore: true id whose pixels are not counted, or None.

    Returns:
        (num_classes, num_classes) int64, row = true id, column = predicted id.

    Raises:
        Refusal: shapes differ, or an id lies outside the classes.
    """
    _same_shape(prediction, label)
    for what, ids in (("predicted", prediction), ("true", label)):
        if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= num_classes):
            raise Refusal(
                f"{what} ids span {int(ids.min())}..{int(ids.max())}, outside the {num_classes} classes 0.."
                f"{num_classes - 1}; score with the class list that the maps were made for"
            )
    pair = label.long() * num_classes + prediction.long()
    if ignore is not None:
        pair = pair[label != ignore]
    counts = torch.bincount(pair.flatten(), minlength=num_classes * num_classes)
    return counts.view(num_classes, num_classes)


def pixel_accuracy(counts: Tensor) -> Tensor:
    """Share of the counted pixels whose id is right, pooled over all pictures.

    Args:
        counts: (classes, classes) int64, row = true id.

    Returns:
        () float64 in [0, 1]; NaN when nothing was counted.

    Source: the contest's mask_acc, (gt == prediction).sum() / (h * w), over all pictures at once.
    """
    return counts.diagonal().sum().double() / counts.sum().double()


def picture_hits(prediction: Tensor, label: Tensor, *, ignore: int | None = None) -> tuple[Tensor, Tensor]:
    """Right and counted pixels of every picture.

    Args:
        prediction: (b, h, w) integer ids.
        label: (b, h, w) integer ids, same shape.
        ignore: true id whose pixels are not counted, or None.

    Returns:
        (right (b,), counted (b,)), both int64; their ratio is the accuracy per picture.

    Raises:
        Refusal: shapes differ.
    """
    _same_shape(prediction, label)
    valid = torch.ones_like(label, dtype=torch.bool) if ignore is None else label != ignore
    return ((prediction == label) & valid).sum((1, 2)), valid.sum((1, 2))


def class_iou(counts: Tensor, *, ignore: int | None = None) -> Tensor:
    """Intersection over union of every class.

    Args:
        counts: (classes, classes) int64, row = true id.
        ignore: class that has no IoU, or None.

    Returns:
        (classes,) float64 in [0, 1]; NaN for a class that is neither true nor predicted anywhere, and for `ignore`.

    Source: Everingham et al., The Pascal VOC Challenge (2010), section 4.3.
    """
    return iou_of(torch.stack([counts.diagonal(), counts.sum(1), counts.sum(0)]), ignore=ignore)


def iou_of(pixels: Tensor, *, ignore: int | None = None) -> Tensor:
    """`class_iou` of the pixels of every class.

    Args:
        pixels: (3, classes) int64: read right, true, read as the class; of one picture or summed over many.
        ignore: class that has no IoU, or None.

    Returns:
        (classes,) float64 in [0, 1] or NaN, as `class_iou`.
    """
    hit, true, read = pixels.double()
    union = read + true - hit
    iou = torch.where(union > 0, hit / union, torch.nan)
    if ignore is not None:
        iou[ignore] = torch.nan
    return iou


def class_pixels(prediction: Tensor, label: Tensor, *, num_classes: int, ignore: int | None = None) -> Tensor:
    """Pixels of every class in every picture.

    Args:
        prediction: (b, h, w) integer ids in [0, num_classes).
        label: (b, h, w) integer ids in [0, num_classes), same shape.
        num_classes: number of ids.
        ignore: true id whose pixels are not counted, or None.

    Returns:
        (b, 3, num_classes) int64: read right, true, read as the class.

    Raises:
        Refusal: shapes differ, or an id lies outside the classes.
    """
    counts = torch.stack(
        [confusion(p, t, num_classes=num_classes, ignore=ignore) for p, t in zip(prediction, label, strict=True)]
    )  # (b, classes, classes)
    return torch.stack([counts.diagonal(dim1=1, dim2=2), counts.sum(2), counts.sum(1)], 1)


def mean_iou(counts: Tensor, *, ignore: int | None = None) -> Tensor:
    """Mean of the IoU over the classes that have one.

    Args:
        counts: (classes, classes) int64, row = true id.
        ignore: class left out of the mean, or None.

    Returns:
        () float64 in [0, 1]; NaN when no class has an IoU.
    """
    return class_iou(counts, ignore=ignore).nanmean()


def _same_shape(prediction: Tensor, label: Tensor) -> None:
    if prediction.shape != label.shape:
        raise Refusal(
            f"predicted map is {tuple(prediction.shape)} but the label map is {tuple(label.shape)}; "
            "resize label maps with nearest neighbour, or the logits before the argmax"
        )
