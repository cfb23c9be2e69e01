"""Tags of a run: words by which trackers and reports find it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tags_of(config: Mapping[str, Any]) -> list[str]:
    """Model, active loss terms and data of a config."""
    named = [str(config[group]["_target_"]).rpartition(".")[2].lower() for group in ("model", "data")]
    terms = [name for name, node in config["loss"].items() if node.get("weight")]
    return [named[0], *sorted(terms), named[1]]
