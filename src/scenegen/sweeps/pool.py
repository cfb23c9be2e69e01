"""Pool of parallel jobs: a limited number at a time, each with its own GPUs, all ended with the sweep."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any

from scenegen.base.files import near, read_json
from scenegen.runs.lock import holder
from scenegen.sweeps.fork_server import ForkServer
from scenegen.sweeps.job import GRACE, VALUE, Job, Outcome, Running, job_environment, standing
from scenegen.sweeps.log import LOG

PAUSE = 0.1
PATIENCE = 5.0
"""Seconds that a process in a job's folder has for its end, beside those between SIGTERM and SIGKILL."""


class Pool:
    """Starts jobs, watches them, and leaves none behind.

    Args:
        program: of every job, e.g. ["-m", "scenegen.train"].
        width: jobs at a time; None is as many as there are GPUs for, one where the jobs need none.
        gpus_per_job: GPUs that each job has for itself; None is what its trainer asks for, 0 lets every job see all.
        warm: imports of a process from which the jobs of a module are forked, where the system can; () forks none.
        say: prints.
    """

    def __init__(
        self,
        *,
        program: Sequence[str],
        width: int | None = None,
        gpus_per_job: int | None = None,
        warm: Sequence[str] = (),
        say: Callable[[str], Any] = lambda text: print(text, flush=True),
    ) -> None:
        self.program, self.width, self.gpus_per_job, self.say = program, width, gpus_per_job, say
        self.warm = warm if sys.platform == "linux" and list(program[:1]) == ["-m"] else ()
        self.server: ForkServer | None = None
        self.running: list[Running] = []
        self._ready: list[tuple[Job, Outcome]] = []

    @cached_property
    def _idle(self) -> list[str]:
        return visible_gpus()

    @cached_property
    def _gpus(self) -> int:
        return len(self._idle)

    def __enter__(self) -> Pool:
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, _interrupt)
        self._pipe = os.pipe()  # the jobs' watchers see its other end closed when this process is gone
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.say(f"ending {len(self.running)} running job(s); the same command with the same folder goes on")
        while self.running:
            for running in self.running:
                running.stop()
            self.finished()
        if self.server is not None:
            self.server.close()
        for end in self._pipe:
            os.close(end)
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def can_start(self, job: Job) -> bool:
        """True where there is room, and GPUs, for a job now."""
        need = self._need(job)
        width = self.width or (max(1, self._gpus // need) if need else 1)
        return len(self.running) < width and (not need or len(self._idle) >= need)

    def start(self, job: Job) -> None:
        """Start a job, unless its folder shows that it is done already, or another process works in it for long."""
        if (refused := self._wait_for(job)) is not None:
            self._ready.append((job, refused))
            self._tell(job, refused)
            return
        if standing(job) == "done":
            value = read_json(job.folder / VALUE)
            self.say(f"job {job.number}: skipped, was done before: {value} ({near(job.folder)})")
            self._ready.append((job, Outcome("skipped", value=value)))
            return
        need = self._need(job)
        devices = [self._idle.pop(0) for _ in range(need)] if need else None
        try:
            server = self._server_for(job)
            running = Running(job, program=self.program, devices=devices, pipe=self._pipe[0], server=server)
        except OSError as error:  # a full disk, a folder that cannot be made, no more processes
            self._idle.extend(devices or ())
            if self.warm and self.server is not None and self.server.gone:  # it ended between the look and the order
                self.start(job)
                return
            refused = Outcome("failed", sentence=f"cannot be started: {error}")
            self._ready.append((job, refused))
            self._tell(job, refused)
            return
        self.running.append(running)
        where = f" on GPU {','.join(devices)}" if devices else ""
        self.say(f"job {job.number}{where} -> {near(job.folder / LOG)}{running.how}")

    def finished(self) -> list[tuple[Job, Outcome]]:
        """The jobs that have ended since the last call, after a short wait."""
        ended, self._ready = self._ready, []
        if not ended:
            time.sleep(PAUSE)
        for running in list(self.running):
            if (outcome := running.poll()) is not None:
                self.running.remove(running)
                if running.devices:
                    self._idle.extend(running.devices)
                ended.append((running.job, outcome))
                self._tell(running.job, outcome)
        return ended

    def work(self, jobs: Sequence[Job]) -> list[Outcome]:
        """All jobs, in order as room allows; their outcomes in that order."""
        waiting, outcomes = list(jobs), {}
        while len(outcomes) < len(jobs):
            while waiting and self.can_start(waiting[0]):
                self.start(waiting.pop(0))
            outcomes |= {job.number: outcome for job, outcome in self.finished()}
        return [outcomes[job.number] for job in jobs]

    def _server_for(self, job: Job) -> ForkServer | None:
        """The process that forks the jobs; None where it does not fork, or has ended, which is told once."""
        if not self.warm:
            return None
        if self.server is None:
            folder = job.folder.parent.resolve()
            self.server = ForkServer(
                pipe=self._pipe[0], folder=folder, environment=job_environment(), imports=self.warm
            )
        if self.server.gone:
            self.warm = ()  # its jobs are still heard of, through the server that they hold
            self.say("the process that forks the jobs has ended; from here each is an interpreter of its own")
            return None
        return self.server

    def _wait_for(self, job: Job) -> Outcome | None:
        """Wait for a process in the job's folder, such as a job of a killed sweep that saves its last step.

        Returns:
            The job's failure where that process does not end, else None.
        """
        if (other := holder(job.folder)) is None:
            return None
        self.say(f"job {job.number}: waits for {other}, which still runs in {near(job.folder)}")
        end = time.monotonic() + GRACE + PATIENCE
        while time.monotonic() < end:
            time.sleep(PAUSE)
            if holder(job.folder) is None:
                return None
        return Outcome("failed", sentence=f"{other} still runs in its folder; end it, and give the same command again")

    def _need(self, job: Job) -> int:
        asked = job.gpus if self.gpus_per_job is None else self.gpus_per_job
        return min(asked, self._gpus) if asked else 0

    def _tell(self, job: Job, outcome: Outcome) -> None:
        if outcome.status == "failed":
            print(f"job {job.number}: failed, {outcome.sentence}", file=sys.stderr, flush=True)
        elif outcome.status == "done":
            self.say(f"job {job.number}: done, {outcome.value}")


def visible_gpus() -> list[str]:
    """The GPUs that this process may hand out, as CUDA_VISIBLE_DEVICES spells them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device.strip() for device in visible.split(",") if device.strip()]
    import torch

    return [str(i) for i in range(torch.cuda.device_count())]


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
