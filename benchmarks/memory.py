"""Memory of a call: the process's largest resident size less its size before the call.

VmHWM of Linux, reset before the call, in a fresh process with one thread; getrusage's ru_maxrss would not do, as a
child inherits its parent's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

RETURNED = "MALLOC_MMAP_THRESHOLD_"
"""glibc's variable, read at the start: blocks of so many bytes and more go back to the system when they are freed."""


def returning(threshold: int) -> None:
    """Start this script anew with `RETURNED` set, once, so that the resident size follows the tensors that live.

    Without it what one pass left is used again by the next, which then grows nothing.
    """
    if RETURNED not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {RETURNED: str(threshold)})


def report(call: Callable[[], object], *, seconds: Callable[[], float] | None = None) -> None:
    """Print the MiB and the seconds of a call, for `measured` in the parent process.

    Args:
        call: the work.
        seconds: asked after the call for its seconds; None takes the CPU seconds of the process.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the largest size is now the present one
    before = resident("VmRSS")
    start = time.process_time()
    call()
    spent = time.process_time() - start
    print(resident("VmHWM") - before, spent if seconds is None else seconds())


def measured(script: str, *arguments: str) -> tuple[float, float]:
    """MiB and seconds that a script reports when it is started anew with some arguments."""
    told = subprocess.run([sys.executable, script, *arguments], check=True, capture_output=True, text=True).stdout
    mib, seconds = told.split()
    return float(mib), float(seconds)


def resident(key: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 2**10
