"""Log of a job: the sentence with which it failed, which is its last line."""

from __future__ import annotations

import contextlib
import re
import signal
from pathlib import Path

from scenegen.base.console import printable

LOG = "log.txt"

TAIL = 1 << 16
"""Bytes at a log's end in which its last sentence is looked for."""

_ERROR = re.compile(r"(?:^|(?<=[\r\n\]]))error: ")
"""Start of an error; a progress bar, which ends in a bracket, may stand before it on its line."""


def size_of(log: Path) -> int:
    """Bytes of a log; 0 where there is none."""
    return log.stat().st_size if log.is_file() else 0


def reason_of(log: Path) -> str:
    """Sentence of a job that failed: its log's last line where that is an error, else empty."""
    lines = _tail(log, start=0).splitlines()
    return lines[-1].removeprefix("error: ") if lines and lines[-1].startswith("error: ") else ""


def conclude(log: Path, code: int, *, start: int) -> str:
    """Reason of a job's failure, which becomes the last line of its log.

    Args:
        log: the log.
        code: exit status of the job; -n where signal n ended it.
        start: bytes of the log that an earlier start of the job wrote.

    Returns:
        The reason in one sentence, e.g. "ended with status 1: the disk took no more (No space left on device)".
    """
    text = _tail(log, start=start)
    said = found = _last_error(text)
    ended = f"ended with status {code}" if code >= 0 else f"ended by {_name(-code)}"
    if code == -signal.SIGKILL:
        ended += ", which the system sends where memory runs out"
    elif code >= 0 and not said:
        said = " ".join(text.rpartition("\n")[2].rpartition("\r")[2].split()) or "no output"
    reason = f"{ended}: {said}" if said else ended
    line = f"error: {found if code > 0 and found else reason}"
    if text.rpartition("\n")[2] != line:
        with contextlib.suppress(OSError), log.open("a") as file:  # a full disk: the reason is said all the same
            file.write(f"{'' if _ends_a_line(log) else chr(10)}{line}\n")
    return reason


def _ends_a_line(log: Path) -> bool:
    with log.open("rb") as file:
        file.seek(max(0, size_of(log) - 1))
        return file.read() in (b"", b"\n")


def _tail(log: Path, *, start: int) -> str:
    """The log's end as text, without blank lines behind it; at most TAIL bytes, and none before `start`."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(start, size_of(log) - TAIL))
        return file.read().decode(errors="replace").rstrip()


def _last_error(text: str) -> str:
    """Last error of a log in one line: the lines of a report follow its first with two blanks."""
    starts = [found.end() for found in _ERROR.finditer(text)]
    if not starts:
        return ""
    first, *rest = re.split(r"[\r\n]", text[starts[-1] :])
    more = []
    for line in rest:
        if not line.startswith("  "):
            break
        more.append(line)
    return printable(" ".join(" ".join([first, *more]).split()))


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
