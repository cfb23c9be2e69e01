"""The commands, a line each: python -m scenegen; one of them: python -m scenegen VERB ...

`scenegen completion bash` prints the script of a shell's completion, which asks `scenegen complete -- WORDS`.
"""

from __future__ import annotations

import difflib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from scenegen.config.documented import commands
from scenegen.config.places import conf_folder


def verbs() -> dict[str, str]:
    """Command -> the first line of its config."""
    return {name: _line(conf_folder() / f"{name}.yaml") for name in commands()}


def main() -> int:
    """List the commands, complete a word, or run the command that is named."""
    if sys.argv[1:2] == ["complete"]:
        return _complete(sys.argv[2:])
    if sys.argv[1:2] == ["completion"]:
        return _print_script(sys.argv[2:])
    known = verbs()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        width = max(map(len, known))
        print("python -m scenegen VERB [group=option ...] [key.path=value ...]\n")
        print("\n".join(f"  {name:{width}}  {line}" for name, line in known.items()))
        print("\npython -m scenegen VERB --help lists a command's options; docs/options.md has all of them")
        print("scenegen completion bash (zsh, fish) prints the script for <TAB>; docs/install.md says where it goes")
        return 0
    verb = sys.argv.pop(1)
    if verb not in known:
        from scenegen.config.moved import new_command

        if now := new_command(verb):
            print(f"error: {verb} is `{now}` now; write python -m scenegen {now}", file=sys.stderr)
            return 2
        near = difflib.get_close_matches(verb, known, 3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        print(f"error: there is no command {verb!r}; {hint}Commands: {', '.join(known)}", file=sys.stderr)
        return 2
    runpy.run_module(f"scenegen.{verb}", run_name="__main__", alter_sys=True)
    return 0


def _complete(words: Sequence[str]) -> int:
    """Print the words that may stand in place of the last one, a line each."""
    from scenegen.cli.completion import candidates

    print("\n".join(candidates([word for word in words[:1] if word != "--"] + list(words[1:]), commands())))
    return 0


def _print_script(shells: Sequence[str]) -> int:
    """Print the completion's script of a shell; status 2 for one that has none."""
    from scenegen.cli.completion import SCRIPTS

    if len(shells) != 1 or shells[0] not in SCRIPTS:
        print(f"error: write scenegen completion with one of {', '.join(SCRIPTS)}", file=sys.stderr)
        return 2
    print(SCRIPTS[shells[0]], end="")
    return 0


def _line(config: Path) -> str:
    with config.open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


if __name__ == "__main__":
    sys.exit(main())
