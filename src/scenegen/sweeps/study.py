"""Optuna's study of a sweep, kept in the sweep's folder: values to try, reports on the way, outcomes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial, Trial, TrialState

from scenegen.base.console import printable
from scenegen.base.documents import of_shape
from scenegen.base.refusal import Refusal
from scenegen.base.seeding import hash_seed
from scenegen.config.groups import Sweep
from scenegen.sweeps.job import Outcome

STORAGE = "study.db"


class Study:
    """A study in `<folder>/study.db`, continued where there is one already.

    The values of trial n depend on (seed, n) and on the trials before it, so a resumed sweep draws the same values as
    an uninterrupted one. (With several jobs at a time, the order in which trials end is a matter of chance.)

    Args:
        folder: of the sweep.
        settings: the group `sweep`.
        space: searched value -> its distribution.
        fixed: overrides of every trial.

    Raises:
        Refusal: the folder holds a study of something else, or one that is damaged.
    """

    def __init__(
        self, folder: Path, *, settings: Sweep, space: Mapping[str, BaseDistribution], fixed: Sequence[str]
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.settings, self.space = settings, dict(space)
        self.path = folder / STORAGE
        self.study, before = self._opened()
        asked = {
            "fixed": sorted(fixed),
            "space": {key: distribution_to_json(value) for key, value in sorted(space.items())},
            "direction": settings.direction,
        }
        if before is not None and before != asked:
            changed = " and ".join(key for key in asked if asked[key] != before.get(key)) or "command line"
            raise Refusal(
                f"{self.path} is a study with another {changed}; give another hydra.sweep.dir=..., "
                "or the command line that it was started with"
            )
        self.study.set_user_attr("asked", asked)
        self._same_sign = settings.prune_direction == settings.direction

    def _opened(self) -> tuple[optuna.Study, dict[str, Any] | None]:
        """The study with all its trials read once, and the search that it was made for; None where it is new."""
        cure = "move it away to begin anew, or give another hydra.sweep.dir=runs/NAME"
        if self.path.exists() and not self.path.is_file():
            raise Refusal(f"the search's record {self.path} is no regular file; {cure}")
        try:
            study = optuna.create_study(
                storage=f"sqlite:///{self.path}",
                study_name="sweep",
                direction=self.settings.direction,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=self.settings.prune_after),
                load_if_exists=True,
            )
            study.get_trials(deepcopy=False)
            asked = study.user_attrs.get("asked")
        except Exception as error:  # SQLite's, SQLAlchemy's, JSON's or Optuna's own, by the place of the damage
            said = " ".join(str(getattr(error, "orig", None) or error).split()[:20])
            raise Refusal(f"the search's record {self.path} cannot be read ({printable(said)}); {cure}") from error
        return study, None if asked is None else of_shape(asked, dict[str, Any], what=f"{self.path}", cure=cure)

    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self.study.get_trials(deepcopy=False)

    def interrupted(self) -> list[Trial]:
        """Trials that were running when the sweep stopped, to be continued."""
        return [Trial(self.study, t._trial_id) for t in self.trials() if t.state == TrialState.RUNNING]

    def ask(self) -> Trial:
        """The next trial with its values."""
        number = len(self.trials())
        self.study.sampler = optuna.samplers.TPESampler(
            seed=hash_seed(self.settings.seed, number) % 2**32,
            n_startup_trials=self.settings.random_trials,
            constant_liar=True,  # trials under way count as bad ones, so that parallel jobs do not crowd
        )
        return self.study.ask(self.space)

    def hopeless(self, trial: Trial, rows: Sequence[Mapping[str, str]]) -> bool:
        """Report the new rows of a job's metrics.csv; true where the pruner gives the trial up."""
        column = self.settings.prune_on or ""
        reported = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for row in rows:
            step = int(float(row["step"]))
            if column in row and step not in reported and math.isfinite(value := float(row[column])):
                trial.report(value if self._same_sign else -value, step)
                if trial.should_prune():
                    return True
        return False

    def tell(self, trial: Trial, outcome: Outcome, *, pruned: bool) -> str | None:
        """Record a trial's outcome; returns the reason where it counts as failed."""
        if pruned:
            self.study.tell(trial, state=TrialState.PRUNED)
            return None
        value = outcome.value
        if outcome.status in ("done", "skipped") and _is_score(value):
            self.study.tell(trial, float(value))
            return None
        reason = outcome.sentence or f"its score is {value}"
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=TrialState.FAIL)
        return reason

    def best(self) -> FrozenTrial | None:
        """The best finished trial."""
        done = [t for t in self.trials() if t.state == TrialState.COMPLETE]
        return self.study.best_trial if done else None


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
