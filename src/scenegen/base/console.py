"""Output for people: tables wide enough to be read in a log, one bar, one line; bar and line go to stderr."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress import track

NARROWEST = 100
"""Columns that the tables need; output that is no terminal (a log, CI) takes them in any case."""


def console() -> Console:
    """Console for tables: the terminal as it is, anything else at least wide enough."""
    found = Console()
    return found if found.is_terminal else Console(width=max(found.width, NARROWEST))


def bar(items: Iterable[Any], description: str) -> Iterable[Any]:
    """The items, with a progress bar on stderr that is gone when they are done."""
    return track(items, description=description, console=Console(stderr=True), transient=True)


def say(text: str) -> None:
    """Print one line on stderr."""
    Console(stderr=True).print(text, style="dim", highlight=False, soft_wrap=True)
