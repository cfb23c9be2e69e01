"""Reading the translation fixtures: weights by the filling rules that their README states, and the comparison."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .fixture_io import Case, uniform
from .places import recorded

GATES = ("gamma", "alpha", "beta", "v")


def load_translation(name: str) -> Case:
    """Read one case of fixtures/translation: stored weights over those that follow from their names."""
    meta, tensors = recorded("translation", name)
    parts: dict[str, dict[str, Tensor]] = {"in": {}, "out": {}, "grad": {}, "after": {}}
    stored: dict[str, dict[str, Tensor]] = {net: {} for net in meta["state_shapes"]}
    for key, tensor in tensors.items():
        head, rest = key.split("/", 1)
        (stored[head.removeprefix("state:")] if head.startswith("state:") else parts[head])[rest] = tensor
    state = {}
    for net, shapes in meta["state_shapes"].items():
        fill, salt = meta["fill"].get(net, ()), f"{meta['salt']}:{net}"
        state[net] = {key: _weight(key, shape, dtype, salt, fill) for key, (shape, dtype) in shapes.items()}
        state[net] |= stored[net]
    return Case(meta, state, parts["in"], parts["out"], parts["grad"], parts["after"])


def check(case: Case, part: str, name: str, got: Tensor | None) -> None:
    """Assert that a tensor of a float64 run equals the recorded one within the case's one tolerance."""
    assert got is not None, f"{part}/{name}: nothing came out"
    want, allowed = getattr(case, part)[name].double(), case.meta["tolerance"]["float64 run"]
    assert got.shape == want.shape, f"{part}/{name}: shape {tuple(got.shape)}, not {tuple(want.shape)}"
    gap = float((got.detach().double() - want).abs().max())
    most = allowed["atol"] + allowed["rtol"] * float(want.abs().max())
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
    elif leaf == "weight" and len(shape) == 1:
        x = 0.8 + 0.4 * u
    else:
        gain = next((g for part, g in fill if (key == part[1:] if part.startswith("=") else part in key)), 1.0)
        x = (2 * u - 1) * (gain * (3.0 / math.prod(shape[1:])) ** 0.5)
    return torch.from_numpy(np.asarray(x).astype(np.float32).reshape(shape))
