"""Posts of a checked config; those by a trained run have it opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.opened import open_run


def posts(config: Mapping[str, Any]) -> list[Any]:
    """The posts in their order.

    Raises:
        Refusal: a run that is not there, or whose model reads more than a picture.
    """
    return [_post(name, node) for name, node in (config.get("post") or {}).items()]


def _post(name: str, node: Mapping[str, Any]) -> Any:
    if "run" not in node:
        return build.make(node)
    try:
        run = open_run(node["run"])
        return build.make(node, offered={"model": run.model, "step": run.step})
    except Refusal as refusal:
        raise Refusal(f"post.{name}.run={node['run']}: {refusal}") from refusal
