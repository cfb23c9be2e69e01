"""metrics.csv: every logged value of a run, one row per step, continued when the run is resumed."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from scenegen.base.files import write_text
from scenegen.runs.processes import is_first
from scenegen.runs.rows import read_rows


class Journal(Logger):
    """A logger that appends rows to one CSV file.

    Lightning's CSVLogger starts its file anew when a run is resumed; this one keeps the rows up to `start_step`
    and drops those of steps that will be made again.

    Args:
        path: the CSV file; one process of a run writes it.
        start_step: the step that the run resumes from (0 for a new run).
    """

    def __init__(self, path: Path, *, start_step: int = 0) -> None:
        super().__init__()
        self.path = path
        self.fields: list[str] = []
        self._last: tuple[str, ...] = ()
        if is_first():
            self._cut(start_step)

    def _cut(self, start_step: int) -> None:
        rows = [row for row in read_rows(self.path) if int(row["step"]) <= start_step]
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
        told = (row["step"], *sorted(row))
        if told == self._last:  # a checkpoint has asked for this step's row before Lightning gives it
            return
        self._last = told
        if set(row) - set(self.fields):
            self._rewrite([*self.fields, *row], [*read_rows(self.path), row])
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.fields, restval="").writerow(row)

    def _rewrite(self, fields: list[str], rows: list[dict[str, str]]) -> None:
        """Write the whole file again, whole or not at all: a new column appeared, or the run starts."""
        self.fields = list(dict.fromkeys(["step", *fields]))
        text = io.StringIO()
        writer = csv.DictWriter(text, self.fields, restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())
