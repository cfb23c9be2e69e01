"""Commands that README, docs, conf/, docstrings and sentences print: each parses, and names what its command has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from scenegen.cli.entry import FLAGS
from scenegen.cli.help import register_help
from scenegen.config.compose import register_resolvers
from scenegen.config.documented import commands, entries, groups_of, known_at_root, options_of
from scenegen.config.groups import ADDITIVE
from scenegen.config.places import conf_folder, experiments_folder
from scenegen.config.quoting import readable
from tests.sources import ROOT, nodes_of

ANY = "ANY"
"""Stands where a sentence puts a value in."""

VERBS = commands()
COMMAND = re.compile(
    rf"python -m scenegen[. ]([a-z][a-z_]*)|(?<![\w/])scenegen[. ]({'|'.join(VERBS)})(?= -m| +[a-z.]+=)"
)
WORD = re.compile(r"[ \t]*(?:\\?\n[ \t]*)?((?:'[^'\n]*'|[^\s'\"`|])+)")
OVERRIDE = re.compile(r"'?[+~]{0,2}[a-z_]+(?:[.@/][A-Za-z0-9_{}]+)*=")
NAMED = re.compile(r"(?<![\w./${}-])([a-z_]+(?:\.[a-z_0-9]+)*)=(?=\S|$)")
PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*|<[\w-]+>|&lt;\w+&gt;?|\.\.\.|")


class Printed(NamedTuple):
    """A command as a text prints it.

    Attributes:
        where: the file.
        verb: the command's name.
        words: overrides and flags.
    """

    where: str
    verb: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {self.verb} {' '.join(self.words)}"


@cache
def printed() -> list[Printed]:
    """Every command of every text, each once."""
    return list({(one.verb, one.words): one for where, text in texts() for one in commands_in(where, text)}.values())


def texts() -> Iterator[tuple[str, str]]:
    """(file, text) of the pages, of conf/, and of each string of the source."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(conf_folder().rglob("*.yaml"))]:
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in nodes_of(path):
            if (text := said(node)) and "scenegen" in text:
                yield str(path.relative_to(ROOT)), text


def said(node: ast.AST) -> str | None:
    """Text of a string in the source, with ANY for each value that it puts in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(said(part) or ANY for part in node.values)
    return None


def commands_in(where: str, text: str) -> Iterator[Printed]:
    """The commands of a text; prose behind one ends it."""
    for found in COMMAND.finditer(text):
        words, place = [], found.end()
        while (word := WORD.match(text, place)) and text[place : place + 1] != "`":
            bare = word[1].rstrip(").,;:") if not word[1].endswith("...") else word[1]
            if not OVERRIDE.match(bare) and bare not in ("-m", *FLAGS):
                break
            words.append(bare.replace("'", ""))
            place = word.end()
            if bare != word[1]:
                break
        yield Printed(where, found[1] or found[2], tuple(words))


def test_commands_are_found() -> None:
    assert len(printed()) > 150
    assert {one.verb for one in printed()} >= set(VERBS)
    text = "`python -m scenegen.sample run=NAME\npost=warm`, and python -m scenegen.train -m seed=1,2 (x=1)"
    assert [one[1:] for one in commands_in("", text)] == [
        ("sample", ("run=NAME", "post=warm")),
        ("train", ("-m", "seed=1,2")),
    ]


PLACES = ("README.md", "docs/", "conf/", "src/")


def test_commands_are_found_in_every_place() -> None:
    assert {place for place in PLACES for one in printed() if one.where.startswith(place)} == set(PLACES)
    assert all(one.where.startswith(PLACES) for one in printed())


@pytest.mark.parametrize("place", PLACES)
def test_printed_commands_parse_and_name_what_there_is(place: str) -> None:
    wrong = [f"{one}\n  {fault}" for one in printed() if one.where.startswith(place) for fault in faults(one)]
    assert not wrong, "\n".join(wrong)


def faults(one: Printed) -> Iterator[str]:
    """Reasons for which a printed command would be refused."""
    if one.verb not in VERBS:
        yield f"there is no command {one.verb}"
        return
    page = (ROOT / one.where).read_text(encoding="utf-8")
    sweeps = "-m" in one.words or any(word.startswith("sweep=") for word in one.words)
    overrides = [word for word in one.words if not word.startswith("-")]
    for word in readable(one.words)[-len(overrides) :] if overrides else []:
        try:
            parsed = parser().parse_override(word)
        except HydraException as error:
            yield f"{word}: {error}"
            continue
        key, value = word.lstrip("+~").partition("=")[::2]
        value = value.strip("'")
        if parsed.is_sweep_override() and not sweeps:
            yield f"{word}: a sweep, without -m"
        if "." not in key and key in groups_of(one.verb):
            for part in re.split("[,+]" if sweeps else "[+]", value):
                is_there = part in known_options(key) or PLACEHOLDER.fullmatch(part)
                if not is_there and f"conf/{key}/{part}.yaml" not in page:
                    yield f"{word}: {key} has no option {part}"
            if "+" in value and key not in ADDITIVE:
                yield f"{word}: {key} takes one option"
        elif not word.startswith("+") and not has(one.verb, key, chosen(one.verb, overrides)):
            yield f"{word}: {one.verb} has no key {key}"


@cache
def parser() -> OverridesParser:
    return OverridesParser.create()


def known_options(group: str) -> list[str]:
    """Options of a group, recipes too."""
    recipes = [path.parent.name for path in experiments_folder().glob("*/recipe.yaml")]
    return [*options_of(group), "null", *(recipes if group == "experiment" else [])]


def chosen(verb: str, overrides: list[str]) -> tuple[str, ...]:
    """The choices of groups among overrides: of a sweep the first."""
    pairs = [word.partition("=")[::2] for word in overrides]
    return tuple(
        f"{group}={value.split(',')[0]}"
        for group, value in pairs
        if group in groups_of(verb) and all(part in known_options(group) for part in value.split(",")[0].split("+"))
    )


def has(verb: str, key: str, choices: tuple[str, ...]) -> bool:
    """True where a command's config has the key, by its defaults or with these choices."""
    group, _, below = key.partition(".")
    names = {
        part for choice in choices if choice.startswith(f"{group}=") for part in choice.partition("=")[2].split("+")
    }
    written = any(below in paths_of(conf_folder() / group / f"{name}.yaml") for name in names)
    return written or within(config(verb, ()), key) or (bool(choices) and within(config(verb, choices), key))


