"""Space of a search: values named in sweep.space, values swept on the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from scenegen.base.refusal import Refusal
from scenegen.config.flat import leaves

AROUND = re.compile(r"around\(\s*([0-9.eE+]+)\s*\)")


def split(arguments: Sequence[str]) -> tuple[list[str], dict[str, BaseDistribution]]:
    """A command line as (overrides of every trial, space of the swept values).

    Raises:
        Refusal: for a sweep that has no distribution.
    """
    fixed, space = [], {}
    for text, override in zip(arguments, OverridesParser.create().parse_overrides(list(arguments)), strict=True):
        if override.is_sweep_override():
            space[override.get_key_element()] = distribution(override)
        else:
            fixed.append(text)
    return fixed, space


def search_space(
    entries: Mapping[str, str | None],
    config: Mapping[str, Any],
    *,
    fixed: Sequence[str],
    swept: Mapping[str, BaseDistribution],
) -> dict[str, BaseDistribution]:
    """The whole space of a sweep.

    The command line wins over the entries: a value that it fixes is not searched, one that it sweeps is searched
    there. An entry whose key is exact wins over one with a star. Stars match only values above 0 without a schedule,
    so a term of weight 0 stays out.

    Args:
        entries: key or pattern -> "around(f)", "interval(a, b)", "choice(...)", "range(...)" or null.
        config: the resolved config with the fixed overrides.
        fixed: the overrides that are the same in every trial.
        swept: the values that the command line searches.

    Raises:
        Refusal: for an entry that names no value, or cannot be read, or when nothing is left to search.
    """
    values = dict(leaves(config))
    given = {override.key_or_group for override in OverridesParser.create().parse_overrides(list(fixed))}
    exact = {key: entry for key, entry in entries.items() if "*" not in key}
    found: dict[str, str | None] = {}
    for pattern, entry in entries.items():
        if pattern not in exact:
            found |= {key: entry for key in values if fnmatchcase(key, pattern) and _searchable(key, values)}
    for key in exact:
        if key not in values and exact[key] is not None:
            raise Refusal(f"sweep.space names {key}, which the config does not have; a value's full path is needed")
    space = {}
    for key, entry in sorted((found | exact).items()):
        if entry is not None and key not in given and key not in swept:
            space[key] = _read(key, entry, values[key])
    if not (space := space | dict(swept)):
        raise Refusal(
            "the sweep has nothing to search: name values in sweep.space or sweep them on the command line, "
            "e.g. 'loss.cx.weight=tag(log, interval(0.5, 10))'"
        )
    return space


def distribution(override: Override) -> BaseDistribution:
    """Optuna's distribution of one of Hydra's sweeps; tag(log, ...) makes it logarithmic."""
    value: Any = override.value()
    log = "log" in value.tags
    try:
        if override.is_choice_sweep():
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        if override.is_interval_sweep():
            whole = isinstance(value.start, int) and isinstance(value.end, int)
            return (IntDistribution if whole else FloatDistribution)(value.start, value.end, log=log)
        if override.is_range_sweep():
            count = math.ceil((value.stop - value.start) / value.step)
            whole = all(isinstance(v, int) for v in (value.start, value.stop, value.step))
            last = value.start + (count - 1) * value.step
            return (IntDistribution if whole else FloatDistribution)(value.start, last, step=value.step)
    except ValueError as error:
        raise Refusal(f"{override.input_line} cannot be searched: {error}") from error
    raise Refusal(f"{override.input_line} cannot be searched; use choice, range or interval")


def command(fixed: Sequence[str], drawn: Mapping[str, Any]) -> list[str]:
    """The overrides of a trial; numbers are written so that they are read back exactly."""
    return [*fixed, *(f"{key}={drawn[key]}" for key in sorted(drawn))]


def lowest(space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """One point of a space."""
    found: dict[str, Any] = {}
    for key, values in space.items():
        numbers = isinstance(values, FloatDistribution | IntDistribution)
        found[key] = values.low if numbers else values.choices[0]  # pyright: ignore[reportAttributeAccessIssue]
    return found


def _searchable(key: str, values: Mapping[str, Any]) -> bool:
    value = values[key]
    number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    scheduled = any(other.startswith(f"{key.removesuffix('weight')}schedule.") for other in values)
    return number and not scheduled


def _read(key: str, entry: str, value: Any) -> BaseDistribution:
    if around := AROUND.fullmatch(entry.strip()):
        factor = float(around[1])
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0 or not factor > 1:
            raise Refusal(f"sweep.space: {key} is {value!r}, and {entry} needs a value above 0 and a factor above 1")
        return FloatDistribution(value / factor, value * factor, log=True)
    try:
        override = OverridesParser.create().parse_override(f"{key}={entry}")
    except HydraException as error:
        raise Refusal(f"sweep.space: cannot read {key}: {entry}; {_FORMS}") from error
    if not override.is_sweep_override():
        raise Refusal(f"sweep.space: {key}: {entry} is one value; {_FORMS}, or null to leave it alone")
    return distribution(override)


_FORMS = "write around(10), choice(a,b), range(1,9,2), interval(0.1,1) or tag(log, interval(0.1,10))"
