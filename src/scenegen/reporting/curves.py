"""Loss curves of a run, drawn from its metrics.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scenegen.base.files import whole
from scenegen.reporting.escaping import drawn
from scenegen.runs.rows import read_rows

TOTALS = ("G", "D")
FEWEST = 3
"""Rows below which there is no curve, and matplotlib is not imported: metrics.csv says it all."""


def draw_curves(metrics: Path, out: Path) -> None:
    """One small plot per logged value, raw in grey and smoothed in colour, over the steps of the run.

    Args:
        metrics: a run's metrics.csv; of fewer than three rows nothing is drawn. A value of one row is a dot.
        out: the PNG file.
    """
    rows = read_rows(metrics)
    if len(rows) < FEWEST:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = sorted({key for row in rows for key in row} - {"step"}, key=lambda key: (key not in TOTALS, key))
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    wide, high = 3.1 * columns, 2.1 * lines + 0.3
    figure = Figure(figsize=(wide, high))
    FigureCanvasAgg(figure)
    # Margins in inches by hand: a layout that measures every text takes seconds.
    figure.subplots_adjust(0.5 / wide, 0.5 / high, 1 - 0.12 / wide, 1 - 0.3 / high, wspace=0.28, hspace=0.38)
    for place, name in enumerate(names, start=1):
        points = [(int(row["step"]), float(row[name])) for row in rows if name in row]
        steps, values = (np.asarray(column, dtype=float) for column in zip(*points, strict=True))
        axes = figure.add_subplot(lines, columns, place)
        axes.plot(steps, values, color="0.8", linewidth=0.8)
        dot = "o" if len(values) == 1 else None
        axes.plot(steps, smoothed(values), color="C0" if name in TOTALS else "C2", linewidth=1.6, marker=dot)
        axes.set_title(drawn(name), fontsize=9, loc="left", y=1.0)
        axes.tick_params(labelsize=7)
        axes.locator_params(nbins=5)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("step", fontsize=9, y=0.08 / high)
    with whole(out) as part:
        figure.savefig(part, dpi=110, format="png")


def read_series(metrics: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Logged value -> (steps, smoothed values) of a run's metrics.csv; empty without one."""
    rows = read_rows(metrics)
    found = {}
    for name in sorted({key for row in rows for key in row} - {"step"}):
        points = [(int(row["step"]), float(row[name])) for row in rows if name in row]
        steps, values = (np.asarray(column, dtype=float) for column in zip(*points, strict=True))
        found[name] = steps, smoothed(values)
    return found


def smoothed(values: np.ndarray, *, share: float = 0.05) -> np.ndarray:
    """Centred running mean over a share of the series, shorter at its ends.

    Args:
        values: (n,) numbers.
        share: of n that one mean spans.

    Returns:
        (n,) means; a constant series stays what it is.
    """
    reach = max(1, round(share * len(values) / 2))
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - reach, 0)
    last = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    return (total[last] - total[first]) / (last - first)
