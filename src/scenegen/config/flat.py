"""Frozen records in a constructor's signature, filled from plain keys of the config and checked once.

The keys stand flat beside the other options (`loss.cx.h` is a field of the record `matching` of the contextual term),
or below the parameter's own name, as a mapping.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any


@functools.cache
def hints_of(target: Any) -> Mapping[str, Any]:
    """Types of the arguments of a class or function, and of what it returns."""
    return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)


@functools.cache
def parameters_of(target: Any) -> Mapping[str, inspect.Parameter]:
    """Parameters of a class or function, in order."""
    return inspect.signature(target).parameters


def flat_records(target: Any, given: Collection[str]) -> dict[str, type]:
    """Parameters of a target that are frozen records and are not given by their own names.

    Args:
        target: a class or function.
        given: names of the arguments that the config or build.py gives.

    Returns:
        Name of the parameter -> its record, whose fields the config gives as keys of the target's own node.
    """
    hints = hints_of(target)
    asked = {name: hints.get(name) for name in parameters_of(target) if name not in given}
    return {name: hint for name, hint in asked.items() if inspect.isclass(hint) and _is_frozen_record(hint)}


def named_records(target: Any, node: Mapping[str, Any]) -> dict[str, type]:
    """Parameters of a target that are frozen records and are given as plain mappings, without a `_target_`."""
    plain = {key for key, value in node.items() if isinstance(value, Mapping) and "_target_" not in value}
    return {
        name: hint
        for name, hint in hints_of(target).items()
        if name in plain and inspect.isclass(hint) and _is_frozen_record(hint)
    }


def filled(target: Any, node: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """A node whose records are nodes of their own, with the `_target_` that builds each.

    Args:
        target: the class or function that the node names.
        node: the node.
        given: names of the arguments that build.py gives.
    """
    below = {name: {**node[name], "_target_": _dotted(record)} for name, record in named_records(target, node).items()}
    return gathered({**node, **below}, flat_records(target, given={*node, *given}))


def gathered(node: Mapping[str, Any], records: Mapping[str, type]) -> dict[str, Any]:
    """A node whose flat keys are gathered into the nodes of its records."""
    rest = dict(node)
    for name, record in records.items():
        fields = {field.name: rest.pop(field.name) for field in dataclasses.fields(record) if field.name in rest}
        rest[name] = {"_target_": _dotted(record), **fields}
    return rest


def leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every value of a config that is no mapping."""
    for key, value in node.items():
        place = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from leaves(value, place)
        else:
            yield place, value


def _dotted(record: type) -> str:
    return f"{record.__module__}.{record.__qualname__}"


def _is_frozen_record(hint: type) -> bool:
    return dataclasses.is_dataclass(hint) and hint.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
