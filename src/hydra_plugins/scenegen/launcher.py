"""One process per multirun job: DDP inside a job stays correct, and a job that fails leaves the others alone."""

# No postponed annotations here: Hydra executes this file outside sys.modules, where dataclasses cannot resolve them.
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from scenegen.refusal import Refusal


@dataclass
class ProcessLauncherConfig:
    """hydra/launcher=process: `hydra.launcher.jobs` processes at a time."""

    _target_: str = "hydra_plugins.scenegen.launcher.ProcessLauncher"
    jobs: int = 1


ConfigStore.instance().store(group="hydra/launcher", name="process", node=ProcessLauncherConfig, provider="scenegen")


class ProcessLauncher(Launcher):
    """Runs each job as `python -m <verb> <overrides>` and reads its return value from a file.

    Under Lightning's DDP every rank runs the command line again. Inside an ordinary multirun the ranks would
    each walk the whole sweep, and with a sweeper that draws values they silently train different ones; a job
    that is a process of its own has one command line for all its ranks.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        with ThreadPoolExecutor(max(1, self.jobs)) as pool:
            # What all jobs share tells nothing about one of them.
            shared = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
            jobs = [
                (initial_job_idx + i, list(overrides), [o for o in overrides if o not in shared])
                for i, overrides in enumerate(job_overrides)
            ]
            return list(pool.map(lambda job: self._run(*job), jobs))

    def _run(self, number: int, overrides: list[str], own: list[str]) -> JobReturn:
        from scenegen.command import RETURN_VARIABLE

        label = "_".join(o.replace("/", "-") for o in own) or "job"
        folder = Path(self.config.hydra.sweep.dir).absolute() / f"{number}_{label}"[:200]
        folder.mkdir(parents=True, exist_ok=True)
        value_file = folder / "return.json"
        value_file.unlink(missing_ok=True)
        main = sys.modules["__main__"].__spec__
        program = ["-m", main.name] if main else [os.path.abspath(sys.argv[0])]
        command = [sys.executable, *program, *overrides, f"hydra.run.dir={_quoted(folder)}"]
        print(f"job {number}: {' '.join(own) or 'as given'} -> {folder}/log.txt", flush=True)
        with (folder / "log.txt").open("w") as log:
            code = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, RETURN_VARIABLE: str(value_file)}
            ).returncode
        result = JobReturn()
        result.overrides = overrides
        result.cfg = OmegaConf.create({})
        if code == 0 and value_file.exists():
            result.status = JobStatus.COMPLETED
            result.return_value = json.loads(value_file.read_text())
            print(f"job {number}: done, {result.return_value}", flush=True)
        else:
            result.status = JobStatus.FAILED
            sentence = _last_line(folder / "log.txt")
            result.return_value = Refusal(f"job {number} ended with status {code}: {sentence}")
            print(f"job {number}: failed with status {code}: {sentence}", file=sys.stderr, flush=True)
        return result


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["no output"])[-1]


def _quoted(folder: Path) -> str:
    text = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
