"""Config and options that a run's result was made with, whatever its folder was told afterwards."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenegen.base.console import printable
from scenegen.runs.record import ABSENT, Resume, read_record


@dataclass(frozen=True)
class MadeWith:
    """Origin of a result.

    Attributes:
        config: of the run when the result was made.
        choices: overrides of the run's start and of its resumes until then.
        apart: what no other run of this config has; runs of one recipe agree in it.
        way: sentences on options that changed on the way.
    """

    config: Mapping[str, Any]
    choices: list[str]
    apart: tuple[str, ...]
    way: tuple[str, ...]


def made_with(folder: Path, config: Mapping[str, Any], *, digest: str | None) -> MadeWith:
    """Origin of a run's result.

    Args:
        folder: the run's folder.
        config: of the run as it is now.
        digest: of the config in result.json; None in a result that keeps none.
    """
    record = read_record(folder)
    then = record if digest in (None, record.config) or not record.config else record.until(str(digest))
    if then is None:
        said = (
            f"{folder.name}: made with a config ({digest}) that its folder does not record; resume it to score it anew"
        )
        return MadeWith(config, record.choices, (f"result of {digest}",), (_line(said),))
    way = tuple(_line(f"{folder.name}: {change}") for change in then.way)
    if later := record.resumes[len(then.resumes) :]:
        way += (_line(f"{folder.name}: the result is from before the run went on ({_later(later)})"),)
    return MadeWith(_before(config, later), then.choices, tuple(then.course), way)


def _before(config: Mapping[str, Any], later: list[Resume]) -> Mapping[str, Any]:
    """A config without the changes of some resumes."""
    tree = copy.deepcopy(dict(config))
    for resume in reversed(later):
        for change in resume.changes:
            *way, key = change.key.split(".")
            node: Any = tree
            for step in way:
                node = node.setdefault(step, {}) if isinstance(node, dict) else None
            if not isinstance(node, dict):
                continue  # a record that another hand wrote
            if change.was == ABSENT:
                node.pop(key, None)
            else:
                node[key] = change.was
    return tree


def _line(text: str) -> str:
    return printable(text).replace("\n", " ")


def _later(resumes: list[Resume]) -> str:
    changes = [f"{change.key} {change.was} -> {change.now}" for resume in resumes for change in resume.changes]
    return ", ".join(changes) or "with the same options"
