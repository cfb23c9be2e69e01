"""Accuracy on ids, against hand counts, numpy and torchmetrics."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_jaccard_index

from scenegen.base.records import Refusal
from scenegen.metrics.accuracy import class_iou, confusion, mean_iou, picture_hits, pixel_accuracy


def maps(seed: int, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    first, second = (torch.randint(0, classes, (3, 8, 9), generator=stream) for _ in range(2))
    return first, second


def test_hand_counted_map():
    """Counted on paper: 6 pixels, 4 right; class 0 hit 2 union 4, class 1 hit 1 union 2, class 2 hit 1 union 2."""
    label = torch.tensor([[0, 0, 1], [1, 2, 0]])
    prediction = torch.tensor([[0, 0, 1], [0, 2, 2]])
    counts = confusion(prediction, label, num_classes=4)
    assert counts.tolist() == [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert pixel_accuracy(counts).item() == pytest.approx(4 / 6)
    assert class_iou(counts)[:3].tolist() == pytest.approx([2 / 4, 1 / 2, 1 / 2])
    assert class_iou(counts)[3].isnan()
    assert mean_iou(counts).item() == pytest.approx(0.5)


@pytest.mark.parametrize("ignore", [None, 2])
def test_agrees_with_torchmetrics(ignore):
    prediction, label = maps(1)
    counts = confusion(prediction, label, num_classes=5, ignore=ignore)
    assert torch.equal(counts, multiclass_confusion_matrix(prediction, label, 5, ignore_index=ignore))
    if ignore is None:  # torchmetrics keeps an ignored class in its macro mean
        theirs = multiclass_jaccard_index(prediction, label, 5, average="none")
        assert class_iou(counts).float() == pytest.approx(theirs)


def test_pictures_of_one_size_average_to_the_pooled_value():
    """origin.md section 6: with equal sizes the mean over pictures is the pooled pixel accuracy."""
    prediction, label = maps(2)
    pooled = pixel_accuracy(confusion(prediction, label, num_classes=5))
    right, counted = picture_hits(prediction, label)
    assert (right / counted).mean().item() == pytest.approx(pooled.item())
    assert torch.equal(right, (prediction == label).flatten(1).sum(1))
    assert counted.tolist() == [72, 72, 72]


def test_ignored_pixels_count_nowhere():
    label = torch.tensor([[[3, 3, 0, 1]]])
    for guess in (0, 3):
        prediction = torch.tensor([[[guess, guess, 0, 0]]])
        counts = confusion(prediction, label, num_classes=4, ignore=3)
        assert pixel_accuracy(counts).item() == 0.5
        assert [n.tolist() for n in picture_hits(prediction, label, ignore=3)] == [[1], [2]]
        assert class_iou(counts, ignore=3)[3].isnan()


def test_nothing_counted_is_nan():
    label = torch.full((1, 2, 2), 3)
    assert pixel_accuracy(confusion(label, label, num_classes=4, ignore=3)).isnan()
    assert [n.tolist() for n in picture_hits(label, label, ignore=3)] == [[0], [0]]


def test_synonyms_are_told_apart():
    """origin.md section 6: the team's palette gave grass (12) and plant (13) one colour; on ids they differ."""
    grass, plant = torch.full((1, 4, 4), 12), torch.full((1, 4, 4), 13)
    assert pixel_accuracy(confusion(grass, plant, num_classes=29)).item() == 0.0


@pytest.mark.parametrize(
    ("prediction", "label", "says"),
    [
        (torch.zeros(2, 3, dtype=torch.long), torch.zeros(3, 2, dtype=torch.long), "(2, 3)"),
        (torch.full((2, 2), 4), torch.zeros(2, 2, dtype=torch.long), "predicted ids span 4..4"),
        (torch.zeros(2, 2, dtype=torch.long), torch.full((2, 2), -1), "true ids span -1..-1"),
        (torch.zeros(2, 2, dtype=torch.long), torch.full((2, 2), 255), "outside the 4 classes"),
    ],
)
def test_refused(prediction, label, says):
    with pytest.raises(Refusal) as error:
        confusion(prediction, label, num_classes=4)
    assert says in str(error.value)
