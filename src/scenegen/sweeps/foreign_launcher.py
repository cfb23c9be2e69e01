"""Runs a job in a separate process where a foreign launcher (SLURM, Ray, joblib) calls it inside a worker of its own.

Lightning's DDP starts every rank with the command line of the process it is in. Inside a submitit or Ray worker that
is the worker's command line; a separate process has the job's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.config.plan import digest
from scenegen.sweeps.job import Job
from scenegen.sweeps.planner import job_lines, resolved
from scenegen.sweeps.pool import Pool


def run_in_own_process(cfg: DictConfig, *, program: Sequence[str]) -> Any:
    """Run the job of a composed config in a separate process.

    Args:
        cfg: the job's config.
        program: the program, e.g. ["-m", "scenegen.train"].

    Returns:
        The job's value.

    Raises:
        Refusal: the job failed, or the sweep's folder is not there.
    """
    hydra = HydraConfig.get()
    _enter(Path(hydra.runtime.cwd))
    config = resolved(cfg)
    trainer = (config or {}).get("trainer") or {}
    if trainer.get("nodes", 1) > 1:
        raise Refusal(
            f"trainer.nodes={trainer['nodes']} under this launcher, whose jobs have one machine each; use "
            "trainer.nodes=1 with trainer.devices=..., or start the run with srun instead of a sweep"
        )
    overrides = job_lines(OmegaConf.to_container(hydra.overrides.task) or [])  # pyright: ignore[reportArgumentType]
    job = Job(
        number=int(hydra.job.num),
        overrides=overrides,
        own=" ".join(overrides),
        folder=Path(hydra.runtime.output_dir),
        digest=None if config is None else digest(config),
    )
    with Pool(program=program, width=1, gpus_per_job=0) as pool:
        (outcome,) = pool.work([job])
    if outcome.status not in ("done", "skipped"):
        raise Refusal(f"job {job.number} {outcome.sentence}")
    return outcome.value


def _enter(folder: Path) -> None:
    """Go to the folder in which the sweep was started: paths of its command line count from there, and the workers of a
    Ray that was there before are in another one."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise Refusal(
            f"{folder}, where the sweep was started, cannot be entered here ({error.strerror}); start it in a folder "
            "of a disk that all machines share"
        ) from error
