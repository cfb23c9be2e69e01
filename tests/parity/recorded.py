"""Reader of the exemplar families' fixtures, whose weights are stored and whose tolerances are per tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import VGG19_CONVOLUTIONS, vgg

from . import places


def cases(family: str, kind: str) -> list[Any]:
    """Every case of one kind that lies there."""
    return places.cases(family, kind=kind)


@dataclass(frozen=True)
class Recorded:
    """One recorded run of the original.

    Attributes:
        options: what was run; `opt` holds the official options that differ from their defaults.
        tensors: by their full names, in/..., out/..., grad/..., after/..., state/..., after_optim/...
        tolerance: per name of what is to be compared.
        kept: per name of what was not recorded whole, which of its numbers were.
    """

    options: dict[str, Any]
    tensors: dict[str, Tensor]
    tolerance: dict[str, dict[str, Any]]
    kept: dict[str, dict[str, Any]]

    @property
    def opt(self) -> dict[str, Any]:
        return self.options["opt"]

    def double(self) -> Recorded:
        """The case in float64."""
        return replace(
            self, tensors={key: t.double() if t.is_floating_point() else t for key, t in self.tensors.items()}
        )

    def given(self, name: str) -> Tensor:
        return self.tensors[f"in/{name}"]

    def state(self, prefix: str = "") -> dict[str, Tensor]:
        """The stored weights below a prefix, e.g. "G."."""
        start = f"state/{prefix}"
        return {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}

    def names(self, part: str) -> list[str]:
        """Keys to compare of one part, e.g. "grad"."""
        return [key.removeprefix(f"{part}/") for key in self.tolerance if key.startswith(f"{part}/")]

    def check(self, key: str, got: Tensor) -> None:
        """Assert that a tensor equals the recorded one within its stated tolerance."""
        rule, want, kept = self.tolerance[key], self.tensors[key], self.kept.get(key)
        found, want, _ = places.alike(got.reshape(want.shape if kept is None else kept["shape"]), want, kept)
        gap = (found - want).abs()
        if rule.get("type") == "integer":
            share, allowed = (gap > 0).double().mean().item(), rule["max_mismatch_fraction"]
            assert share <= allowed, f"{key}: {share:.3g} of the whole numbers differ, allowed {allowed:.3g}"
            return
        beyond, allowed = (gap > rule["atol"]).double().mean().item(), rule.get("max_fraction_exceeding_atol", 0.0)
        assert beyond <= allowed, (
            f"{key}: off by {gap.max().item():.3g}, allowed {rule['atol']:.3g}; further off: {beyond:.3g} of the values"
        )


def load(family: str, name: str) -> Recorded:
    """Read one case."""
    meta, stored = places.recorded(family, name)
    tensors = {key: t.float() if t.dtype == torch.float16 else t for key, t in stored.items()}
    tolerance = {key: rule for key, rule in meta["tolerance"].items() if key not in meta.get("dropped", [])}
    return Recorded(meta["options"], tensors, tolerance, meta.get("kept", {}))


def caffe_vgg(state: dict[str, Tensor], *, widths: tuple[int, ...]) -> Extractor:
    """The authors' VGG-19 on pictures in [-1, 1]: channels in the order BGR, 0 to 255, without their mean."""
    features, taps = vgg(VGG19_CONVOLUTIONS, pool=lambda _: nn.MaxPool2d(2), widths=widths)
    convolutions = [part for part in features if isinstance(part, nn.Conv2d)]
    names = [f"conv{stage}_{n}" for stage, count in enumerate(VGG19_CONVOLUTIONS, start=1) for n in range(1, count + 1)]
    for conv, name in zip(convolutions, names, strict=True):
        if f"{name}.weight" in state:  # the recorded trunk ends at its deepest tap
            conv.load_state_dict({key: state[f"{name}.{key}"] for key in ("weight", "bias")})
    convolutions[0].weight.data = convolutions[0].weight.data.flip(1)
    mean = (0.48501961, 0.45795686, 0.40760392)
    return Extractor(features, taps=taps, stamp="caffe", mean=mean, std=(1 / 255,) * 3)
