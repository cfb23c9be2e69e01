"""Completion of `scenegen VERB group=option key=value` in bash, zsh and fish.

The shells ask `scenegen complete -- WORDS`, which reads the folders of conf/ and imports neither Hydra nor torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from scenegen.config.documented import groups_of, keys_of, keys_of_option, options_of
from scenegen.config.groups import ADDITIVE
from scenegen.config.places import experiments_folder

FLAGS = ("--help", "--hydra-help", "--cfg", "--resolve", "--package", "--info", "--run", "--multirun", "--config-dir",
         "--config-path", "--config-name", "--shell-completion", "--experimental-rerun", "--version")  # fmt: skip
"""Flags of Hydra, which every command takes."""

RUNS = ("run", "runs", "resume", "start_from")
"""Keys that take the name of a run; those of a sweep stand in its folder, which is offered too."""

BASH = r"""_scenegen() {
    local line="${COMP_LINE:0:COMP_POINT}" words found word before
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word="${words[${#words[@]}-1]}"
    mapfile -t found < <("${words[0]}" complete -- "${words[@]:1}" 2> /dev/null)
    before=""
    # readline replaces what stands behind the last sign that breaks words
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && before="${word%"${word##*=}"}"
    COMPREPLY=("${found[@]#"$before"}")
    [[ ${#found[@]} -eq 1 && ${found[0]} == *[=.] ]] && compopt -o nospace 2> /dev/null
    return 0
}
complete -o default -F _scenegen scenegen
"""

ZSH = r"""#compdef scenegen
_scenegen() {
    local -a found
    found=(${(f)"$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2> /dev/null)"})
    compadd -S '' -- ${(M)found:#*[=.]}
    compadd -- ${found:#*[=.]}
    (( $#found )) || { compset -P '*='; _files }
}
compdef _scenegen scenegen
"""

FISH = r"""function __scenegen_complete
    set -l words (commandline -opc)
    command $words[1] complete -- $words[2..-1] (commandline -ct) 2> /dev/null
end
complete -c scenegen -a '(__scenegen_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
"""Shell -> the script that it evaluates."""


def candidates(words: Sequence[str], verbs: Sequence[str]) -> list[str]:
    """Words that may stand in place of the last one.

    Args:
        words: behind `scenegen`; the last is the one that is typed, "" where it has not begun.
        verbs: the commands.

    Returns:
        Whole words, sorted; none where the shell knows better, as for file names.
    """
    word = words[-1] if words else ""
    if len(words) < 2:
        return _beginning(word, [*verbs, "completion"])
    if words[0] == "completion":
        return _beginning(word, SCRIPTS)
    if words[0] not in verbs:
        return []
    if word.startswith("-"):
        return _beginning(word, ["-m", *FLAGS])
    key, sign, value = word.partition("=")
    found = _values(words[0], key, value) if sign else _keys(words[0], key, words[1:-1])
    return _beginning(word, found)


def _values(verb: str, key: str, value: str) -> list[str]:
    """Words key=value; behind the last '+' or ',' of a group, an option that is not named yet."""
    bare = key.lstrip("+~")
    if bare in groups_of(verb):
        signs = "[+,]" if bare in ADDITIVE else ","
        before = value[: len(value) - len(re.split(signs, value)[-1])]
        named = re.split(signs, before.rpartition(",")[2]) if bare in ADDITIVE else []
        return [f"{key}={before}{option}" for option in _options(bare) if option not in named]
    if bare in RUNS:
        before = value[: value.rfind(",") + 1]
        return [f"{key}={before}{path.name}" for path in Path("runs").glob("[!.]*/")]
    default = next((default for path, default, _ in keys_of(verb) if path == bare), "")
    return [f"{key}=true", f"{key}=false"] if default in ("true", "false") else []


def _options(group: str) -> list[str]:
    if group == "experiment":
        return [recipe.parent.name for recipe in experiments_folder().glob("*/recipe.yaml")]
    return options_of(group)


def _keys(verb: str, typed: str, others: Sequence[str]) -> list[str]:
    """Groups and keys; below a group, the keys of its chosen options, or of all where none is chosen."""
    signs = typed[: len(typed) - len(typed.lstrip("+~"))]
    bare = typed[len(signs) :]
    group = bare.partition(".")[0]
    if "." not in bare or group not in groups_of(verb):
        return [f"{signs}{key}=" for key in [*groups_of(verb), *(path for path, _, _ in keys_of(verb))]]
    chosen = [option for word in others if word.startswith(f"{group}=") for option in re.split("[+,=]", word)[1:]]
    names = chosen if chosen and group not in ADDITIVE else options_of(group)
    return [f"{signs}{group}.{path}=" for name in names for path in keys_of_option(group, name)]


def _beginning(word: str, known: Sequence[str] | dict[str, str]) -> list[str]:
    return sorted({name for name in known if name.startswith(word)})
