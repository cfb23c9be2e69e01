"""Rows of a run's metrics.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from scenegen.base.documents import read_text
from scenegen.base.refusal import Refusal

LARGEST = 1 << 30
"""Bytes of the largest metrics.csv that is read: a run of a million logged steps."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a metrics.csv, empty cells left out; none where there is no file.

    A last line that a kill cut short, or that is being written now, is dropped.

    Raises:
        Refusal: no regular file, or no CSV in UTF-8.
    """
    if not path.is_file():
        return []
    cure = "it is written while a run trains; take it from a copy, or remove it"
    text = read_text(path, what="the run's rows", cure=cure, largest=LARGEST)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise Refusal(f"the run's rows {path} are no CSV ({error}); {cure}") from error
    return [
        {key: value for key, value in row.items() if value}
        for row in rows
        if (row.get("step") or "").isdigit() and None not in row.values()
    ]
