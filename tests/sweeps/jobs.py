"""Jobs that take no time, and processes looked at from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from scenegen.sweeps.job import Job

PROGRAM = """
import json, os, pathlib, signal, subprocess, sys, time
given = dict(word.split("=", 1) for word in sys.argv[1:])
folder = pathlib.Path(given["hydra.run.dir"].strip("'"))
(folder / "run.json").write_text(json.dumps({"config": "digest", "overrides": sys.argv[1:-1]}))
do = given.get("do")
if do == "bar":
    sys.stderr.write("\\rtraining: 0%|  | 0/2\\rtraining: 100%|#####| 2/2 [00:01, G=nan]error: it became nan\\n")
    sys.stderr.write("a library says goodbye\\n")
    sys.exit(1)
if do == "report":
    sys.exit("error: two faults:\\n  a is 1\\n  b is 2")
if do == "silent":
    sys.exit(3)
if do in ("SIGTERM", "SIGKILL"):
    print("at work", flush=True)
    os.kill(os.getpid(), getattr(signal, do))
    time.sleep(60)
if do in ("hang", "deaf"):
    if do == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", str(folder)])
    (folder / "child").write_text(str(child.pid))
    time.sleep(600)
pathlib.Path(os.environ["SCENEGEN_RETURN"]).write_text(given.get("value", "0.5"))
"""


def program_in(folder: Path) -> list[str]:
    """A job's program, as the pool takes it."""
    (folder / "job.py").write_text(PROGRAM)
    return [str(folder / "job.py")]


def job(sweep: Path, number: int, *overrides: str) -> Job:
    return Job(number, overrides, "", sweep / f"{number}_{'_'.join(overrides)}", "digest")


def processes(word: str) -> list[int]:
    """Processes, no zombies, whose command line holds a word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if word in command:
                found.append(int(entry.name))
    return found


def until(condition: Callable[[], object], seconds: float = 180.0) -> None:
    """Wait for a condition; an AssertionError where it does not come true, on a busy machine too."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
