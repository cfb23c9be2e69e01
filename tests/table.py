"""Tables of command lines that must be refused: a row is an input, a command and the words that are expected.

A row is added to the ROWS of one of the files in tests/bad_input/ (what a clumsy user does) or tests/hostile/ (what an
unkind one does):

    Row("size-zero", "train size.height=0", words=("size.height=0", "1 or more")),
    Row("list-of-classes", "check data=folder data.root=data", build=lambda here: pairs(here / "data", classes="[]"),
        words=("data/classes.json", "names a class")),

`build` makes the input in an empty folder, in which the command then runs; tests/worlds.py has the things to build from
(pairs of pictures, label maps, a trained run, files of any content). Checked for every row: the status, one line on
stderr that begins with "error: " and has the words, no traceback, no "defect of scenegen", no control character in the
output, nothing written or changed in the folder and two folders above it, in TMPDIR or anywhere else, no program
started, no network asked, nothing unpickled, no module loaded from the folder, no process left, bounded time and
memory. `spared` names what a command may write (glob patterns, from the command's folder); `after` looks at what came
out, for rows that end with status 0.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.cli.command_line import WARM

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffd]")
HOME = "above/here/runs"
"""The one folder that a refused training may leave, when it is empty."""

LIMIT_MIB = 2500
"""Greatest memory of a command; what it shares with the process it is forked from is counted too."""


@dataclass(frozen=True)
class Finished:
    """A command's end: its status, its output and the folder that it ran in."""

    status: int
    out: str
    err: str
    here: Path


@dataclass(frozen=True)
class Row:
    """One input, one command, and what is expected; see this file's head.

    Attributes:
        name: id of the row.
        command: verb and overrides as a shell would read them; "" as the verb is `python -m scenegen`.
        build: makes the input; takes the empty folder.
        words: what the sentence must hold; one at least that the command does not hold.
        status: exit status.
        spared: patterns of files that may be written.
        after: looks at what came out.
        seconds: seconds of a core that it may take.
        env: variables of the environment.
        report: the findings on stdout are the answer, without an error's line (scenegen.check).
        slow: runs in `make test-slow` alone.
    """

    name: str
    command: str
    build: Callable[[Path], object] | None = None
    words: tuple[str, ...] = ()
    status: int = 1
    spared: tuple[str, ...] = ()
    after: Callable[[Finished], None] | None = None
    seconds: float = 60
    env: tuple[tuple[str, str], ...] = ()
    report: bool = False
    slow: bool = False


def each(rows: Sequence[Row], *, quick: int | None = None) -> Callable[[Row], None]:
    """A test that checks every row: `test_numbers = each(NUMBERS)`.

    Args:
        rows: the rows; no two of one name.
        quick: number of rows that run in `make test`, spread over the table; the others run in `make test-slow`.
            None: all that are not slow themselves.
    """
    names = [row.name for row in rows]
    doubled = sorted({name for name in names if names.count(name) > 1})
    assert not doubled, f"rows of one name: {doubled}"
    idle = [row.name for row in rows if not proves(row)]
    assert not idle, f"rows that expect no word but those of their command: {idle}"
    may = [name for name, row in zip(names, rows, strict=True) if not row.slow]
    count = len(may) if quick is None else quick
    assert count <= len(may), f"{count} quick rows of {len(may)}"
    chosen = {may[place * len(may) // count] for place in range(count)}
    marked = [pytest.param(row, id=row.name, marks=() if row.name in chosen else pytest.mark.slow) for row in rows]

    @pytest.mark.parametrize("row", marked)
    def test(row: Row) -> None:
        check(row)

    return test


def proves(row: Row) -> bool:
    """Whether what a row expects says more than its command, which any sentence may repeat."""
    own = [word for word in row.words if word not in row.command and word.strip("'\"") not in row.command]
    return bool(own) or (row.status == 0 and row.after is not None)


def check(row: Row) -> Finished:
    """Run a row's command and look at everything that a refusal must hold."""
    with tempfile.TemporaryDirectory(prefix="row-") as made:
        root = Path(made).resolve()
        here = root / "above" / "here"
        here.mkdir(parents=True)
        (root / "temporary").mkdir()
        if row.build is not None:
            row.build(here)
        before = listing(root)
        verb, *overrides = shlex.split(row.command)
        env = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(root / "temporary"), "COLUMNS": "100",
               "SCENEGEN_CACHE": os.environ.get("SCENEGEN_CACHE", str(root / "cache")),
               "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", **dict(row.env)}  # fmt: skip
        status, out, err, seen = WARM.run(
            [f"scenegen.{verb}", *overrides], cwd=here, env=env, timeout=300 + row.seconds, root=root
        )
        told = f"\nstatus {status}\n{out[-3000:]}\n{err[-5000:]}"
        assert status == row.status, told
        assert "Traceback" not in out + err, told
        assert "defect of scenegen" not in out + err, told
        assert not CONTROL.search(out + err.replace("\r", "")), told
        assert not [line for line in out.splitlines() if line.startswith("error: ")], told
        if row.status and not row.report:
            lines = err.replace("\r", "\n").splitlines()
            starts = [place for place, line in enumerate(lines) if line.startswith("error: ")]
            assert len(starts) == 1, told
            said = "\n".join(lines[starts[0] :])
        else:
            said = out + err
        for word in row.words:
            assert word in said, f"no {word!r} in:{told}"
        used = dict(line.split(" ", 1) for line in seen[-3:] if line.startswith(("memory ", "seconds ")))
        strange = [line for line in seen if not line.startswith(("memory ", "seconds "))]
        assert not strange, f"{strange}{told}"
        assert float(used["memory"]) < LIMIT_MIB, f"{used['memory']} MiB{told}"
        assert float(used["seconds"]) < row.seconds, f"{used['seconds']} s of a core{told}"
        changed = sorted(
            name for name, content in _differences(before, listing(root))
            if not any(fnmatch(name.removeprefix("above/here/"), pattern) for pattern in row.spared)
            and (name, content) != (HOME, "folder")
        )  # fmt: skip
        assert not changed, f"changed: {changed}{told}"
        finished = Finished(status=status, out=out, err=err, here=here)
        if row.after is not None:
            row.after(finished)
        for folder, _, _ in os.walk(root):  # what a row made unreadable
            os.chmod(folder, 0o700)
        return finished


def listing(root: Path) -> dict[str, str]:
    """Every file below a folder: its kind, and its content's hash, or where a link leads."""
    return dict(_entries(root, ""))


def _entries(folder: Path, inside: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        return
    for entry in entries:
        name, mode = inside + entry.name, entry.stat(follow_symlinks=False).st_mode
        if entry.is_symlink():
            yield name, f"link to {os.readlink(entry.path)}"
        elif stat.S_ISDIR(mode):
            yield name, "folder"
            yield from _entries(Path(entry.path), f"{name}/")
        elif stat.S_ISREG(mode) and os.access(entry.path, os.R_OK):
            yield name, hashlib.blake2b(Path(entry.path).read_bytes()).hexdigest()
        else:
            yield name, f"mode {mode}"


def _differences(before: dict[str, str], after: dict[str, str]) -> Iterator[tuple[str, str | None]]:
    for name in before.keys() | after.keys():
        if before.get(name) != after.get(name):
            yield name, after.get(name)
