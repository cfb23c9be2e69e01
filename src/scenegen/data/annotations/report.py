"""Account of an import for people: the words of each class, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from scenegen.base.console import shown
from scenegen.data.annotations.importing import Imported

SHOWN = 8
"""Words of a class that the table shows; import.json has all."""


def print_import(done: Imported, console: Console) -> None:
    """Print a table of the classes with their words and shares, and a line for each kind of loss."""
    total = sum(sum(words.values()) for words in done.classes.values()) + sum(done.unknown.values())
    table = Table(title=f"{sum(done.pictures.values())} pictures ({_counts(done.pictures)})", title_justify="left")
    table.add_column("class")
    table.add_column("share", justify="right")
    table.add_column("words of the annotators, with their share")
    for name, words in sorted(done.classes.items(), key=lambda row: -sum(row[1].values())):
        table.add_row(shown(name), _share(sum(words.values()), total), _listed(words, total))
    if done.unknown:
        table.add_row("unlabelled", _share(sum(done.unknown.values()), total), _listed(done.unknown, total))
    console.print(table)
    losses = {
        "words that no rule knows stay unlabelled; add them to a copy of the words": done.unknown,
        "polygons outside their picture were left out": done.tally.outside,
        "polygons beyond their picture's frame were cut": done.tally.clipped,
        "polygons without area were left out": done.tally.empty,
        "pictures without a labelled pixel were left out": done.blank,
        "files that cannot be read were left out": done.skipped,
    }
    for sentence, found in losses.items():
        if found:
            examples = ", ".join(list(found)[:3])
            console.print(f"{len(found)} {sentence} (such as {shown(examples)})", highlight=False)
    if done.turned:
        console.print(f"{done.turned} photographs were written turned as their EXIF says, as PNG", highlight=False)
    if done.stored:
        console.print(
            f"{done.stored} photographs with an EXIF turn were written as stored, since their maps follow that "
            "(data.exif=apply turns those that fit either way)",
            highlight=False,
        )
    if done.filled:
        console.print(f"{done.filled} unlabelled pixels took the nearest class", highlight=False)


def _listed(words: Mapping[str, int], total: int) -> str:
    rows = sorted(words.items(), key=lambda row: -row[1])
    listed = ", ".join(f"{shown(word)} {_share(pixels, total)}" for word, pixels in rows[:SHOWN])
    return listed + (f", and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")


def _counts(pictures: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in pictures.items())


def _share(pixels: int, total: int) -> str:
    return f"{100 * pixels / max(total, 1):.1f} %"
