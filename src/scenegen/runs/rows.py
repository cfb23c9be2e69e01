"""Rows of a run's metrics.csv."""

from __future__ import annotations

import csv
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a metrics.csv, empty cells left out; none where there is no file.

    A last line that a kill cut short, or that is being written now, is dropped.
    """
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {key: value for key, value in row.items() if value}
        for row in rows
        if (row.get("step") or "").isdigit() and None not in row.values()
    ]
