"""Watch over a command in a fork: what it starts, asks of a network, unpickles, loads or writes where it should not.

The interpreter's own audit events tell it, so a refusal that came too late is seen even if it left no trace.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

MEMORY = 3 << 30
"""Bytes of address space that a watched command may take beyond what it has at its start."""

STARTS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn", "socket.connect",
          "socket.getaddrinfo", "pickle.find_class"}  # fmt: skip
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of what its children leave running."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def end_orphans() -> int:
    """Number of processes that the last command left running; they are ended."""
    left = 0
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return left
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            left += 1
            os.kill(int(child), signal.SIGKILL)
        time.sleep(0.01)


def note(file: Path, used: resource.struct_rusage, *, left: int) -> None:
    """Write down what a command used: MiB at most, seconds of processor, processes left running."""
    lines = [f"memory {used.ru_maxrss >> 10}", f"seconds {used.ru_utime + used.ru_stime:.2f}"]
    file.write_text("\n".join([*lines, *(["left a process running"] if left else [])]))


def begin(seen: Path, *, root: Path, own: Path) -> None:
    """Watch this process from now on; what is seen is added to a file, a line each."""
    allowed = (f"{root}/", f"{own}/", "/dev/", os.environ["SCENEGEN_CACHE"])
    log = os.open(seen, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def outside(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a file descriptor, opened before
        where = os.path.abspath(os.fsdecode(path))
        return not where.startswith(allowed) and "__pycache__" not in where

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            found = isinstance(flags, int) and flags & WRITING and outside(path)
        elif event == "subprocess.Popen":
            found = arguments[1][0] != "git"
        elif event == "exec":  # a module's code, when it is imported
            found = arguments[0].co_filename.startswith(f"{root}/")
        elif event in ("ctypes.dlopen", "import"):
            found = str(arguments[event == "import"]).startswith(f"{root}/")
        else:
            found = event in STARTS or (event in CHANGES and outside(arguments[0]))
        if found:
            os.write(log, f"{event} {arguments!r}\n".encode(errors="replace"))

    sys.addaudithook(hook)
