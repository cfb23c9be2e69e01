"""Real command lines in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

DATA = ("size=tiny", "data.count=16", "data.test_count=4")
"""A few small pictures, for every command."""

TINY = (*DATA, "width=tiny", "weights=random", "batch_size=2", "log_every=1")


def run(
    verb: str,
    *overrides: str,
    cwd: Path,
    timeout: float = 300,
    preexec_fn: Callable[[], None] | None = None,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    """python -m scenegen.<verb> <overrides>, with its output."""
    return subprocess.run(
        [sys.executable, "-m", f"scenegen.{verb}", *overrides],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        preexec_fn=preexec_fn,
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
