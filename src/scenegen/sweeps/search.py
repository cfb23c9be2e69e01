"""A search for values: trials become jobs, jobs become scores."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus
from optuna.trial import Trial

from scenegen.base.refusal import Refusal
from scenegen.runs.folder import METRICS
from scenegen.runs.rows import read_rows
from scenegen.sweeps.job import STOP, Job, Outcome
from scenegen.sweeps.planner import Planner
from scenegen.sweeps.pool import Pool
from scenegen.sweeps.space import command
from scenegen.sweeps.study import Study

PAUSE = 1.0
"""Seconds between two looks at the running jobs' metrics."""


class Search:
    """Runs the remaining trials of a study.

    Args:
        study: the study.
        planner: makes jobs.
        fixed: overrides of every job.
    """

    def __init__(self, study: Study, planner: Planner, *, fixed: Sequence[str]) -> None:
        self.study, self.planner, self.fixed = study, planner, list(fixed)
        self.settings = study.settings
        self._interrupted = study.interrupted()
        self._live: dict[int, tuple[Trial, Job]] = {}
        self._pruned: set[int] = set()
        self._looked = 0.0

    def in_pool(self, pool: Pool) -> None:
        """Run a trial in every place of a pool that becomes free."""
        anyone = self.planner.job(0, self.fixed, [])
        while True:
            while pool.can_start(anyone) and (found := self._next()):
                self._live[found[1].number] = found
                pool.start(found[1])
            if not self._live:
                return
            for job, outcome in pool.finished():
                self._tell(job.number, outcome)
            self._prune()

    def in_batches(self, launcher) -> None:
        """Run `sweep.batch` trials at a time, for launchers that take a list and return when all of it is done."""
        while batch := self._batch():
            self._live |= {job.number: (trial, job) for trial, job in batch}
            for first, jobs in _runs_of([job for _, job in batch]):
                for job, outcome in zip(jobs, self._launch(launcher, jobs, first), strict=True):
                    self._tell(job.number, outcome)

    def _launch(self, launcher, jobs: Sequence[Job], first: int) -> list[Outcome]:
        returns: list[Any] = []
        errors: list[BaseException] = []
        lines = [self.planner.with_launcher(job.overrides) for job in jobs]

        def work() -> None:
            try:
                returns.extend(launcher.launch(lines, initial_job_idx=first))
            except BaseException as error:  # raised again in the main thread
                errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(timeout=0.2)
            self._prune()
        if errors:
            raise errors[0]
        return [_outcome(job_return) for job_return in returns]

    def _batch(self) -> list[tuple[Trial, Job]]:
        batch = []
        while len(batch) < self.settings.batch and (waiting := self._next()):
            batch.append(waiting)
        return batch

    def _next(self) -> tuple[Trial, Job] | None:
        if self._interrupted:
            trial = self._interrupted.pop(0)
        elif len(self.study.trials()) < self.settings.trials:
            trial = self.study.ask()
        else:
            return None
        return trial, self._job(trial)

    def _job(self, trial: Trial) -> Job:
        drawn = sorted(trial.params.items())
        own = [f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in drawn]
        return self.planner.job(trial.number, command(self.fixed, trial.params), own)

    def _tell(self, number: int, outcome: Outcome) -> None:
        trial, job = self._live.pop(number)
        if self.settings.prune_on is not None and number not in self._pruned:
            # what was logged since the last look counts for the others' median
            self.study.hopeless(trial, read_rows(self._folder(job) / METRICS))
        pruned = number in self._pruned and outcome.status != "done"
        reason = self.study.tell(trial, outcome, pruned=pruned)
        if pruned:
            print(f"job {number}: pruned, {self.settings.prune_on} is behind the others' median", flush=True)
        elif reason and outcome.status != "failed":
            print(f"job {number}: counts as failed, {reason}", flush=True)

    def _prune(self) -> None:
        if self.settings.prune_on is None or time.monotonic() - self._looked < PAUSE:
            return
        self._looked = time.monotonic()
        for number, (trial, job) in self._live.items():
            folder = self._folder(job)
            if number not in self._pruned and self.study.hopeless(trial, read_rows(folder / METRICS)):
                self._pruned.add(number)
                (folder / STOP).touch()

    def _folder(self, job: Job) -> Path:
        """A job's folder; launchers other than ours name it by its number only."""
        return job.folder if job.folder.is_dir() else job.folder.parent / str(job.number)


def _runs_of(jobs: Sequence[Job]) -> Iterator[tuple[int, list[Job]]]:
    """Jobs whose numbers follow each other, since a launcher counts on from the first."""
    chain: list[Job] = []
    for job in jobs:
        if chain and job.number != chain[-1].number + 1:
            yield chain[0].number, chain
            chain = []
        chain.append(job)
    if chain:
        yield chain[0].number, chain


def _outcome(job_return: Any) -> Outcome:
    if job_return.status == JobStatus.COMPLETED:
        return Outcome("done", value=job_return._return_value)
    error = job_return._return_value
    if isinstance(error, Refusal):
        return Outcome("failed", sentence=str(error))
    return Outcome("failed", sentence=f"{type(error).__name__}: {error}")
