"""Interpolations in lists of defaults that Hydra 1.3 resolves and 1.4 does not, resolved under both.

conf/ has two: `${suited:${data},A,B}` calls a resolver, and `${debug}/${data}` reads a group that may be null.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from hydra.core import default_element
from hydra.core.default_element import InputDefault

from scenegen.config.kinds import suited

_SUITED = re.compile(r"\$\{suited:\$\{data\},(\w+),(\w+)\}")
_GROUP = re.compile(r"\$\{(\w+)\}")


@functools.cache
def resolve_as_before() -> None:
    """Resolve them in this process; nothing to do under Hydra 1.3."""
    if "_defaults_list_interpolation_pattern" not in vars(default_element):
        return
    plain = InputDefault._resolve_interpolation_impl

    @functools.wraps(plain)
    def resolved(self: InputDefault, known_choices: Mapping[Any, Any], val: Any) -> Any:
        return plain(self, known_choices, plainly(val, known_choices))  # pyright: ignore[reportArgumentType]

    InputDefault._resolve_interpolation_impl = resolved


def plainly(text: str, choices: Mapping[Any, Any]) -> str:
    """A default's name with no interpolation left but `${group}` of a chosen group, which Hydra 1.4 resolves."""
    if isinstance(data := choices.get("data"), str):
        text = _SUITED.sub(lambda found: suited(data, *found.groups()), text)
    return _GROUP.sub(lambda found: "None" if choices.get(found[1], "") is None else found[0], text)
