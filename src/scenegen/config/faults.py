"""Faults of a config, all of them at once, each with its config path, its value and the cure.

Every mapping with a `_target_` is compared with the signature of what it names, every group of plain options
with its record: unknown keys, missing ones and wrong types. Nothing is built, read or downloaded here.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import difflib
import importlib
import math
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

from scenegen.base.refusal import Refusal
from scenegen.config.bounds import bound_faults
from scenegen.config.flat import flat_records, hints_of, named_records, parameters_of
from scenegen.config.groups import COMMON, GROUPS, kept_at, supplied_at
from scenegen.config.kinds import kind_faults
from scenegen.config.moved import moved_sentence
from scenegen.config.synonyms import key_hint
from scenegen.config.targets import faults_of_names, is_offered, mappings


def faults_of(tree: dict[str, Any], settings: type | None) -> list[str]:
    """Every fault of a resolved config, in sentences.

    Args:
        tree: the config as plain containers.
        settings: a dataclass that names and types the scalars at its root, or None.
    """
    found = [*_root_faults(tree, settings), *_faults(tree)]
    named = {fault.partition("=")[0] for fault in found}
    return [*found, *(fault for fault in bound_faults(tree) if fault.partition("=")[0] not in named)]


def gathered(faults: list[str]) -> list[str]:
    """The faults, those that differ in their path alone in one line with their number."""
    alike: dict[str, list[str]] = {}
    for fault in faults:
        alike.setdefault(_PATH.sub("", fault, count=1), []).append(fault)
    return [first + (f" (and {len(more)} more like it)" if more else "") for first, *more in alike.values()]


_PATH = re.compile(r"^[\w.-]+\.")


def _root_faults(tree: dict[str, Any], settings: type | None) -> Iterator[str]:
    if settings is None:
        return
    hints = typing.get_type_hints(settings)
    known = {*hints, *GROUPS, *COMMON}
    yield from (_unknown(key, key, sorted(known)) for key in tree if key not in known)
    wrong = list(_record_faults("", {name: tree.get(name) for name in hints}, settings))
    yield from wrong
    if not wrong and "???" not in (tree.get(name) for name in hints):
        try:
            settings(**{name: tree[name] for name in hints})
        except Refusal as refusal:
            yield str(refusal)


def _record_faults(place: str, node: dict[str, Any], record: type) -> Iterator[str]:
    """Unknown keys, missing keys and wrong types of a mapping that a dataclass describes."""
    hints = typing.get_type_hints(record)
    for key, value in node.items():
        path = f"{place}.{key}" if place else key
        if key not in hints:
            yield _unknown(path, key, list(hints))
        elif value != "???" and not accepts(hints[key], value):
            yield f"{path}={_written(value)} should be {_spell(hints[key])}{_whole(hints[key], value)}"
    needed = [f.name for f in dataclasses.fields(record) if f.default is f.default_factory is dataclasses.MISSING]
    yield from (f"{place}.{key} is missing; write {place}.{key}=..." for key in needed if key not in node)


def _whole(annotation: Any, value: Any) -> str:
    """The whole number that a float such as 1e3 means, where one is asked for."""
    means_one = (
        isinstance(value, float) and value.is_integer() and abs(value) < 2**53 and accepts(annotation, int(value))
    )
    return f"; write {int(value)}" if means_one else ""


def _unknown(path: str, key: str, known: list[str]) -> str:
    if moved := moved_sentence(path):
        return moved
    close = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    if here := key_hint(path, [*known, *GROUPS]):
        hint = f"here it is {here}; "
    return f"{path} is unknown; {hint}known here: {', '.join(known)}"


def _faults(tree: dict[str, Any]) -> Iterator[str]:
    yield from _missing(tree, "")
    for term, node in (tree.get("loss") or {}).items():
        yield from _weight_faults(f"loss.{term}", node if isinstance(node, dict) else {})
    for role, node in (tree.get("measure") or {}).items():
        if not (isinstance(node, dict) and "_target_" in node):
            yield f"measure.{role} is no measure (it has no _target_); remove it or choose an option of measure="
    for name, group in GROUPS.items():
        if group.record is not None and isinstance(tree.get(name), dict):
            yield from _record_faults(name, tree[name], group.record)
        if group.slots is not None and isinstance(tree.get(name), dict):
            strange = [key for key in tree[name] if key not in group.slots]
            yield from (_unknown(f"{name}.{key}", key, list(group.slots)) for key in strange)
    yield from kind_faults(tree)
    yield from faults_of_names(tree)
    for path, node in mappings(tree, ""):
        if "_target_" in node and is_offered(node["_target_"]):
            yield from _target_faults(path, dict(node))


def _missing(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _missing(value, f"{path}.{key}" if path else str(key))
    elif node == "???":
        yield f"{path} is not set; give it as {path}=..."


def _weight_faults(path: str, node: dict[str, Any]) -> Iterator[str]:
    if "_target_" not in node:
        yield f"{path} is no loss term (it has no _target_); remove it or choose an option of loss="
        return
    weight = node.get("weight")
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        yield f"{path}.weight={weight!r} is not a number; give one of 0 or more (0 removes the term)"
    elif math.isnan(weight) or math.isinf(weight) or weight < 0:
        yield f"{path}.weight={weight} must be a finite number of 0 or more (0 removes the term)"
    schedule = node.get("schedule")
    if schedule is not None and not (isinstance(schedule, dict) and "_target_" in schedule):
        yield (
            f"{path}.schedule={schedule!r} is no schedule; give null, or e.g. "
            "{_target_: scenegen.losses.schedule.Steps, values: {0: 10, 35000: 2.5}}"
        )


def _target_faults(path: str, node: dict[str, Any]) -> Iterator[str]:
    target = _locate(node["_target_"])
    if target is None:
        yield f"{path}._target_={node['_target_']} names nothing that can be imported"
        return
    parameters = dict(parameters_of(target))
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = dict(hints_of(target))
    supplied = supplied_at(path)
    for name, record in flat_records(target, given={*node, *supplied}).items():
        del parameters[name]
        parameters |= parameters_of(record)
        hints |= typing.get_type_hints(record)
    for name, record in named_records(target, node).items():
        yield from _record_faults(f"{path}.{name}", node[name], record)
    given = {key: value for key, value in node.items() if key not in {"_target_", *kept_at(path)}}
    for key, value in given.items():
        if key not in parameters:
            if not takes_any:
                yield _unknown(f"{path}.{key}", key, [name for name in parameters if name not in supplied])
        elif value != "???" and key in hints and not accepts(hints[key], value):
            yield f"{path}.{key}={_written(value)} should be {_spell(hints[key])}"
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and name not in given and name not in supplied:
            yield f"{path}.{name} is missing; {_short(node['_target_'])} needs it"


def _locate(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def accepts(annotation: Any, value: Any) -> bool:
    """True where a value from a YAML file fits a type annotation; unknown kinds of annotations accept anything."""
    if isinstance(value, dict) and "_target_" in value:
        return True  # it becomes an object, whose own arguments are checked where it stands
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(accepts(argument, value) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if annotation in (None, type(None)):
        return value is None
    if annotation is bool:
        return isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is str or getattr(annotation, "__name__", "") == "Path":
        return isinstance(value, str)
    if origin in (collections.abc.Mapping, dict):
        return isinstance(value, dict) and all(accepts(arguments[1], v) for v in value.values())
    if origin in _LISTS:
        items = [a for a in arguments if a is not Ellipsis]
        return isinstance(value, list) and all(accepts(items[0], v) for v in value)
    return True


_LISTS = (collections.abc.Sequence, collections.abc.Collection, list, tuple)


def _spell(annotation: Any) -> str:
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return "one of " + ", ".join(str(a) for a in arguments)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(_spell(a) for a in arguments)
    if annotation is type(None):
        return "null"
    if typing.get_origin(annotation) in _LISTS:
        return "a list, such as " + ("[1,2]" if arguments[0] in (int, float) else "[a,b]")
    simple = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return simple.get(
        annotation, str(annotation).removeprefix("<class '").removesuffix("'>").replace("collections.abc.", "")
    )


def _short(dotted: str) -> str:
    return dotted.rpartition(".")[2]


def _written(value: Any) -> str:
    """A value as a command line writes it: null, true and false, and what else there is as Python spells it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)
