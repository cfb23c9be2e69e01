"""Reading fixtures whose weights follow from their names, second names and spectral vectors included."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .fixture_io import Case, uniform
from .places import alike, recorded

GATES = ("gamma", "alpha", "beta", "v")
POWER_STEPS = 300


def load_filled(family: str, name: str) -> Case:
    """Read one case: stored weights over those that follow from their names, second names beside the first."""
    meta, tensors = recorded(family, name)
    parts: dict[str, dict[str, Tensor]] = {"in": {}, "out": {}, "grad": {}, "after": {}}
    stored: dict[str, dict[str, Tensor]] = {net: {} for net in meta.get("state_shapes", {})}
    for key, tensor in tensors.items():
        head, rest = key.split("/", 1)
        (stored[head.removeprefix("state:")] if head.startswith("state:") else parts[head])[rest] = tensor
    state = {}
    for net, shapes in meta.get("state_shapes", {}).items():
        found = _weights(shapes, f"{meta['salt']}:{net}", meta.get("fill", {}).get(net, ())) | stored[net]
        state[net] = found | {other: found[key] for other, key in meta.get("aliases", {}).get(net, {}).items()}
    return Case(meta, state, parts["in"], parts["out"], parts["grad"], parts["after"])


def check(case: Case, part: str, name: str, got: Tensor | None, *, every: int = 1) -> None:
    """Assert that a tensor of a float64 run equals the recorded one within the case's one tolerance.

    Args:
        case, part, name: of the recorded tensor.
        got: what was computed, whole.
        every: rows and columns of which the case keeps one.
    """
    assert got is not None, f"{part}/{name}: nothing came out"
    got = got[..., ::every, ::every] if every > 1 else got
    kept = case.meta.get("kept", {}).get(f"{part}/{name}")
    found, want, largest = alike(got, getattr(case, part)[name], kept)
    allowed = case.meta["tolerance"]["float64 run"]
    gap, most = float((found - want).abs().max()), allowed["atol"] + allowed["rtol"] * largest
    assert gap <= most, f"{part}/{name}: off by {gap:.3g}, allowed {most:.3g}"


def assert_first_round(case: Case, grads: dict[str, Tensor], after: dict[str, Tensor], places: dict[str, str]) -> None:
    """Assert that gradients and weights of a training's first round equal the recorded ones.

    Args:
        case: records "grad" and "after" under LETTER/parameter.
        grads, after: by parameter of the module.
        places: letter of a network -> its place in the module.
    """
    assert case.grad, "the case records gradients"
    assert case.after, "and weights"
    for key in case.after:
        letter, parameter = key.split("/", 1)
        check(case, "after", key, after[f"{places[letter]}.{parameter}"])
    for key in case.grad:
        letter, parameter = key.split("/", 1)
        found = grads.get(f"{places[letter]}.{parameter}")
        check(case, "grad", key, torch.zeros_like(case.grad[key]).double() if found is None else found)


def _weights(shapes: dict[str, Any], salt: str, fill: Any) -> dict[str, Tensor]:
    vectors = ("weight_u", "weight_v")
    found = {
        key: _weight(key, shape, dtype, salt, fill)
        for key, (shape, dtype) in shapes.items()
        if not key.endswith(vectors)
    }
    for key in [key for key in shapes if key.endswith("weight_u")]:
        base = key.removesuffix("weight_u")
        weight = next(found[base + leaf] for leaf in ("weight_orig", "weight_bar") if base + leaf in found)
        matrix = weight.double().numpy().reshape(weight.shape[0], -1)
        v = uniform(f"{salt}|{base}weight_v", matrix.shape[1]) - 0.5
        u = v
        for _ in range(POWER_STEPS):
            u = matrix @ (v / np.sqrt((v * v).sum()))
            u /= np.sqrt((u * u).sum())
            v = matrix.T @ u
        v /= np.sqrt((v * v).sum())
        found |= {base + leaf: torch.from_numpy(x.astype(np.float32)) for leaf, x in (("weight_u", u), ("weight_v", v))}
    return found


def _weight(key: str, shape: list[int], dtype: str, salt: str, fill: Any) -> Tensor:
    if dtype == "int64":
        return torch.zeros(shape, dtype=torch.int64)
    leaf, u = key.rsplit(".", 1)[-1], np.asarray(uniform(f"{salt}|{key}", math.prod(shape)))
    per_channel = len(shape) == 1 or (len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1 and shape[1] > 1)
    if leaf == "running_mean":
        x = (u - 0.5) * 0.6
    elif leaf in ("running_var", "temperature"):
        x = 0.5 + u
    elif leaf == "bias":
        x = (u - 0.5) * 0.2
    elif leaf in GATES:
        x = 0.25 + 0.5 * u
    elif leaf == "weight" and per_channel:
        x = 0.8 + 0.4 * u
    else:
        gain = next((g for part, g in fill if (key == part[1:] if part.startswith("=") else part in key)), 1.0)
        if gain == "ones":
            x = np.ones_like(u)
        elif gain == "positive":
            x = 0.5 + u
        else:
            x = (2 * u - 1) * (gain * (3.0 / math.prod(shape[1:])) ** 0.5)
    return torch.from_numpy(x.astype(np.float32).reshape(shape))
