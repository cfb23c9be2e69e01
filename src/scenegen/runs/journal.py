"""metrics.csv: every logged value of a run, one row per step, continued when the run is resumed."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only


class Journal(Logger):
    """A logger that appends rows to one CSV file.

    Lightning's CSVLogger starts its file anew when a run is resumed; this one keeps the rows up to `start_step`
    and drops those of steps that will be made again.

    Args:
        path: the CSV file.
        start_step: the step that the run goes on from (0 for a new run).
    """

    def __init__(self, path: Path, *, start_step: int = 0) -> None:
        super().__init__()
        self.path = path
        self.fields: list[str] = []
        rows = [row for row in self._read() if int(row["step"]) <= start_step]
        self._rewrite([key for row in rows for key in row], rows)

    @property
    def name(self) -> str:
        return "journal"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's folder holds the whole config already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": str(int(step or 0)), **{k: repr(float(v)) for k, v in metrics.items() if k != "epoch"}}
        if set(row) - set(self.fields):
            self._rewrite([*self.fields, *row], [*self._read(), row])
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.fields, restval="").writerow(row)

    def _read(self) -> list[dict[str, str]]:
        return read_rows(self.path) if self.path.exists() else []

    def _rewrite(self, fields: list[str], rows: list[dict[str, str]]) -> None:
        """Write the whole file again, whole or not at all: a new column appeared, or the run starts."""
        self.fields = list(dict.fromkeys(["step", *fields]))
        text = io.StringIO()
        writer = csv.DictWriter(text, self.fields, restval="")
        writer.writeheader()
        writer.writerows(rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.part")
        part.write_text(text.getvalue())
        os.replace(part, self.path)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a metrics.csv, empty cells left out; a last line cut short by a kill is dropped."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {key: value for key, value in row.items() if value}
        for row in rows
        if (row.get("step") or "").isdigit() and None not in row.values()
    ]
