"""Rows of a run's metrics.csv."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from scenegen.base.documents import read_text
from scenegen.base.refusal import Refusal

STEP = re.compile("[0-9]{1,12}")

LARGEST = 1 << 30
"""Bytes of the largest metrics.csv that is read: a run of a million logged steps."""

CURE = "remove that line, or move the file away (the curves are lost then, and nothing else)"


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a metrics.csv, empty cells left out; none where there is no file.

    A last line that a kill cut short, or that is being written now, is dropped.

    Raises:
        Refusal: no CSV of numbers.
    """
    if not path.is_file():
        return []
    text = read_text(path, what="the run's journal", cure=CURE, largest=LARGEST)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    found, torn = [], 0
    try:
        if reader.fieldnames and "step" not in reader.fieldnames:
            raise Refusal(f"the run's journal {path} has no column step; {CURE.partition(', or ')[2]}")
        for row in reader:
            if torn:
                raise Refusal(f"the run's journal {path}, line {torn}: no whole row of a step; {CURE}")
            if STEP.fullmatch(row.get("step") or "") and None not in row and None not in row.values():
                found.append({key: value for key, value in row.items() if value})
                _require_numbers(found[-1], f"{path}, line {reader.line_num}")
            else:
                torn = reader.line_num
    except csv.Error as error:
        raise Refusal(f"the run's journal {path} is no CSV (line {reader.line_num}: {error}); {CURE}") from error
    return found


def _require_numbers(row: dict[str, str], place: str) -> None:
    for key, value in row.items():
        try:
            float(value)
        except ValueError as error:
            raise Refusal(f"the run's journal {place}: {key} is {value[:40]!r} and no number; {CURE}") from error
