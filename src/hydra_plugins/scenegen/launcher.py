"""One process per multirun job: DDP inside a job stays correct, and a failed job does not stop the others."""

# No postponed annotations here: Hydra executes this file outside sys.modules, where dataclasses cannot resolve them.
import gc
import importlib
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from scenegen.base.refusal import Refusal
from scenegen.sweeps.program import program
from scenegen.sweeps.starts_pools import StartsPools


@dataclass
class ProcessLauncherConfig:
    """hydra/launcher=process; conf/launcher/process.yaml documents the values."""

    _target_: str = "hydra_plugins.scenegen.launcher.ProcessLauncher"
    jobs: int | None = None
    gpus_per_job: int | None = None
    warm: bool = True


ConfigStore.instance().store(group="hydra/launcher", name="process", node=ProcessLauncherConfig, provider="scenegen")


class ProcessLauncher(Launcher, StartsPools):
    """Runs each job as `python -m <verb> <overrides>` and reads its return value from a file.

    Under Lightning's DDP every rank runs the command line again. Inside an ordinary multirun the ranks would
    each walk the whole sweep, and with a sweeper that draws values they silently train different ones; a job
    in a separate process has one command line for all its ranks. A job that its folder shows to be done
    is not run again, and one that has a checkpoint resumes.
    """

    def __init__(self, jobs: int | None = None, gpus_per_job: int | None = None, warm: bool = True) -> None:
        for name, value, least in (("jobs", jobs, 1), ("gpus_per_job", gpus_per_job, 0)):
            if value is not None and value < least:
                raise Refusal(f"hydra.launcher.{name}={value} must be {least} or more, or null")
        self.jobs, self.gpus_per_job, self.warm = jobs, gpus_per_job, warm

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        gc.enable()  # a sweep is long; cli/entry.py composes without
        self.config, self.context = config, hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from scenegen.sweeps.planner import Planner
        from scenegen.sweeps.table import write_table

        planner = Planner(loader=self.context.config_loader, config=self.config)
        planner.mark(list(self.config.hydra.overrides.task))
        jobs = planner.jobs(job_overrides, first=initial_job_idx)
        try:
            with self.pool() as pool:
                outcomes = pool.work(jobs)
        finally:  # after Ctrl-C too, for the jobs that are done
            write_table(planner.folder)
        return [_returned(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]

    def pool(self):
        """Pool (scenegen.sweeps.pool) in which the jobs run; a context manager."""
        from scenegen.sweeps.fork_server import IMPORTS
        from scenegen.sweeps.pool import Pool

        warm = IMPORTS if self.warm else ()
        return Pool(program=program(), width=self.jobs, gpus_per_job=self.gpus_per_job, warm=warm)


def _returned(job, outcome) -> JobReturn:
    result = JobReturn()
    result.overrides = list(job.overrides)
    result.cfg = OmegaConf.create({})
    good = outcome.status in ("done", "skipped")
    result.status = JobStatus.COMPLETED if good else JobStatus.FAILED
    result.return_value = outcome.value if good else Refusal(f"job {job.number} {outcome.sentence}")
    return result


ConfigStore.instance().store(
    group="hydra/launcher",
    name="elsewhere",
    node={"_target_": "hydra_plugins.scenegen.launcher.ElsewhereLauncher", "of": "???", "extra": "???"},
    provider="scenegen",
)


class ElsewhereLauncher(Launcher):
    """Another package's launcher (SLURM, Ray), whose workers start each job in a separate process.

    Args:
        of: its class.
        extra: the extra of scenegen that installs it.
        params: its options.
    """

    def __init__(self, of: str, extra: str, **params: object) -> None:
        self.of, self.extra, self.params = of, extra, params
        self.answers = "ray" if extra == "ray" else "submitit"

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        gc.enable()  # as above
        self.config, self.context = config, hydra_context
        module, _, name = self.of.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise Refusal(
                f"this launcher needs {module.split('.')[1].replace('_', '-')}, which is not installed: "
                f"pip install -e '.[{self.extra}]' in the checkout"
            ) from error
        self.launcher = found(**self.params)
        self.launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from scenegen.config.quoting import quoted
        from scenegen.sweeps.lost import lost_jobs_as_failed
        from scenegen.sweeps.planner import Planner
        from scenegen.sweeps.table import write_table

        planner = Planner(loader=self.context.config_loader, config=self.config)
        planner.mark(list(self.config.hydra.overrides.task))
        with open_dict(self.config):  # each job is composed anew, for a worker that may be in another folder
            self.config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(planner.folder))}")
        with lost_jobs_as_failed(self.answers):
            returns = self.launcher.launch([list(overrides) for overrides in job_overrides], initial_job_idx)
        for number, result in enumerate(returns, initial_job_idx):
            good = result.status == JobStatus.COMPLETED
            print(f"job {number}: {'done, ' if good else ''}{result._return_value}", flush=True)
        write_table(planner.folder)
        return returns
