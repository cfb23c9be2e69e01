"""One recorded run: NAME.json says what was run, NAME.safetensors holds the numbers.

Tensors are named in/..., out/..., grad/..., after/..., and state/... or state:NET/... where weights are stored;
otherwise the weights are procedural: drawn from their own names, so that wide networks need no big file.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .places import alike, recorded

Shapes = Mapping[str, tuple[list[int], str]]
POWER_STEPS = 8
GAINS = {
    "mlp_gamma": 0.5,
    "mlp_beta": 0.5,
    "mlp_shared": 2.0,
    "conv_img": 0.3,
    "fc_mu": 0.7,
    "fc_var": 0.3,
    "features.": 1.4142135,
}


@dataclass(frozen=True)
class Case:
    """One recorded run of the original: what went in, with which weights, and what came out."""

    meta: dict[str, Any]
    state: dict[str, dict[str, Tensor]]
    given: dict[str, Tensor] = field(default_factory=dict)
    out: dict[str, Tensor] = field(default_factory=dict)
    grad: dict[str, Tensor] = field(default_factory=dict)
    after: dict[str, Tensor] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        return self.meta["options"]

    def tolerance(self, part: str, dtype: torch.dtype) -> tuple[float, float]:
        """(atol, rtol of the largest expected value) for "out", "grad" or "after"."""
        run = "float64 run" if dtype == torch.float64 else "float32 run"
        row = self.meta["tolerance"][run][part]
        return row["atol"], row["rtol"]

    def check(self, part: str, name: str, got: Tensor | None, dtype: torch.dtype) -> None:
        """Assert that a tensor equals the recorded one within the stated tolerance."""
        assert got is not None, f"{part}/{name}: nothing came out"
        want = getattr(self, part)[name]
        found, want, largest = alike(got, want, self.meta.get("kept", {}).get(f"{part}/{name}"))
        atol, rtol = self.tolerance(part, dtype)
        gap, allowed = (found - want).abs().max().item(), atol + rtol * largest
        assert gap <= allowed, f"{part}/{name}: off by {gap:.3g}, allowed {allowed:.3g}"


def load_case(family: str, name: str) -> Case:
    """Read one case of gaugan, sasame or oasis."""
    meta, tensors = recorded(family, name)
    shapes = meta.get("state_shapes", {})
    parts: dict[str, dict[str, Tensor]] = {"in": {}, "out": {}, "grad": {}, "after": {}}
    stored: dict[str, dict[str, Tensor]] = {net: {} for net in shapes}
    for key, tensor in tensors.items():
        head, rest = key.split("/", 1)
        if head.startswith("state"):
            net = head.removeprefix("state").removeprefix(":") or next(iter(shapes))
            stored[net][rest] = tensor.float() if tensor.is_floating_point() else tensor
        else:
            parts[head][rest] = tensor
    state = {
        net: {key: stored[net][key] for key in rows}
        if stored[net]
        else procedural_state(rows, salt=f"{meta['salt']}:{net}")
        for net, rows in shapes.items()
    }
    return Case(meta, state, parts["in"], parts["out"], parts["grad"], parts["after"])


def procedural_state(shapes: Shapes, *, salt: str) -> dict[str, Tensor]:
    """The weights that follow from their own names; u and v are power-iterated to near convergence."""
    state = {
        key: _weight(key, tuple(shape), dtype, salt)
        for key, (shape, dtype) in shapes.items()
        if not key.endswith(("weight_u", "weight_v"))
    }
    for key in shapes:
        if key.endswith("weight_u"):
            base = key.removesuffix("weight_u")
            state[key], state[base + "weight_v"] = _singular_vectors(state[base + "weight_orig"], base, salt)
    return {key: state[key] for key in shapes}


def uniform(name: str, count: int) -> np.ndarray:
    """`count` numbers in [0, 1), multiples of 2**-24: splitmix64 over a counter keyed by the name."""
    golden = 0x9E3779B97F4A7C15
    base = np.uint64(zlib.crc32(name.encode()) * golden % 2**64)
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(golden) + base
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def _weight(key: str, shape: tuple[int, ...], dtype: str, salt: str) -> Tensor:
    if dtype == "int64":
        return torch.zeros(shape, dtype=torch.int64)
    u = uniform(f"{salt}|{key}", math.prod(shape))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "running_mean":
        x = (u - 0.5) * 0.6
    elif leaf == "running_var":
        x = 0.5 + u
    elif leaf == "bias":
        x = (u - 0.5) * 0.2
    else:
        gain = next((value for part, value in GAINS.items() if part in key), 1.0)
        x = (2 * u - 1) * (gain * (3.0 / math.prod(shape[1:])) ** 0.5)
    return torch.from_numpy(x.astype(np.float32).reshape(shape))


def _singular_vectors(weight: Tensor, base: str, salt: str) -> tuple[Tensor, Tensor]:
    matrix = weight.numpy().astype(np.float64).reshape(len(weight), -1)
    v = uniform(f"{salt}|{base}weight_v", matrix.shape[1]) - 0.5
    v /= np.linalg.norm(v)
    u = matrix @ v
    for _ in range(POWER_STEPS):
        u = matrix @ v
        u /= np.linalg.norm(u)
        v = matrix.T @ u
        v /= np.linalg.norm(v)
    return torch.from_numpy(u.astype(np.float32)), torch.from_numpy(v.astype(np.float32))
