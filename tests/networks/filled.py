"""Parts of a synthesis that a model filled, by the names of its offers."""

from __future__ import annotations

from scenegen.base.records import Synthesis

PARTS = ("posterior", "warp", "cycle", "branches")


def filled(made: Synthesis) -> set[str]:
    """Paths as in `SceneModel.offers`: "posterior.mu", "warp.label"; "warp" stands for its warped pictures."""
    found = set()
    for part in PARTS:
        record = getattr(made, part)
        there = {} if record is None else vars(record)
        found |= {f"{part}.{name}" for name, value in there.items() if value is not None}
    whole = {name for name in ("coarse", "logits") if getattr(made, name) is not None}
    return {path.removesuffix(".warped") for path in found} | whole
