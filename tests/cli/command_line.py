"""Real command lines in a process of their own."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

DATA = ("size=tiny", "data.count=16", "data.test_count=4")
"""A few small pictures, for every command."""

TINY = (*DATA, "width=tiny", "weights=random", "batch_size=2", "log_every=1")


LARGE_PAGES = "glibc.malloc.hugetlb=1"
"""Lets malloc ask for large pages, where the system gives them to who asks: a fork copies fewer entries then."""


class Warm:
    """The process that forks commands (warm.py), started at the first one."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def run(
        self,
        command: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        timeout: float,
        root: Path | None = None,
        file_bytes: int = 0,
    ) -> tuple[int, str, str, list[str]]:
        """Exit status, stdout and stderr of a command given as [module, *arguments], and what was seen of it.

        Its greatest memory and whether it left something running are among what was seen. With a root it is watched
        (watch.py), and what it started, asked of a network or wrote outside the root is among it too.
        """
        if self.process is None:
            start = [sys.executable, str(Path(__file__).with_name("warm.py"))]
            self.process = subprocess.Popen(
                start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                env={**os.environ, "OMP_NUM_THREADS": "1", "GLIBC_TUNABLES": LARGE_PAGES},
            )  # fmt: skip
            atexit.register(self.process.terminate)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            order = {"module": command[0], "arguments": command[1:], "cwd": str(cwd), "env": env,
                     "root": str(root or ""), "file_bytes": file_bytes}  # fmt: skip
            (Path(folder) / "order.json").write_text(json.dumps(order))
            self.process.stdin.write(f"{folder}\n")
            child = int(self.process.stdout.readline())
            late = threading.Timer(timeout, os.kill, (child, signal.SIGKILL))
            late.start()
            status = int(self.process.stdout.readline())
            if not late.is_alive():
                raise subprocess.TimeoutExpired(command, timeout)
            late.cancel()
            out, err, seen, used = (
                file.read_text(errors="replace") if (file := Path(folder) / name).exists() else ""
                for name in ("stdout", "stderr", "seen", "used")
            )
            return status, out, err, [*seen.splitlines(), *used.splitlines()]


WARM = Warm()


def run(
    verb: str,
    *overrides: str,
    cwd: Path,
    timeout: float = 300,
    file_bytes: int = 0,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    """python -m scenegen.<verb> <overrides>, with its output: in a fork of a process that has imported what it needs.

    The interpreter itself is started where it must be: for what it reads on its way up (PYTHON..., LC_...). The other
    ranks of a run on several devices are interpreters that the fork starts.

    Args:
        file_bytes: size of the largest file that it may write, as on a disk that is nearly full; 0 sets no limit.
    """
    whole = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    early = any(key.startswith(("PYTHON", "LC_", "OMP_")) for key in env)
    if not early:
        command = [f"scenegen.{verb}", *overrides]
        seen = WARM.run(command, cwd=cwd, env=whole, timeout=timeout, file_bytes=file_bytes)
        return subprocess.CompletedProcess(command, *seen[:3])
    return subprocess.run(
        [sys.executable, "-m", f"scenegen.{verb}", *overrides],
        cwd=cwd,
        env=whole,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def sentence(finished: subprocess.CompletedProcess[str]) -> str:
    """The one line that explains a refusal; asserts that the command ended as a refusal does."""
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr, finished.stderr
    lines = [line for line in finished.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, finished.stderr
    return lines[0].removeprefix("error: ")
