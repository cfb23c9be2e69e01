"""Jobs forked from one process that has imported the libraries: importing them is most of a short job's time.

The server imports and then only forks: it starts no thread, opens no GPU and computes nothing, so a job begins as a
fresh interpreter does. It is started with the sweep's folder on its command line, by which its jobs are found too.
Linux only; elsewhere, and where `hydra.launcher.warm=false`, each job is an interpreter of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import subprocess  # nosec B404  # this interpreter, with words of ours
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from scenegen.sweeps import guard

LIBRARIES = ("torch", "torchvision", "pytorch_lightning", "torchmetrics", "matplotlib.figure", "hydra", "scipy.stats")
ROOMS = ("base", "config", "data", "losses", "metrics", "networks", "reporting", "runs", "sampling", "scoring",
         "tracking", "training")  # fmt: skip
IMPORTS = (*LIBRARIES, *(f"scenegen.{room}" for room in ROOMS))
"""What a training imports, rooms with all their files; not the commands, which run where they are started."""


class ForkServer:
    """The sweep's side: starts jobs and hears of their ends.

    Args:
        pipe: descriptor of a pipe's end for reading, whose other end the sweep alone holds.
        folder: the sweep's.
        environment: of the jobs, but for what each has of its own.
        imports: modules, and packages with all their modules, that the server imports.
    """

    def __init__(self, *, pipe: int, folder: Path, environment: Mapping[str, str], imports: Sequence[str]) -> None:
        self.process = subprocess.Popen(  # nosec B603  # no shell; this interpreter and words of ours
            [sys.executable, "-m", __name__, str(folder), str(pipe), *imports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            pass_fds=[pipe],
            start_new_session=True,
        )
        self.ends: dict[int, int] = {}
        self._begun: list[int] = []
        self._rest = b""
        self._silent = False  # its pipes close some time before the system lets go of the process

    def start(
        self, module: str, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path, grace: float
    ) -> Forked:
        """Start a job whose output is appended to a log.

        Raises:
            OSError: the server is gone.
        """
        order = {"module": module, "arguments": list(arguments), "environment": dict(environment),
                 "log": str(log.resolve()), "grace": grace}  # fmt: skip
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self._silent = True
        while not self._begun:
            if self._silent or not self._hear(wait=None):
                raise OSError("the process that starts the jobs has ended")
        return Forked(self, self._begun.pop())

    @property
    def gone(self) -> bool:
        """True where the server has ended, or is about to: one that is killed or cannot import."""
        return self._silent or self.process.poll() is not None

    def listen(self) -> bool:
        """Hear what has ended; False where the server is gone."""
        return self._hear(wait=0)

    def close(self) -> None:
        """End the server; its jobs have ended, or end by their watchers."""
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self.process.wait()

    def _hear(self, *, wait: float | None) -> bool:
        assert self.process.stdout is not None
        while select.select([self.process.stdout], [], [], wait)[0]:
            read = os.read(self.process.stdout.fileno(), 1 << 16)
            if not read:
                self._silent = True
                return False
            *lines, self._rest = (self._rest + read).split(b"\n")
            for line in lines:
                pid, *status = map(int, line.split())
                if status:
                    self.ends[pid] = status[0]
                else:
                    self._begun.append(pid)
            wait = 0
        return True


class Forked:
    """A job of a fork server, with what Popen says of one."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.server, self.pid = server, pid

    def poll(self) -> int | None:
        """Exit status, -n where signal n ended it; None while it runs."""
        if not self.server.listen() and self.pid not in self.server.ends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 0)
                return None
            return 1  # the server was killed before it could say; the job's value, or its log, says more
        return self.server.ends.get(self.pid)


def serve(pipe: int, answers: int) -> dict[str, Any] | None:
    """Fork a job for every line of stdin, and tell pids and ends. Returns the order in each job, None in the server."""
    orders, left, running = 0, b"", set()
    while True:
        if select.select([orders], [], [], 0.05)[0]:
            read = os.read(orders, 1 << 16)
            if not read:
                return None
            *lines, left = (left + read).split(b"\n")
            for line in lines:
                if (pid := os.fork()) == 0:
                    os.close(answers)
                    return become(json.loads(line), pipe)
                running.add(pid)
                os.write(answers, f"{pid}\n".encode())
        for pid in list(running):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                running.remove(pid)
                os.write(answers, f"{pid} {os.waitstatus_to_exitcode(status)}\n".encode())


def become(order: dict[str, Any], pipe: int) -> dict[str, Any]:
    """Give a forked process its group, watcher, streams and environment."""
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for opened, streams in ((nothing, (0,)), (log, (1, 2))):
        for stream in streams:
            os.dup2(opened, stream)
        os.close(opened)
    guard.watched(pipe, grace=order["grace"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = [order["module"], *order["arguments"]]
    return order


def import_all(names: Iterable[str]) -> None:
    """Import modules, and of this package's rooms every module."""
    for name in names:
        with contextlib.suppress(ImportError):  # a library of an extra; the job that needs it says so
            found = importlib.import_module(name)
            inside = found.__spec__.submodule_search_locations if found.__spec__ else None
            if name.startswith("scenegen.") and inside:
                import_all(sorted(part.name for part in pkgutil.iter_modules(inside, f"{name}.")))


def main() -> None:
    """Import, serve, and in each job run its command."""
    pipe, imports, answers = int(sys.argv[2]), sys.argv[3:], os.dup(1)
    os.dup2(2, 1)
    import_all(imports)
    gc.freeze()  # a collection in a job would copy every page that they share
    if threading.active_count() > 1:
        sys.exit("error: a library started a thread; give hydra.launcher.warm=false")
    order = serve(pipe, answers)
    end(0 if order is None else run(order["module"]))


def run(module: str) -> int:
    """Exit status of `python -m module`."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:  # whatever a command raises, an interpreter prints
        traceback.print_exc()
        return 1
    return 0


def end(status: int) -> NoReturn:
    """End as an interpreter does, but for taking the libraries apart, which takes a second."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
