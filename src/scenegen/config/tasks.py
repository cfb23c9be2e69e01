"""Task of a training, which its model must fit: task=scene paints pictures, task=segmentation reads label maps."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scenegen.base.refusal import Refusal
from scenegen.config.places import conf_folder

USUAL = "scene"
"""Task of models whose option names none."""

_NAMED = re.compile(r"^  - override /task: (\w+)", re.MULTILINE)
_BASE = re.compile(r"^  - (?!_self_)(\w+)$", re.MULTILINE)
"""Option of the same group that an option builds on, whose task is its own."""


def task_of(model: str) -> str | None:
    """Task that an option of model= is for; None for one of --config-dir, whose defaults list sets what it wants."""
    file = conf_folder() / "model" / f"{model}.yaml"
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8")
    if named := _NAMED.search(text):
        return named[1]
    base = _BASE.search(text)
    return task_of(base[1]) if base else USUAL


def require_task(choices: Mapping[str, str | None]) -> None:
    """Refuse a model that does not do the chosen task.

    Args:
        choices: group -> option of a command line.

    Raises:
        Refusal: with the models of the task.
    """
    model, task = choices.get("model"), choices.get("task")
    if not model or not task or task_of(model) in (None, task):
        return
    fitting = sorted(path.stem for path in (conf_folder() / "model").glob("*.yaml") if task_of(path.stem) == task)
    raise Refusal(
        f"task={task} does not go with model={model}, which is for task={task_of(model)}; leave task= out, or choose "
        f"model= of {', '.join(fitting)}"
    )
