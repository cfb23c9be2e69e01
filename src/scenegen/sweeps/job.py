"""One run of a multirun in a separate process, with its process tree."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess  # nosec B404  # a job is a process of this interpreter
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scenegen.base.files import read_json
from scenegen.config.quoting import quoted
from scenegen.config.stored import digest_today
from scenegen.runs.folder import RECORD, checkpoints_of
from scenegen.runs.lock import LOCK
from scenegen.sweeps import guard
from scenegen.sweeps.fork_server import ForkServer
from scenegen.sweeps.log import LOG, conclude, size_of
from scenegen.sweeps.program import RETURN_VARIABLE

VALUE, STOP, REPLACED = "return.json", "stop", "replaced"
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

FOREIGN = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE")
"""Variables of a process group that a job must not inherit, since its DDP sets them anew."""


@dataclass(frozen=True)
class Job:
    """A job of a sweep.

    Attributes:
        number: place in the sweep.
        overrides: its whole command line.
        own: overrides that the other jobs do not have, for people.
        folder: where it runs.
        digest: of its config, or None where that does not resolve (the job then reports the fault).
        gpus: GPUs that it asks for.
    """

    number: int
    overrides: Sequence[str]
    own: str
    folder: Path
    digest: str | None
    gpus: int = 0


@dataclass(frozen=True)
class Outcome:
    """End of a job: `value` where it is done or was done before, one sentence where it is not."""

    status: Literal["done", "skipped", "failed", "stopped"]
    value: Any = None
    sentence: str = ""


def standing(job: Job) -> Literal["new", "done", "half", "replace"]:
    """Content of a job's folder: nothing yet, this job finished, this job with a checkpoint, or anything else."""
    if not job.folder.is_dir() or {path.name for path in job.folder.iterdir()} <= {LOG, STOP, VALUE, LOCK}:
        return "new"
    record = read_json(job.folder / RECORD)
    if not isinstance(record, dict) or job.digest is None:
        return "replace"
    # A run made before a key moved has another digest in its record.
    if record.get("config") != job.digest and digest_today(job.folder) != job.digest:
        return "replace"
    if finished(job.folder):
        return "done"
    return "half" if checkpoints_of(job.folder) else "replace"


def finished(folder: Path) -> bool:
    """True where the job of a folder ended well."""
    try:
        json.loads((folder / VALUE).read_text())
    except (OSError, ValueError):
        return False
    return True


class Running:
    """A job that has been started.

    Args:
        job: the job.
        program: of the job, e.g. ["-m", "scenegen.train"].
        devices: the GPUs that it may see; None leaves that as it is.
        pipe: descriptor of a pipe's end for reading, whose other end the sweep alone holds.
        server: forks the job; None starts an interpreter.
    """

    def __init__(
        self,
        job: Job,
        *,
        program: Sequence[str],
        devices: Sequence[str] | None,
        pipe: int,
        server: ForkServer | None = None,
    ) -> None:
        self.job = job
        self.devices = devices
        self.stopped_at: float | None = None
        before = standing(job)
        if before == "replace":
            _set_aside(job.folder)
        job.folder.mkdir(parents=True, exist_ok=True)
        for name in (VALUE, STOP):
            (job.folder / name).unlink(missing_ok=True)
        folder = quoted(job.folder)
        arguments = [f"resume={folder}"] if before == "half" else list(job.overrides)
        self.how = {"new": "", "half": " (goes on from its checkpoint)", "replace": " (anew; the old folder is kept)"}[
            str(before)
        ]
        environment = job_environment() | {RETURN_VARIABLE: str(job.folder / VALUE)}
        if devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
        log, words = job.folder / LOG, [*arguments, f"hydra.run.dir={folder}"]
        self.logged_before = size_of(log) if before == "half" else 0
        with log.open("a" if before == "half" else "w") as written:
            if server is not None:
                self.process = server.start(program[-1], words, environment=environment, log=log, grace=GRACE)
                return
            command = [sys.executable, *program, *words]
            environment[guard.ORDER] = json.dumps({"command": command, "pipe": pipe, "grace": GRACE})
            self.process = subprocess.Popen(  # nosec B603  # no shell; this interpreter and the sweep's own words
                [sys.executable, "-I", "-S", guard.__file__],  # becomes the job
                stdout=written,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                pass_fds=[pipe],
                start_new_session=True,
            )

    def poll(self) -> Outcome | None:
        """The outcome, or None while the job runs; a file `stop` in its folder ends it."""
        code = self.process.poll()
        if code is None:
            if (self.job.folder / STOP).exists():
                self.stop()
            return None
        self._signal(signal.SIGKILL)  # what it may have left of its process tree
        if self.stopped_at is not None:
            return Outcome("stopped", sentence="stopped")
        if code == 0 and finished(self.job.folder):
            return Outcome("done", value=read_json(self.job.folder / VALUE))
        return Outcome("failed", sentence=conclude(self.job.folder / LOG, code, start=self.logged_before))

    def stop(self) -> None:
        """Ask the process tree to end, and end it when it does not."""
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()
            self._signal(signal.SIGTERM)
        elif time.monotonic() - self.stopped_at > GRACE:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def job_environment() -> dict[str, str]:
    """This process's variables, less those of a process group, which a job's DDP sets anew."""
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    if "SLURM_NTASKS" in environment:
        # Lightning then starts a job's ranks itself, instead of waiting for one SLURM task per rank.
        environment["SLURM_JOB_NAME"] = "bash"
    return environment


def _set_aside(folder: Path) -> None:
    """Move a folder that holds something else into <sweep>/replaced/."""
    aside = folder.parent / REPLACED
    aside.mkdir(exist_ok=True)
    taken = len(list(aside.glob(f"{folder.name.partition('_')[0]}_*")))
    folder.rename(aside / f"{folder.name[:200]}.{taken + 1}")
