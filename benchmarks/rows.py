"""The table of docs/speed.md: each script says its rows, and this puts them in: python benchmarks/rows.py docs/speed.md

`make bench` names a file in SPEED_ROWS, to which `say` appends; here the table between the two marks takes each row in
the place of the one with the same first two cells, or as a new last one. Rows that no script said stay as they are.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "SPEED_ROWS"
FIRST, LAST = "<!-- rows -->", "<!-- end of rows -->"


def say(what: str, against: str, ratio: str, equal: str) -> None:
    """Print a row, and keep it for the table where one is asked for.

    Args:
        what, against: the work, and the named opponent; together they name the row.
        ratio: ours over the opponent's, with its unit.
        equal: how far the results are apart, and what was compared.
    """
    line = f"| {what} | {against} | {ratio} | {equal} |"
    print(line, flush=True)
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def merged(page: str, said: list[str]) -> str:
    """A page whose table holds the rows that were said."""
    before, rest = page.split(FIRST + "\n")
    table, after = rest.split(LAST)
    head, rule, *old = table.strip().splitlines()
    rows = {name_of(line): line for line in [*old, *said]}
    return before + "\n".join([FIRST, head, rule, *rows.values(), LAST]) + after


def name_of(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.split("|")[1:3])


def main() -> None:
    page, said = Path(sys.argv[1]), Path(os.environ[VARIABLE])
    lines = said.read_text(encoding="utf-8").splitlines() if said.is_file() else []
    page.write_text(merged(page.read_text(encoding="utf-8"), lines), encoding="utf-8")


if __name__ == "__main__":
    main()
