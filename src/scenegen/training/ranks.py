"""Processes of one run on one machine (DDP): where one ends, the others end in bounded time, and the run says which."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess  # nosec B404  # its Popen objects are watched, none is started here
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import pytorch_lightning as pl
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch.distributed import DistError

from scenegen.base.console import printable
from scenegen.base.refusal import Refusal
from scenegen.runs.checkpoints import first_line
from scenegen.runs.folder import checkpoints_of, name_of, step_of

FIRST = "SCENEGEN_FIRST_RANK"
"""Process id of the process that started the other ranks, for them."""

PAUSE = 0.25
PATIENCE = 10.0
"""Seconds that a process may take to leave a call which waits for one that is gone."""

_LOST = re.compile(
    r"connection (was likely )?(closed|reset|refused)|broken pipe|remote peer|ncclRemoteError|communicator was aborted"
    r"|(gloo|nccl).*timed? ?out|recvvalue failed|failed to recv|watchdog",
    re.IGNORECASE | re.DOTALL,
)
"""Words of gloo, NCCL and the store about a partner that is gone; any other error of theirs is told as it is."""


class Ranks:
    """Watch over a run's processes for the length of a block; nothing where the run is one process.

    Lightning's own watch kills the first process, with no word, within five seconds.

    Args:
        trainer: Lightning's, before its `fit`.
        folder: the run's folder.

    Raises:
        Refusal: another process of the run ended before its time.
    """

    def __init__(self, trainer: pl.Trainer, folder: Path) -> None:
        self.folder = folder
        self.several = trainer.world_size > 1
        self.local_rank = trainer.local_rank
        self._launcher = trainer.strategy.launcher
        self._others: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()

    def __enter__(self) -> Ranks:
        if self.several:
            if self.local_rank == 0:
                os.environ[FIRST] = str(os.getpid())
            # torchrun and SLURM start every rank themselves: the first one is not the parent then, and is not watched.
            self._first = int(os.environ.get(FIRST, os.getppid()))
            look = self._look_after_others if self.local_rank == 0 else self._look_after_first
            self._thread = threading.Thread(target=look, daemon=True, name="ranks")
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.several:
            return
        self._over.set()
        self._thread.join()
        lost = is_lost(error)
        if self.local_rank > 0:
            if isinstance(error, Exception) and not lost:
                with contextlib.suppress(OSError):  # the error itself goes on; the first process then names the rank
                    self._reason(self.local_rank).write_text(f"{error}")
            if lost:
                self._leave_where_first_is_gone()  # the call may break before the watch looks again
                raise Refusal("another process of this run ended") from error
        elif error is not None:
            sentence = self._sentence(self._end_others(), error)
            if lost:
                raise Refusal(sentence) from error

    def _look_after_others(self) -> None:
        while not self._over.wait(PAUSE):
            self._take()
            if any(process.poll() for process in self._others):  # a status other than 0
                if not self._over.wait(PATIENCE):
                    leave(self._sentence(self._end_others(patience=0)))
                return

    def _look_after_first(self) -> None:
        while not self._over.wait(PAUSE):
            self._leave_where_first_is_gone()

    def _leave_where_first_is_gone(self) -> None:
        if os.getppid() != self._first:
            sentence = f"the process of rank 0 ended before its time; {go_on(self.folder)}"
            leave(sentence if self.local_rank == 1 else "")

    def _take(self) -> None:
        """Take the started processes over from Lightning, whose watch then has none to look at."""
        if isinstance(self._launcher, _SubprocessScriptLauncher):
            while self._launcher.procs:  # Lightning may be starting more of them meanwhile
                self._others.append(self._launcher.procs.pop(0))

    def _end_others(self, patience: float | None = None) -> dict[int, int]:
        """Ranks that end by themselves and their statuses; those that do not end in time are killed."""
        self._take()
        codes, end = {}, time.monotonic() + (PATIENCE if patience is None else patience)
        for rank, process in enumerate(self._others, 1):
            try:
                codes[rank] = process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        return codes

    def _sentence(self, codes: dict[int, int], error: BaseException | None = None) -> str:
        """Which process ended first as far as can be known, why, and how to go on; takes the reasons away.

        Args:
            codes: statuses of the ranks that ended by themselves.
            error: of this process' call to the others, where one broke.
        """
        files = {rank: self._reason(rank) for rank in range(1, len(self._others) + 1)}
        said = {rank: file.read_text(errors="replace") for rank, file in files.items() if file.is_file()}
        for file in files.values():
            file.unlink(missing_ok=True)
        killed = min((rank for rank, code in codes.items() if code < 0), default=None)
        if said:
            rank = min(said)
            what = f"the process of rank {rank} failed: {printable(said[rank])}"
        elif killed is not None:
            what = f"the process of rank {killed} was ended by {signal.Signals(-codes[killed]).name}"
        elif any(codes.values()) or error is None:
            what = "another process of this run ended before its time"
        else:
            what = f"a call between the processes of this run broke ({printable(first_line(error))})"
        return f"{what}; {go_on(self.folder)}"

    def _reason(self, rank: int) -> Path:
        """File in which a process leaves the sentence of its failure for the first one."""
        return self.folder / f".rank_{rank}"


def is_lost(error: BaseException | None) -> bool:
    """True for an error of a call between processes, as one gets whose partner is gone."""
    between = isinstance(error, DistError) or type(error) is RuntimeError
    return between and bool(_LOST.search(str(error)))


def go_on(folder: Path) -> str:
    """How to go on with a run that broke off."""
    saved = checkpoints_of(folder)
    if not saved:
        return "no checkpoint was saved before, so start the run again"
    return f"the checkpoint of step {step_of(saved[-1])} is whole: go on with resume={name_of(folder)}"


def leave(sentence: str) -> None:
    """End this process at once, from any thread, whatever the others wait for."""
    if sentence:
        sys.stderr.write(f"\nerror: {sentence}\n")
        sys.stderr.flush()
    os._exit(1)
