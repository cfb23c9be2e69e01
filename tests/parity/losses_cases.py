"""Reading the loss fixtures: tensors by name, the stored comparison, and the hash fill of specs/losses.md 0.3."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Synthesis
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Evidence


def load(folder: Path, case: str) -> tuple[dict[str, Tensor], dict]:
    """Tensors and description of one case; inputs are leaves that want gradients."""
    tensors = load_file(folder / f"{case}.safetensors")
    for name, tensor in tensors.items():
        if name.startswith("in.") and tensor.is_floating_point():
            tensors[name] = tensor.float().requires_grad_()
    return tensors, json.loads((folder / f"{case}.json").read_text())


def close(got: Tensor, want: Tensor, about: dict) -> None:
    """|got - want| <= atol + rtol max(|want|, 0.05 max |want|), element by element."""
    got, want = got.detach().double(), want.double()
    assert got.shape == want.shape
    allowed = about["atol"] + about["rtol"] * torch.maximum(want.abs(), 0.05 * want.abs().max())
    excess = (got - want).abs() - allowed
    assert excess.max() <= 0, f"off by {(got - want).abs().max():.3g} where {allowed.min():.3g} is allowed"


def check(value: Tensor, tensors: dict[str, Tensor], about: dict) -> None:
    """Compare a result and all the gradients that the case holds."""
    close(value, tensors["out.value"], about)
    value.backward()
    for name, want in tensors.items():
        if name.startswith("grad."):
            leaf = tensors["in." + name.removeprefix("grad.")]
            close(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad, want, about)


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
