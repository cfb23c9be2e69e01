"""Words of a command line as Hydra's override grammar reads them: text that it cannot read is quoted.

A path is a path: blanks, brackets, commas, '#', '=' and letters beyond ASCII need no quotes of the user's own. What the
grammar reads stays as it is, so that numbers, lists and sweeps keep their meaning.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, ValueType
from hydra.errors import HydraException

from scenegen.base.documents import parse_yaml
from scenegen.base.refusal import Refusal

# fmt: off
TEXT = frozenset({
    "annotations", "checkpoint", "dir", "dirpath", "exemplars", "extensions", "file", "files", "folder", "generated",
    "first", "group", "images", "index", "json", "table", "words",
    "labels", "leaderboard", "name", "out", "project", "resume", "root", "rows", "run", "runs", "start_from", "style",
    "styles", "test_index", "test_list",
})
# fmt: on
"""Last words of the keys whose values are file names or names: `2024` and `a,b` are text there."""

STRUCTURED = frozenset({"files", "runs", "style", "segmenter.name"})
"""Keys of TEXT, by last word or whole, that take a mapping or a list too."""

_WORD = re.compile(r"(\+{0,2}[^\W\d][\w./@:$-]*)=(.*)", re.DOTALL)

_COMMA = re.compile(r"(?<!\\),")
"""Between two values of a sweep; a comma of a name has a backslash before it there."""

_SWEEPS = re.compile(r"-m|--multirun|hydra\.mode=MULTIRUN")


def quoted(value: object) -> str:
    """A text as the grammar reads it back and OmegaConf resolves it, letter by letter."""
    return _quoted(str(value)).replace("${", "\\${")


def readable(words: Sequence[str]) -> list[str]:
    """A command line whose values the grammar reads.

    Args:
        words: flags and overrides, as the shell gives them; with -m, a comma stands between the values of a sweep.

    Returns:
        The words, with quotes around values that are plainly text. Words without `key=` stay as they are.
    """
    sweeps = any(_SWEEPS.fullmatch(word) for word in words)
    return [_readable(word, sweeps=sweeps) for word in words]


def _readable(word: str, *, sweeps: bool) -> str:
    found = _WORD.fullmatch(word)
    if not found:
        return word
    key, value = found.groups()
    override = _parsed(word)
    last = key.lstrip("+").rpartition(".")[2]
    structured = not STRUCTURED.isdisjoint((key.lstrip("+"), last))
    if override is not None and (last not in TEXT or _reads_as_meant(override, structured=structured, sweeps=sweeps)):
        return word
    if structure := None if last in TEXT and not structured else _structure(value):
        return f"{key}={structure}"
    if sweeps:
        return f"{key}={','.join(_quoted_part(part, is_text=last in TEXT) for part in _COMMA.split(value))}"
    return f"{key}={_quoted(os.path.expanduser(value) if last in TEXT else value)}"


def _reads_as_meant(override: Override, *, structured: bool, sweeps: bool) -> bool:
    """True where the grammar reads a value of a text key as text, and as a sweep only in a sweep."""
    if override.is_sweep_override():
        plain = override.value_type is ValueType.SIMPLE_CHOICE_SWEEP
        return sweeps and (not plain or all(isinstance(v, str | QuotedString) for v in override.sweep_iterator()))
    value = override.value()
    return value is None or isinstance(value, str) or (structured and isinstance(value, dict | list))


def _quoted_part(part: str, *, is_text: bool) -> str:
    override = _parsed(f"key={part}")
    if override is not None and not override.is_sweep_override():
        value = override.value()
        if not is_text or value is None or isinstance(value, str):
            return part
    text = part.replace("\\,", ",")
    return _quoted(os.path.expanduser(text) if is_text else text)


def _structure(text: str) -> str | None:
    """A list or mapping of words that the grammar does not read, such as [天空,山]; None where the text is neither."""
    if not (text.startswith(("[", "{")) and text.endswith(("]", "}"))):
        return None
    try:
        return _spelt(parse_yaml(text, what="", cure=""))
    except Refusal:
        return None


def _spelt(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_spelt(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spelt, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return QuotedString(text=text, quote=Quote.single).with_quotes()


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _parsed(word: str) -> Override | None:
    try:
        return _parser().parse_override(word)
    except HydraException:
        return None
