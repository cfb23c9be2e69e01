"""Small text files that a person or another program may have touched: JSON, YAML and CSV, one reader for all.

Every fault (no regular file, too large, no UTF-8, broken syntax, another shape) is a Refusal that names the file, the
place in it and the cure. Reading runs nothing: YAML is read as plain values, without tags and aliases.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from scenegen.base.refusal import Refusal

LONGEST_NUMBER = 400
"""Digits of a whole number that is read; Python itself stops at 4,300, in words of its own."""

LARGEST = 16 << 20
"""Bytes of the largest file that is read, unless the caller says otherwise."""

DEEPEST = 40
"""Brackets within brackets that are read."""

_FLOAT = re.compile(
    r"^[-+]?(\d[\d_]*\.[\d_]*([eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.\d[\d_]*([eE][-+]?\d+)?|\.(inf|Inf|INF))$|^\.(nan|NaN|NAN)$"
)

Shape = TypeVar("Shape")

_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object",
    "dataclass_type": "an object",
}
"""Kinds of faults that pydantic finds -> what should be there, in JSON's words."""


def read_bytes(path: Path, *, what: str, cure: str, largest: int = LARGEST) -> bytes:
    """Content of a regular file.

    Args:
        path: the file.
        what: name of the file's kind at the start of the sentence, such as "data.root's class list".
        cure: end of the sentence: what to write or which option to give.
        largest: bytes that are read at most.

    Raises:
        Refusal: no file, a folder, a pipe or a device, too large, or not readable.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Refusal(f"{what} {path} is no regular file; {cure}")
        if found.st_size > largest:
            raise Refusal(f"{what} {path} holds {found.st_size} bytes, and at most {largest} are read; {cure}")
        return path.read_bytes()
    except OSError as error:
        raise Refusal(f"{what} {path} cannot be read ({error.strerror or type(error).__name__}); {cure}") from error
    except Refusal:
        raise
    except ValueError as error:  # a zero byte in the name
        raise Refusal(f"{what} {str(path)!r} is no file name ({error}); {cure}") from error


def read_text(path: Path, *, what: str, cure: str, largest: int = LARGEST) -> str:
    """Text of a regular file in UTF-8, with or without a byte order mark."""
    content = read_bytes(path, what=what, cure=cure, largest=largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Refusal(f"{what} {path} is not UTF-8 (line {line}); save it as UTF-8: {cure}") from error


def read_json(path: Path, *, what: str, cure: str, shape: Any = Any, largest: int = LARGEST) -> Any:
    """Content of a JSON file, checked against a type.

    Args:
        path, what, cure, largest: see read_bytes.
        shape: type of the content: a dataclass, a TypedDict, dict[str, list[int]], ...
    """
    text = read_text(path, what=what, cure=cure, largest=largest)
    try:
        numbers = {"parse_constant": _no_number, "parse_int": _whole, "parse_float": _finite}
        content = json.loads(text, object_pairs_hook=_once, **numbers)
        if "\\ud" in text.lower():  # half a character, which no file can hold
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError as error:
        raise Refusal(f"{what} {path} is nested too deeply; {cure}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise Refusal(f"{what} {path} is no JSON ({place}); {cure}") from error
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise Refusal(f"{what} {path} holds half a character ({half}); {cure}") from error
    except ValueError as error:
        raise Refusal(f"{what} {path} is no JSON ({error}); {cure}") from error
    _shallow(content, what=what, path=path, cure=cure)
    return of_shape(content, shape, what=f"{what} {path}", cure=cure)


def read_yaml(path: Path, *, what: str, cure: str, shape: Any = Any, largest: int = LARGEST) -> Any:
    """Content of a YAML file as plain values: no tags, no aliases, nothing computed."""
    content = parse_yaml(read_text(path, what=what, cure=cure, largest=largest), what=f"{what} {path}", cure=cure)
    return of_shape(content, shape, what=f"{what} {path}", cure=cure)


def parse_yaml(text: str, *, what: str, cure: str) -> Any:
    """Plain values of a YAML text; numbers like 1e-4 are numbers, as in OmegaConf."""
    import yaml

    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise Refusal(
                    f"{what} uses an anchor or alias (line {event.start_mark.line + 1}); write it out: {cure}"
                )
            if getattr(event, "tag", None):
                raise Refusal(f"{what} uses the tag {event.tag} (line {event.start_mark.line + 1}); only plain values "
                              f"are read: {cure}")  # fmt: skip
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise Refusal(f"{what} is nested more than {DEEPEST} deep (line {event.start_mark.line + 1}); {cure}")
        loader = _plain_loader()
        return yaml.load(text, Loader=loader)  # nosec B506  # a SafeLoader: plain values, nothing built
    except yaml.YAMLError as error:
        place = f"line {mark.line + 1}: " if (mark := getattr(error, "problem_mark", None)) else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        problem = problem.replace("found unhashable key", "a list or mapping as a key")
        problem = problem.replace(' in "<unicode string>"', "")
        raise Refusal(f"{what} is no YAML ({place}{problem}); {cure}") from error
    except Refusal:
        raise
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{what} is no YAML ({' '.join(str(error).split())}); {cure}") from error


@functools.cache
def _plain_loader() -> Any:
    """YAML's safe loader that reads numbers as OmegaConf does (1e-4 is one), dates as text, and no key twice."""
    import yaml

    class Plain(yaml.SafeLoader):
        def construct_yaml_int(self, node: Any) -> int:
            if len(node.value) > LONGEST_NUMBER:
                raise yaml.constructor.ConstructorError(
                    None, None, f"a number of {len(node.value)} digits", node.start_mark
                )
            return super().construct_yaml_int(node)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            if doubled := sorted({str(key) for key in keys if keys.count(key) > 1}):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {doubled[0]} stands twice", node.start_mark
                )
            meant = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")
            if other := [key for key, _ in node.value if key.tag in meant]:
                fault = f"the key {other[0].value!r} is no text in YAML, but a {other[0].tag[18:]}: put it in quotes"
                raise yaml.constructor.ConstructorError(None, None, fault, other[0].start_mark)
            return super().construct_mapping(node, deep=deep)

    Plain.add_constructor("tag:yaml.org,2002:int", Plain.construct_yaml_int)
    dates = "tag:yaml.org,2002:timestamp"
    Plain.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag != dates]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Plain.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    return Plain


