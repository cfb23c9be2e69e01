"""Names that a config's `_target_` may have: what conf/ offers, read as text; nothing is imported to know them.

A run's config, a recipe or a command line chooses among these names and can name nothing else. Classes and functions of
one's own are a file in the package's rooms with a YAML in conf/ (docs/add_a_loss.md), or `extensions=PATH` on the
command line, which no stored file can stand for.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from scenegen.base.documents import read_text
from scenegen.base.refusal import Refusal
from scenegen.config.moved import new_target
from scenegen.config.places import conf_folder

SCHEDULES = frozenset(f"scenegen.losses.schedule.{name}" for name in ("Constant", "Linear", "Steps"))
"""Schedules of a term's weight, which no YAML of conf/ names, since every term's own schedule is null."""

IN_YAML = re.compile(r"^[^#\n]*?\b_target_\s*:\s*['\"]?([A-Za-z_][\w.]*)", re.M)

SPECIAL = re.compile(r"_\w+_")
"""Keys that Hydra's instantiate reads as orders (`_args_`, `_partial_`, ...); `_target_` alone is one of ours."""

CURE = "give a .py file, or a folder of them, with your own classes and functions: extensions=PATH"

_own: set[str] = set()


def offered() -> frozenset[str]:
    """Every name that a `_target_` may have."""
    return _of_conf(conf_folder()) | SCHEDULES | _own


def extend(path: str | Path) -> None:
    """Offer the classes and functions of a user's own file, or of the .py files of a folder, as MODULE.NAME.

    The files are read as text here and imported when a config names one of them.

    Raises:
        Refusal: no such file, no Python, or a module that bears the name of an installed one.
    """
    if not isinstance(path, str | Path):
        raise Refusal(f"extensions={path} is no path; {CURE}")
    place = Path(path)
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    if not files or files[0].suffix != ".py":
        raise Refusal(f"extensions={path} holds no .py file; {CURE}")
    for file in files:
        _own.update(_names_of(file))
    if str(files[0].parent.resolve()) not in sys.path:
        sys.path.append(str(files[0].parent.resolve()))  # at the end, where it hides nothing that is installed


def faults_of_names(tree: Any, *, resolved: bool = True) -> Iterator[str]:
    """A sentence for every name that is not offered, and for every key that is an order to Hydra.

    Args:
        tree: plain containers.
        resolved: false where a name may still be an interpolation, which is looked at once more when it is resolved.
    """
    for path, node in mappings(tree, ""):
        for key in node:
            if isinstance(key, str) and key != "_target_" and SPECIAL.fullmatch(key):
                yield f"{path + '.' if path else ''}{key} is no option; leave it out"
        open_yet = not resolved and str(node.get("_target_")).startswith("${")
        if "_target_" in node and not open_yet and not is_offered(node["_target_"]):
            yield f"{path + '.' if path else ''}_target_={_refused(node['_target_'])}"


def require_offered(tree: Any) -> None:
    """Refuse a node that names what is not offered, at any depth."""
    for sentence in faults_of_names(tree):
        raise Refusal(sentence)


def is_offered(target: Any) -> bool:
    """True where a `_target_` may have this value."""
    return isinstance(target, str) and target in offered()


def mappings(node: Any, path: str) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Every mapping of a tree with its path, the tree's own first."""
    if isinstance(node, Mapping):
        yield path, node
        for key, value in node.items():
            yield from mappings(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, Sequence) and not isinstance(node, str | bytes):
        for i, value in enumerate(node):
            yield from mappings(value, f"{path}.{i}" if path else str(i))


LONGEST = 100
"""Letters of a name that a sentence repeats."""


def _refused(target: Any) -> str:
    known = sorted(offered())
    if not isinstance(target, str):
        return f"{json.dumps(target, default=str)[:LONGEST]} is no name; write one, such as {known[0]}"
    if moved := new_target(target):
        return f"{target} is {moved} now"
    near = difflib.get_close_matches(target, known, 1, cutoff=0.85)
    hint = f"did you mean {near[0]}? " if near else ""
    return (
        f"{target[:LONGEST]!r} is not among the parts that conf/ offers, so nothing of it is imported; {hint}if it is "
        "code of your own that you trust, give its file or folder: extensions=PATH"
    )


@cache
def _of_conf(folder: Path) -> frozenset[str]:
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.yaml")))
    return frozenset(name for text in texts for name in IN_YAML.findall(text))


def _names_of(file: Path) -> set[str]:
    text = read_text(file, what="extensions:", cure=CURE)
    module = file.stem
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refusal(f"extensions: {file} is no Python ({' '.join(str(error).split())}); {CURE}") from error
    if not module.isidentifier() or _is_taken(module, file):
        raise Refusal(f"extensions: {file} bears the name of another module; rename it, such as my_{module}.py")
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {f"{module}.{n.name}" for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")}


def _is_taken(module: str, file: Path) -> bool:
    try:
        found = importlib.util.find_spec(module)
    except ValueError:  # __main__
        return True
    return found is not None and (found.origin is None or Path(found.origin).resolve() != file.resolve())
