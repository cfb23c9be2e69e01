"""Reading the loss fixtures: tensors by name, the stored comparison, and the hash fill of specs/losses.md 0.3."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Synthesis
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Evidence

from .places import alike, recorded


def load(case: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of one case; inputs are leaves that want gradients."""
    about, tensors = recorded("losses", case)
    for name, tensor in tensors.items():
        if name.startswith("in.") and tensor.is_floating_point():
            tensors[name] = tensor.float().requires_grad_()
    return tensors, about


def close(got: Tensor, name: str, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """|got - want| <= atol + rtol max(|want|, 0.05 max |want|), element by element."""
    found, want, largest = alike(got, tensors[name], about.get("kept", {}).get(name))
    allowed = about["atol"] + about["rtol"] * want.abs().clamp(min=0.05 * largest)
    gap = (found - want).abs()
    assert (gap - allowed).max() <= 0, f"{name}: off by {gap.max():.3g} where {allowed.min():.3g} is allowed"


def check(value: Tensor, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Compare a result and all the gradients that the case holds."""
    close(value, "out.value", tensors, about)
    value.backward()
    for name in tensors:
        if name.startswith("grad."):
            leaf = tensors["in." + name.removeprefix("grad.")]
            close(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad, name, tensors, about)


def judged(fake: Judgement, real: Judgement) -> Evidence:
    """The evidence of a step of which only the discriminator's judgements matter."""
    picture = torch.zeros(1, 3, 1, 1)
    batch = Batch(label=torch.zeros(1, 1, 1, dtype=torch.long), image=picture)
    return Evidence(batch, Synthesis(image=picture), fake, real, FeatureBank({}, []).open({}))


def hash_uniform(k: int, count: int) -> np.ndarray:
    """`count` numbers in [0, 1) of stream k."""
    i = np.arange(count, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    z = (i * np.uint64(2654435761) + np.uint64((k * 2246822519 + 374761393) & 0xFFFFFFFF)) & mask
    z ^= z >> np.uint64(15)
    z = (z * np.uint64(2246822519)) & mask
    z ^= z >> np.uint64(13)
    z = (z * np.uint64(3266489917)) & mask
    z ^= z >> np.uint64(16)
    return (z >> np.uint64(8)).astype(np.float64) / 2**24


def hash_fill(network: nn.Module) -> None:
    """Fill a network's parameters, in order, with the streams 0, 1, 2, ..."""
    for k, parameter in enumerate(network.parameters()):
        u = 2 * hash_uniform(k, parameter.numel()) - 1
        scale = 0.05 if parameter.dim() == 1 else np.sqrt(6 / np.prod(parameter.shape[1:]))
        parameter.data = torch.from_numpy((u * scale).astype(np.float32)).view(parameter.shape)
