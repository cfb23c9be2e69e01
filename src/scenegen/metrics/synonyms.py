"""Near-synonym classes, which no photograph can tell apart for sure, and the share of the error among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GROUPS: Mapping[str, tuple[str, ...]] = {
    "water": ("water", "sea", "river", "lake"),
    "ground": ("earth", "land", "sand", "field"),
    "heights": ("mountain", "hill"),
    "green": ("grass", "plant", "tree"),
    "vessel": ("boat", "ship"),
    "building": ("building", "house"),
    "way": ("path", "road"),
    "barrier": ("wall", "railing", "fence"),
}
"""Near-synonyms among the landscape classes; no class is in two groups."""


@dataclass(frozen=True)
class Confusion:
    """Reading of one group of near-synonyms.

    Attributes:
        classes: the group's classes that the class list has.
        share: of the counted pixels, those whose true class is in the group.
        right: of the group's pixels, those read as their own class.
        within: those read as another class of the group.
        most: the largest confusion inside the group as (true, read, share of the group's pixels), or None.
    """

    classes: tuple[str, ...]
    share: float
    right: float
    within: float
    most: tuple[str, str, float] | None

    @property
    def outside(self) -> float:
        """Of the group's pixels, those read as a class outside it."""
        return max(0.0, 1 - self.right - self.within)


def synonym_confusion(
    counts: Tensor, names: Sequence[str], groups: Mapping[str, tuple[str, ...]] = GROUPS
) -> dict[str, Confusion]:
    """Confusion inside every group that has at least two classes in the list and a pixel in the label maps.

    Args:
        counts: (classes, classes) int64, row = true id, column = predicted id.
        names: class names in id order.
        groups: group name -> class names.

    Returns:
        Group name -> its confusion, in the order of `groups`.
    """
    total = counts.sum().item()
    found = {}
    for group, members in groups.items():
        ids = [names.index(name) for name in members if name in names]
        pixels = counts[ids].sum().item()
        if len(ids) < 2 or not pixels:
            continue
        block = counts[ids][:, ids].double() / pixels
        right = block.diagonal().sum().item()
        wrong = block - torch.diag(block.diagonal())
        row, column = divmod(int(wrong.argmax()), len(ids))
        most = (names[ids[row]], names[ids[column]], wrong[row, column].item()) if wrong.max() > 0 else None
        within = wrong.sum().item()
        found[group] = Confusion(tuple(names[i] for i in ids), pixels / total, right, within, most)
    return found


def forgiving_accuracy(counts: Tensor, names: Sequence[str], groups: Mapping[str, tuple[str, ...]] = GROUPS) -> Tensor:
    """Pixel accuracy if every confusion inside a group counted as right.

    Args:
        counts: (classes, classes) int64, row = true id.
        names: class names in id order.
        groups: group name -> class names.

    Returns:
        () float64 in [0, 1], at least the pixel accuracy; NaN when nothing was counted.
    """
    place = {name: i for i, name in enumerate(names)}
    owner = torch.arange(len(names))
    for members in groups.values():
        ids = [place[name] for name in members if name in place]
        owner[ids] = min(ids, default=0)
    kin = owner[:, None] == owner[None, :]
    return counts[kin].sum().double() / counts.sum().double()
