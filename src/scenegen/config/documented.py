"""Documentation that stands in the YAML files of conf/: groups of a command, options of a group, keys with comments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scenegen.config.places import conf_folder

_GROUP = re.compile(r"^  - (?:optional )?([a-z_]+): ", re.MULTILINE)
_BASE = re.compile(r"^  - (?!_self_)(\w+)$", re.MULTILINE)
_KEY = re.compile(r"^( *)([\w./@-]+):(?: +(.*?))?(?:\s+# (.*))?$")


def commands() -> list[str]:
    """Names of the commands."""
    return sorted(path.stem for path in conf_folder().glob("*.yaml"))


def groups_of(verb: str) -> list[str]:
    """Groups in a command's defaults list, in its order."""
    return _GROUP.findall(_text(verb).partition("\n\n")[0])


def is_group(key: str) -> bool:
    """True for the name of a group."""
    return key.isidentifier() and (conf_folder() / key).is_dir()


def options_of(group: str) -> list[str]:
    """Options of a group; none for what is no group."""
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml")) if group.isidentifier() else []


def keys_of(verb: str) -> list[tuple[str, str, str]]:
    """(key path, default, comment) of the values that stand in a command's own file."""
    return list(entries(_text(verb).partition("\nhydra:\n")[0]))


def keys_of_option(group: str, option: str) -> list[str]:
    """Paths of the keys of an option below its group, those of the options of its own group that it starts from too."""
    path = conf_folder() / group / f"{option}.yaml"
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    bases = _BASE.findall(text.partition("_self_")[0])
    return [
        *(key.removeprefix(f"{group}.") for key, _, _ in entries(text)),
        *(key for base in bases for key in keys_of_option(group, base)),
    ]


def known_at_root(verb: str) -> set[str]:
    """Keys and groups of a command's config, without composing it."""
    return {*groups_of(verb), *(path.partition(".")[0] for path, _, _ in keys_of(verb)), "hydra"}


def entries(body: str) -> Iterator[tuple[str, str, str]]:
    """(key path, default, comment) of every value of a YAML file; a comment above a key or behind it belongs to it."""
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in body.splitlines():
        if line.strip().startswith("#"):
            above.append(line.strip()[1:].strip())
            continue
        found = _KEY.match(line)
        if not found or line.lstrip().startswith("- "):
            above = []
            continue
        depth, key, value, behind = len(found[1]), found[2], found[3] or "", found[4]
        path = [(d, k) for d, k in path if d < depth] + [(depth, key)]
        comment = " ".join([*above, *([behind] if behind else [])])
        above = []
        if value and key != "_target_":
            yield ".".join(k for _, k in path), value, comment


def _text(verb: str) -> str:
    return (conf_folder() / f"{verb}.yaml").read_text(encoding="utf-8")