@cache
def config(verb: str, choices: tuple[str, ...]) -> dict[str, Any]:
    """The composed config as plain containers, interpolations as they stand."""
    register_resolvers()
    register_help()
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        made = OmegaConf.to_container(compose(verb, list(choices), return_hydra_config=True), resolve=False)
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items()}


def within(node: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


OTHER_WORDS = {
    "key": "form of an override",
    "group": "form of an override",
    "key.path": "form of an override",
    "loss.gan.unknown": "left to the data by loss=oasis, so that it is given with '+'",
}
"""Word before '=' in a refusal -> reason for which it is no key of a config."""


def test_refusals_name_keys_that_there_are() -> None:
    """Of the command whose file the refusal stands in; below the commands, of any command.

    An object's own file may name an argument of its constructor, which is the last step of the key.
    """
    wrong = []
    for path in sorted((ROOT / "src" / "scenegen").rglob("*.py")):
        verb = path.stem if path.parent.name == "scenegen" else None
        own = set() if verb else parameters(nodes_of(path))
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                strange = named_in(node) - own - set(OTHER_WORDS)
                wrong += [
                    f"{path.relative_to(ROOT)}:{node.lineno}: {word}=" for word in strange if not is_key(word, verb)
                ]
    assert not wrong, "no key of the command, or of any:\n" + "\n".join(wrong)


def parameters(nodes: Sequence[ast.AST]) -> set[str]:
    """Names of the parameters of a module's functions, and of the fields of its dataclasses."""
    fields = {n.target.id for n in nodes if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    return fields | {node.arg for node in nodes if isinstance(node, ast.arg)}


def named_in(call: ast.Call) -> set[str]:
    """Words that stand before '=' in the text of a call's arguments."""
    inner = {id(part) for node in ast.walk(call) if isinstance(node, ast.JoinedStr) for part in node.values}
    strings = [node for argument in call.args for node in ast.walk(argument) if id(node) not in inner]
    found = {word for node in strings if (text := said(node)) for word in NAMED.findall(text.replace(ANY, "any"))}
    return {word for word in found if not word.startswith("any")}


def is_key(word: str, verb: str | None) -> bool:
    """True where a word is a key or a group of the command (of any, for None); `any` stands for any step."""
    verbs = [verb] if verb else VERBS
    if "any" not in word:
        return any(word in keys(name) for name in verbs)
    pattern = re.compile(re.escape(word).replace("any", r"\w+"))
    return any(any(map(pattern.fullmatch, keys(name))) for name in verbs)


@cache
def keys(verb: str) -> frozenset[str]:
    """Paths of all keys that a command can have, those of every option of its groups."""
    found = {f"{group}.{path}" for group in groups_of(verb) for file in (conf_folder() / group).glob("*.yaml")
             for path in paths_of(file)}  # fmt: skip
    return frozenset(found | known_at_root(verb) | set(paths_in(config(verb, ()))))


@cache
def paths_of(file: Path) -> frozenset[str]:
    """Paths of the keys of an option's file, below its group; `any` is a key of a mapping such as layers."""
    if not file.is_file():
        return frozenset()
    group, values = file.parent.name, list(entries(file.read_text(encoding="utf-8")))
    paths = [path.removeprefix(f"{group}.") for path, _, _ in values]
    paths += [f"{path.removeprefix(f'{group}.')}.any" for path, value, _ in values if value.startswith("{")]
    return frozenset(".".join(path.split(".")[: i + 1]) for path in paths for i in range(path.count(".") + 1))


def paths_in(node: Any, place: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{place}{key}"
            yield from paths_in(value, f"{place}{key}.")
