"""The commands, a line each: python -m scenegen; one of them: python -m scenegen VERB ..."""

from __future__ import annotations

import difflib
import runpy
import sys
from pathlib import Path

from scenegen.config.moved import new_command
from scenegen.config.places import conf_folder


def verbs() -> dict[str, str]:
    """Command -> its line: the first one of its config."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    return {name: _line(conf_folder() / f"{name}.yaml") for name in names}


def main() -> int:
    """List the commands, or run the one that is named."""
    known = verbs()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        width = max(map(len, known))
        print("python -m scenegen VERB [group=option ...] [key.path=value ...]\n")
        print("\n".join(f"  {name:{width}}  {line}" for name, line in known.items()))
        print("\npython -m scenegen VERB --help tells a command's options; docs/options.md has all of them")
        return 0
    verb = sys.argv.pop(1)
    if verb not in known:
        if now := new_command(verb):
            print(f"error: {verb} is `{now}` now; write python -m scenegen {now}", file=sys.stderr)
            return 2
        near = difflib.get_close_matches(verb, known, 3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        print(f"error: there is no command {verb!r}; {hint}Commands: {', '.join(known)}", file=sys.stderr)
        return 2
    runpy.run_module(f"scenegen.{verb}", run_name="__main__", alter_sys=True)
    return 0


def _line(config: Path) -> str:
    with config.open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


if __name__ == "__main__":
    sys.exit(main())
