"""Ranges of the numbers whose extremes cost memory or end in an error far from their cause."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

BOUNDS: dict[str, tuple[float, float]] = {
    "size.height": (1, 16384),
    "size.width": (1, 16384),
    "width.ngf": (1, 4096),
    "width.ndf": (1, 4096),
    "width.hidden": (1, 4096),
    "model.latent": (1, 65536),
    "discriminator.layers": (1, 10),
    "discriminator.scales": (1, 10),
    "data.cache_mib": (0, 1 << 30),
    "data.world": (0, (1 << 63) - 1),
    "optim.eps": (0, 1),
    "optim.eps_generator": (0, 1),
    "optim.lr_generator": (0, 10**30),
    "optim.lr_discriminator": (0, 10**30),
    "batch_size": (1, 1 << 20),
    "seed": (0, (1 << 63) - 1),
    "steps": (1, 10**12),
    "init_gain": (0, 1000),
    "trainer.devices": (1, 4096),
    "trainer.nodes": (1, 4096),
    "trainer.workers": (0, 1024),
}
"""Path of a number -> its least and greatest value, both allowed."""


def bound_faults(tree: dict[str, Any]) -> Iterator[str]:
    """Numbers of a config that are not finite, or outside BOUNDS.

    Args:
        tree: the config as plain containers.
    """
    for path, value in _numbers(tree, ""):
        if not math.isfinite(value):
            if not (path.startswith("loss.") and path.endswith(".weight")):  # has a sentence of its own
                yield f"{path}={value} is not finite; give a finite number"
        elif path in BOUNDS and not BOUNDS[path][0] <= value <= BOUNDS[path][1]:
            least, most = BOUNDS[path]
            yield f"{path}={value} is out of its range, {_spelt(least)} to {_spelt(most)}"


def _numbers(node: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _numbers(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _numbers(value, f"{path}.{i}")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield path, node


def _spelt(value: float) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) and value < 10**6 else str(value)
