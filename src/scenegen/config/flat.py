"""Frozen records in a constructor's signature, filled from keys that stand flat beside the other options.

`loss.cx.h` is a field of the record `matching` of the contextual term: written flat, checked once.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Collection, Mapping
from typing import Any


def flat_records(target: Any, given: Collection[str]) -> dict[str, type]:
    """Parameters of a target that are frozen records and are not given by their own names.

    Args:
        target: a class or function.
        given: names of the arguments that the config or build.py gives.

    Returns:
        Name of the parameter -> its record, whose fields the config gives as keys of the target's own node.
    """
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    asked = {name: hints.get(name) for name in inspect.signature(target).parameters if name not in given}
    return {name: hint for name, hint in asked.items() if inspect.isclass(hint) and _is_frozen_record(hint)}


def gathered(node: Mapping[str, Any], records: Mapping[str, type]) -> dict[str, Any]:
    """A node whose flat keys are gathered into the nodes of its records."""
    rest = dict(node)
    for name, record in records.items():
        fields = {field.name: rest.pop(field.name) for field in dataclasses.fields(record) if field.name in rest}
        rest[name] = {"_target_": f"{record.__module__}.{record.__qualname__}", **fields}
    return rest


def _is_frozen_record(hint: type) -> bool:
    return dataclasses.is_dataclass(hint) and hint.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
