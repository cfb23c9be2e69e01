"""Training tricks against fixtures/losses and fixtures/translation."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenegen.base.records import Batch
from scenegen.training.tricks.accumulate import Accumulate, in_turn
from scenegen.training.tricks.diffaugment import Draws, augment

from .fixture_io import uniform
from .losses_cases import close, load
from .places import recorded

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


def patchgan(norm: str) -> nn.Module:
    """The fixture's discriminator: width 4, four groups and a score, keys `model.0` to `model.11`."""
    widths = [3, 4, 8, 16, 32]
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(widths)):
        layers.append(nn.Conv2d(a, b, 4, stride=1 if i == 3 else 2, padding=1, bias=norm == "instance" or not i))
        if i:
            layers.append(nn.InstanceNorm2d(b) if norm == "instance" else nn.BatchNorm2d(b))
        layers.append(nn.LeakyReLU(0.2))
    return nn.ModuleDict({"model": nn.Sequential(*layers, nn.Conv2d(32, 1, 4, padding=1))})


def filled(shapes: dict, *, salt: str, gain: float) -> dict[str, Tensor]:
    """Weights that follow from their names, by the rules of fixtures/translation."""
    state = {}
    for key, (shape, dtype) in shapes.items():
        u = uniform(f"{salt}|{key}", math.prod(shape))
        leaf = key.rsplit(".", 1)[-1]
        rules = {"bias": (u - 0.5) * 0.2, "running_mean": (u - 0.5) * 0.6, "running_var": 0.5 + u}
        weight = 0.8 + 0.4 * u if len(shape) < 2 else (2 * u - 1) * (gain * (3.0 / math.prod(shape[1:])) ** 0.5)
        value = torch.from_numpy(rules.get(leaf, weight)).float().reshape(shape)
        state[key] = torch.zeros(shape, dtype=torch.int64) if dtype == "int64" else value
    return state


@pytest.mark.shared
@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("parts", [1, 2])
def test_accumulation(norm: str, parts: int) -> None:
    """One batch of 4, whole and in 2 parts; a batch norm sees a part, and its running statistics move once for each."""
    meta, tensors = recorded("translation", f"gradient_accumulation_{norm}_norm")
    net = patchgan(norm)
    salt, fill = f"{meta['salt']}:D", meta["fill"]["D"]
    assert fill == [["model", 1.5]]
    net.load_state_dict(filled(meta["state_shapes"]["D"], salt=salt, gain=1.5))
    net.double()
    judge = net.get_submodule("model")
    total = 0.0
    batch = Batch(image=tensors["in/real"], source=tensors["in/fake"])
    for part in in_turn(Accumulate(parts=parts, samples=4).split(batch), [net]):
        real, fake = part.batch.require("image").double(), part.batch.require("source").double()
        loss = (F.relu(1 - judge(real)).mean() + F.relu(1 + judge(fake)).mean()) / part.of
        loss.backward()
        total += loss.item()
    kind = "full" if parts == 1 or norm == "instance" else "accumulated"
    assert total == pytest.approx(float(tensors[f"out/{'full' if parts == 1 else 'accumulated'}/loss"]), rel=1e-6)
    compared = 0
    for key, want in tensors.items():
        part, found, name = (*key.split("/", 2), "")[:3]
        if part in ("grad", "after") and found == kind:
            got = net.get_parameter(name).grad if part == "grad" else net.get_buffer(name)
            assert got is not None
            gap, allowed = (got.double() - want.double()).abs().max(), 1e-10 + 1e-6 * want.abs().max()
            assert gap <= allowed, f"{key}: off by {gap:.3g}, allowed {allowed:.3g}"
            compared += 1
    assert compared > 5
