"""Training tricks against fixtures/losses."""

from __future__ import annotations

import pytest
import torch

from scenegen.training.tricks.diffaugment import Draws, augment

from .losses_cases import close, load

POLICIES = {
    "color": ("color",),
    "translation": ("translation",),
    "cutout": ("cutout",),
    "color_translation_cutout": ("color", "translation", "cutout"),
}


@pytest.mark.parametrize("case", POLICIES)
def test_diffaugment(case: str) -> None:
    tensors, about = load(f"diffaug_{case}")
    found = {name.split("_", 1)[1]: tensor for name, tensor in tensors.items() if name.startswith("draw.")}
    pairs = {name: torch.stack([found.pop(f"{kind}_h"), found.pop(f"{kind}_w")], dim=1)
             for name, kind in (("shift", "shift"), ("centre", "offset")) if f"{kind}_h" in found}  # fmt: skip
    assert about["options"]["policy"].split(",") == list(POLICIES[case])
    y = augment(tensors["in.x"], Draws(**found, **pairs), POLICIES[case])
    close(y, "out.y", tensors, about)
    (grad,) = torch.autograd.grad(y, tensors["in.x"], tensors["in.cotangent"])
    close(grad, "grad.x", tensors, about)