def read_table(
    path: Path, *, what: str, cure: str, columns: Sequence[str] = (), largest: int = LARGEST
) -> list[dict[str, str]]:
    """Rows of a CSV file; a row with more or fewer cells than the head is refused.

    Args:
        path, what, cure, largest: see read_bytes.
        columns: columns that must be there.
    """
    text = read_text(path, what=what, cure=cure, largest=largest)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        head = next(reader, [])
        doubled = sorted({name for name in head if head.count(name) > 1})
        absent = [name for name in columns if name not in head]
        if absent or doubled:
            fault = f"has no column {', '.join(absent)}" if absent else f"has the column {', '.join(doubled)} twice"
            raise Refusal(f"{what} {path} {fault} (its columns: {', '.join(head) or 'none'}); {cure}")
        return list(_rows(reader, head, what=f"{what} {path}", cure=cure))
    except csv.Error as error:
        raise Refusal(f"{what} {path} is no CSV (line {reader.line_num}: {error}); {cure}") from error


def of_shape(content: Any, shape: type[Shape] | Any, *, what: str, cure: str) -> Shape:
    """Content checked against a type, strictly: no text for a number, no 1.5 for a whole number.

    Raises:
        Refusal: the place of the first fault, and the number of the others.
    """
    if shape is Any or _is_plainly(content, shape):
        return content
    from pydantic import TypeAdapter, ValidationError

    try:  # as JSON, where a list may become a tuple and a mapping a dataclass, and nothing else changes its kind
        return TypeAdapter(shape).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        *outer, last = faults[0]["loc"] or ("the whole",)
        key = bool(outer) and last == "[key]"  # of an object, under the key itself; alone it is a key of that name
        place = ".".join(map(str, [*outer[:-1], f"the key {outer[-1]}"] if key else [*outer, last]))
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        given = json.dumps(faults[0]["input"], ensure_ascii=False, default=str)
        given = given if len(given) <= 60 else given[:57] + "..."
        if faults[0]["type"] == "missing":
            raise Refusal(f"{what}: {place} is missing{more}; {cure}") from error
        kind = _KINDS.get(faults[0]["type"])
        said = f"should be {kind}" if kind else faults[0]["msg"].replace("Input should be", "should be")
        said = re.sub("^(Tuple|List|Value error,) | after validation", "", said)
        raise Refusal(f"{what}: {place} {said}, and is {given}{more}; {cure}") from error


def _is_plainly(content: Any, shape: Any) -> bool:
    """Content of JSON's kinds alone is of a shape of lists, objects and plain kinds; False leaves it to pydantic.

    Most small files are, and importing pydantic takes a tenth of a second.
    """
    kind, parts = get_origin(shape), get_args(shape)
    if kind in (Union, UnionType):
        return any(_is_plainly(content, part) for part in parts)
    if isinstance(content, dict) and (shape is Any or (kind is dict and parts[0] is str)):
        value = Any if shape is Any else parts[1]
        return all(_is_plainly(key, str) and _is_plainly(part, value) for key, part in content.items())
    if isinstance(content, list) and (shape is Any or kind is list):
        return all(_is_plainly(part, Any if shape is Any else parts[0]) for part in content)
    if type(content) not in (str, int, float, bool, NoneType) or shape not in (Any, type(content)):
        return False
    return not isinstance(content, str) or content.isprintable()


def _rows(reader: Any, head: list[str], *, what: str, cure: str) -> Iterator[dict[str, str]]:
    for row in reader:
        if not row:
            continue
        if len(row) != len(head):
            raise Refusal(f"{what}: line {reader.line_num} has {len(row)} cells, and the head {len(head)}; {cure}")
        yield dict(zip(head, row, strict=True))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return content


def _whole(word: str) -> int:
    if len(word) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(word)} digits")
    return int(word)


def _finite(word: str) -> float:
    if math.isinf(number := float(word)):
        raise ValueError(f"{word} is larger than any number here")
    return number


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _shallow(content: Any, *, what: str, path: Path, cure: str) -> None:
    level = [content]
    for _ in range(DEEPEST):
        level = [item for node in level if isinstance(node, dict | list)
                 for item in (node.values() if isinstance(node, dict) else node)]  # fmt: skip
        if not level:
            return
    raise Refusal(f"{what} {path} is nested more than {DEEPEST} deep; {cure}")
