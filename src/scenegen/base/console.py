"""Output for people: tables wide enough to be read in a log, one bar, one line; bar and line go to stderr.

Rich is imported where something is printed with it, since every command needs `printable` at its start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ud800-\udfff]"
    "|\n(?!  )"
)
"""Characters that move a terminal's cursor, start a line, turn its direction or have no width; a line of a report
begins with two blanks."""

_running: list[Progress] = []
"""The bar that is on the screen."""

NARROWEST = 100
"""Columns that the tables need; output that is no terminal (a log, CI) takes them in any case."""


def console() -> Console:
    """Console for tables: the terminal as it is, anything else at least wide enough."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=max(found.width, NARROWEST))


def bar(items: Iterable[Any], description: str) -> Iterable[Any]:
    """The items, with a progress bar on stderr that is gone when they are done; one within another stands below it."""
    from rich.console import Console
    from rich.progress import Progress

    if _running:
        outer = _running[-1]
        task = outer.add_task(description, total=None)
        yield from outer.track(items, task_id=task, description=description)
        outer.remove_task(task)
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        _running.append(progress)
        try:
            yield from progress.track(items, description=description)
        finally:
            _running.pop()


def say(text: str) -> None:
    """Print one line on stderr, above the bar where there is one."""
    from rich.console import Console

    console = _running[-1].console if _running else Console(stderr=True)
    console.print(text, style="dim", highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """Text as it may reach a terminal or a log: control characters of file names are spelt, as in \\x1b.

    A line break stays where two blanks follow it, as in the reports of several faults.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def shown(text: str) -> str:
    """Text in a table of the terminal, where brackets would begin a style or a link."""
    from rich.markup import escape

    return escape(printable(text))
