"""A run passed on: its config, its classes, a card, and the weights to sample with as one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from scenegen.base import halves
from scenegen.base.refusal import Refusal
from scenegen.runs.folder import HOME, SHIPPED, WEIGHTS

KIND = halves.Kind("scenegen.run/1", "a run's weights", "scenegen.export run=NAME out=FOLDER", largest=2 << 30)
"""Published widths have up to 140 million numbers, a fourth of the limit as floats."""


def write(
    folder: Path, state: Mapping[str, Tensor], *, step: int, facts: Mapping[str, str], precision: torch.dtype
) -> Path:
    """Write the weights of a run.

    Args:
        folder: of the released run.
        state: the state dict of the model; counters (integers) are left out.
        step: at which the run was.
        facts: further entries of the file's header.
        precision: of the numbers in the file.

    Returns:
        The file.

    Raises:
        Refusal: weights that are not finite in this precision, or a disk that takes no more.
    """
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    header = {**facts, "step": str(step)}
    return halves.write(floats, folder / WEIGHTS, kind=KIND, header=header, precision=precision)


def read(folder: Path) -> tuple[dict[str, Tensor], int]:
    """Weights of a released run as float32, and their step.

    Raises:
        Refusal: a file that is damaged or of another kind.
    """
    file = halves.read(folder / WEIGHTS, kind=KIND)
    step = file.header.get("step", "")
    if not step.isdecimal() or len(step) > 10:
        raise Refusal(f"the header of {file.path} gives no step; it is damaged, export the run anew")
    return file.tensors, int(step)


def is_released(folder: Path) -> bool:
    """True for a run that was passed on: it has the file of its weights in place of checkpoints."""
    return (folder / WEIGHTS).is_file()


def home_of(folder: Path) -> Path:
    """Folder for what is made with a run: its own, or one of its name in runs/ for a run that came with the package."""
    return HOME / folder.name if folder.parent == SHIPPED else folder
