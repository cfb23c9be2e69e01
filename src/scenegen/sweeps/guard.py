"""Start of a job beside a watcher: the job's process group ends when the sweep is gone, however the sweep ended.

A script, run in the job's place. It forks the watcher and becomes the job, so the job keeps the process id that the
sweep knows. The watcher waits at a pipe whose other end only the sweep holds: the system closes it even after SIGKILL,
and there is no moment at which a job runs unwatched. Only the standard library's quick modules are imported.
"""

import contextlib
import json
import os
import select
import signal
import time

ORDER = "SCENEGEN_JOB"
"""Variable with the order: the job's command line, the pipe's descriptor, seconds between SIGTERM and SIGKILL.

Not on the command line: who looks for a job by its command line finds the job, and not its watcher.
"""


def main() -> None:
    """Fork the watcher and become the job."""
    order = json.loads(os.environ.pop(ORDER))
    watched(order["pipe"], grace=order["grace"])
    os.execv(order["command"][0], order["command"])  # nosec B606  # the sweep's own order; no shell


def watched(sweep: int, *, grace: float) -> None:
    """Fork the watcher of this process.

    Args:
        sweep: descriptor of the pipe whose other end only the sweep holds; closed here.
        grace: seconds between SIGTERM and SIGKILL.
    """
    alive, job = os.pipe()
    if os.fork() == 0:
        os.close(job)
        _watch(sweep, alive, grace=grace)
        os._exit(0)
    os.close(alive)
    os.close(sweep)
    os.set_inheritable(job, True)  # open as long as the job, or a process that it forked, lives


def _watch(sweep: int, alive: int, *, grace: float) -> None:
    """Wait for the end of the sweep or of the job; the job's group follows the sweep."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    if alive in select.select([sweep, alive], [], [])[0]:
        return
    end = time.monotonic() + grace
    with contextlib.suppress(ProcessLookupError):
        os.killpg(0, signal.SIGTERM)
        while time.monotonic() < end and not select.select([alive], [], [], 0.1)[0]:
            pass
        os.killpg(0, signal.SIGKILL)  # the watcher too


if __name__ == "__main__":
    main()
