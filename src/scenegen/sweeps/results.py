"""Result of a search: a table, the best command line, optimization_results.yaml."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from scenegen.base.console import printable
from scenegen.base.refusal import Refusal
from scenegen.sweeps.program import program
from scenegen.sweeps.search import Search
from scenegen.sweeps.space import command

RESULTS = "optimization_results.yaml"


def conclude(search: Search) -> float:
    """Write and print the result of a search.

    Returns:
        The best score.

    Raises:
        Refusal: where no trial has one.
    """
    trials, folder = search.study.trials(), search.planner.folder
    best = search.study.best()
    lines = {} if best is None else {"command": best_command(search, best)}
    states = {state.name.lower(): sum(t.state == state for t in trials) for state in TrialState}
    content = {
        "best": None if best is None else {**_row(best), **lines},
        "direction": search.settings.direction,
        "states": {name: count for name, count in states.items() if count},
        "trials": [_row(trial) for trial in trials],
    }
    OmegaConf.save(OmegaConf.create(content), folder / RESULTS)
    Console().print(_table(trials, best, folder))
    for trial in trials:
        if "reason" in trial.user_attrs:
            print(f"trial {trial.number} failed: {printable(str(trial.user_attrs['reason']))}")
    if best is None:
        reason = next((t.user_attrs["reason"] for t in reversed(trials) if "reason" in t.user_attrs), "all were pruned")
        raise Refusal(f"none of {len(trials)} trials came to a score; the last failure: {reason}")
    # Not through rich: a command line must be copied as one line.
    print(f"best: {best.value:.6g} (trial {best.number} of {len(trials)}; {folder / RESULTS})\n{lines['command']}")
    assert best.value is not None
    return best.value


def best_command(search: Search, best: FrozenTrial) -> str:
    """The command line that makes the best trial's run again, its values rounded to 6 digits."""
    drawn = {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in best.params.items()}
    words = command(search.fixed, drawn)
    return shlex.join(["python", *program(), *words])


def _row(trial: FrozenTrial) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": trial.number, "state": trial.state.name.lower(), "value": trial.value}
    row |= {"params": dict(sorted(trial.params.items()))}
    return row | ({"reason": trial.user_attrs["reason"]} if "reason" in trial.user_attrs else {})


def _table(trials: list[FrozenTrial], best: FrozenTrial | None, folder: Path) -> Table:
    names = sorted({name for trial in trials for name in trial.params})
    table = Table(
        "trial",
        "score",
        *(name.replace(".", ".\n") for name in names),
        title=f"{folder.name}: {len(trials)} trials, best first",
    )
    scored = [t for t in trials if t.state == TrialState.COMPLETE]
    sign = -1 if best is not None and all((t.value or 0) <= (best.value or 0) for t in scored) else 1
    order = sorted(scored, key=lambda t: sign * (t.value or 0)) + [t for t in trials if t not in scored]
    for trial in order:
        score = f"{trial.value:.4g}" if trial in scored else trial.state.name.lower().replace("fail", "failed")
        values = [trial.params.get(name, "") for name in names]
        table.add_row(str(trial.number), score, *(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values))
    return table
