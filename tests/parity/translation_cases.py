"""Reading the fixtures of translation and style: weights by the filling rules of their READMEs, and the comparison."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .fixture_io import Case, uniform
from .places import alike, recorded

GATES = ("gamma", "alpha", "beta", "v")


def load_translation(name: str) -> Case:
    """Read one case of fixtures/translation."""
    return load_filled("translation", name)


def load_filled(family: str, name: str) -> Case:
    """Read one case of a family with this filling: stored weights over those that follow from their names."""
    meta, tensors = recorded(family, name)
    parts: dict[str, dict[str, Tensor]] = {"in": {}, "out": {}, "grad": {}, "after": {}}
    stored: dict[str, dict[str, Tensor]] = {net: {} for net in meta.get("state_shapes", {})}
    for key, tensor in tensors.items():
        head, rest = key.split("/", 1)
        (stored[head.removeprefix("state:")] if head.startswith("state:") else parts[head])[rest] = tensor
    state = {}
    for net, shapes in meta.get("state_shapes", {}).items():
        fill, salt = meta["fill"].get(net, ()), f"{meta['salt']}:{net}"
        state[net] = {key: _weight(key, shape, dtype, salt, fill) for key, (shape, dtype) in shapes.items()}
        state[net] |= stored[net]
    return Case(meta, state, parts["in"], parts["out"], parts["grad"], parts["after"])


def check(case: Case, part: str, name: str, got: Tensor | None) -> None:
    """Assert that a tensor of a float64 run equals the recorded one within the case's one tolerance."""
    assert got is not None, f"{part}/{name}: nothing came out"
    allowed = case.meta["tolerance"]["float64 run"]
    found, want, largest = alike(got, getattr(case, part)[name], case.meta.get("kept", {}).get(f"{part}/{name}"))
    gap, most = float((found - want).abs().max()), allowed["atol"] + allowed["rtol"] * largest
    assert gap <= most, f"{part}/{name}: off by {gap:.3g}, allowed {most:.3g}"


def _weight(key: str, shape: list[int], dtype: str, salt: str, fill: Any) -> Tensor:
    if dtype == "int64":
        return torch.zeros(shape, dtype=torch.int64)
    leaf, u = key.rsplit(".", 1)[-1], uniform(f"{salt}|{key}", math.prod(shape))
    if leaf == "running_mean":
        x = (u - 0.5) * 0.6
    elif leaf == "running_var":
        x = 0.5 + u
    elif leaf == "bias":
        x = (u - 0.5) * 0.2
    elif leaf in GATES:
        x = 0.25 + 0.5 * u
    elif leaf == "temperature":
        x = 0.5 + u
    elif leaf == "weight" and (len(shape) == 1 or (shape[1] > 1 and shape == [1, shape[1], 1, 1])):
        x = 0.8 + 0.4 * u
    else:
        gain = next((g for part, g in fill if (key == part[1:] if part.startswith("=") else part in key)), 1.0)
        x = (2 * u - 1) * (gain * (3.0 / math.prod(shape[1:])) ** 0.5)
    return torch.from_numpy(np.asarray(x).astype(np.float32).reshape(shape))
