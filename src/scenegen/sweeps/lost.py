"""Jobs that a cluster has lost (a killed worker, a machine that is gone): failed jobs, not the end of the sweep."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from hydra.core.utils import JobReturn, JobStatus

from scenegen.base.refusal import Refusal

LONGEST = 200
"""Letters of a cluster's own words that a sentence quotes."""


@contextmanager
def lost_jobs_as_failed(package: str) -> Iterator[None]:
    """While it is open, a job without an answer gives a failed JobReturn, where the package's collector would raise.

    The launchers of submitit and Ray collect the answers of all jobs in one list, of which the first lost job would
    take the rest along, although these jobs go on.

    Args:
        package: "submitit" or "ray".
    """
    owner, name, several = {
        "submitit": ("submitit.core.core", "Job.results", True),
        "ray": ("ray", "get", False),
    }[package]
    target: Any = importlib.import_module(owner)
    *path, name = name.split(".")
    for part in path:
        target = getattr(target, part)
    honest = getattr(target, name)

    def answer(*arguments: Any, **options: Any) -> Any:
        try:
            return honest(*arguments, **options)
        except Exception as error:  # each package has many, and a job's own are within a JobReturn
            failed = _failed(error)
            return [failed] if several else failed

    with patch.object(target, name, answer):
        yield


def _failed(error: Exception) -> JobReturn:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    result = JobReturn()
    result.status = JobStatus.FAILED
    result.return_value = Refusal(
        f"lost with its worker ({said[:LONGEST]}); the same command with the same hydra.sweep.dir goes on"
    )
    return result
