"""The report's plots, as SVG text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

from scenegen.reporting.effects import Effect
from scenegen.reporting.escaping import drawn
from scenegen.reporting.leaderboard import TOTAL, Row
from scenegen.scoring.record import Better

INK, GREY, GOOD, BAD = "#1f2933", "#9aa5b1", "#2f855a", "#c05621"
LINES = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f", "#b83280", "#285e61", "#4a5568")


def means(rows: Sequence[Row], role: str) -> str:
    """One number of our recipes: every seed a dot, the mean with its interval."""
    ours = [(row.recipe, row.ours, mean) for row in rows if row.ours and (mean := row.ours.numbers.get(role))][::-1]
    if not ours:
        return ""
    figure, axes = _axes(height=0.9 + 0.34 * len(ours))
    for y, (_, own, mean) in enumerate(ours):
        if mean.low is not None and mean.high is not None:
            axes.plot([mean.low, mean.high], [y, y], color=GREY, linewidth=2.5, solid_capstyle="round")
        seeds = [run.total or 0.0 if role == TOTAL else run.parts[role] for run in own.runs]
        axes.plot(seeds, [y] * len(seeds), "o", color=GREY, markersize=4)
        axes.plot([mean.value], [y], "o", color=INK, markersize=7)
    axes.set_yticks(range(len(ours)), [_short(recipe) for recipe, _, _ in ours])
    axes.set_ylim(-0.6, len(ours) - 0.4)
    axes.set_xlabel(f"{drawn(role)} (mean, 95 % interval; small dots are seeds)")
    return _svg(figure)


def effects(found: Sequence[Effect], *, of: str, better: Better) -> str:
    """The gain of every single change with its interval; grey where it is not significant.

    Args:
        found: the changes, best first.
        of: the number that changes.
        better: direction in which it improves.
    """
    if not found:
        return ""
    figure, axes = _axes(height=0.9 + 0.34 * len(found))
    for y, effect in enumerate(found[::-1]):
        colour = GREY if effect.p >= 0.05 else GOOD if (effect.gain > 0) == (better == "higher") else BAD
        axes.plot([effect.low, effect.high], [y, y], color=colour, linewidth=2.5, solid_capstyle="round")
        axes.plot([effect.gain], [y], "o", color=colour, markersize=7)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(found)), [f"{effect.change}, on {_short(effect.base, 30)}" for effect in found[::-1]])
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.set_xlabel(f"change of {drawn(of)} (95 % interval; grey: cannot be told from none)")
    return _svg(figure)


def curves(series: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], names: Sequence[str]) -> str:
    """Logged values over steps, one panel per name, one line per recipe.

    Args:
        series: recipe -> name -> (steps, values).
        names: the panels; names that no recipe logged are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in names if any(name in values for values in series.values())]
    if not names:
        return ""
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(9.6, 2.4 * lines + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(lines, columns, place)
        for k, (recipe, values) in enumerate(series.items()):
            if name in values:
                axes.plot(*values[name], color=LINES[k % len(LINES)], linewidth=1.4, label=_short(recipe))
        axes.set_title(drawn(name), fontsize=9, loc="left", color=INK)
        axes.tick_params(labelsize=7, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return _svg(figure)


def _axes(*, height: float):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(axis="x", color="#e4e7eb")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.xaxis.label.set(size=9, color=INK)
    return figure, axes


def _svg(figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _short(recipe: str, most: int = 48) -> str:
    return drawn(recipe if len(recipe) <= most else recipe[: most - 1] + "…")
