"""What the tables' harness notices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.command_line import WARM
from tests.table import Row, check, each
from tests.worlds import picture

MISDEEDS = {
    "write outside": ("open('../outside', 'w')", "open "),
    "make a folder outside": ("import os; os.mkdir('../folder')", "os.mkdir"),
    "start a program": ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
    "start a shell": ("import os; os.system('true')", "os.system"),
    "ask a network": ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect"),
    "unpickle": ("import pickle; pickle.loads(pickle.dumps(print))", "pickle.find_class"),
    "import from the folder": ("import mine", "exec "),
    "leave a process": ("import os, time; os.fork() or time.sleep(30)", "left a process"),
}


@pytest.mark.parametrize("name", MISDEEDS)
def test_misdeeds_are_seen(name: str, tmp_path: Path) -> None:
    code, seen = MISDEEDS[name]
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.py").touch()
    (here / "misdeed.py").write_text(code)
    env = {**os.environ, "SCENEGEN_CACHE": str(tmp_path / "cache")}
    told = WARM.run(["misdeed"], cwd=here, env=env, timeout=300, root=here)[3]
    assert any(line.startswith(seen) for line in told), told


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (Row("", "post generated=in out=made post=bicubic", words=("no such words",), status=0), "no such words"),
        (Row("", "post generated=in out=made post=bicubic", status=0), "changed"),
        (Row("", "post generated=in out=made post=bicubic"), "status 0"),
        (Row("", "post generated=none out=made", words=("something else",)), "something else"),
    ],
)
def test_what_a_row_complains_about(row: Row, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check(Row(**{**vars(row), "build": lambda here: picture(here / "in" / "a.png")}))


@pytest.mark.parametrize(
    ("row", "idle"),
    [
        (Row("echo", "train steps=0", words=("steps=0", "'steps'")), True),
        (Row("nothing", "train steps=0"), True),
        (Row("nothing, and all is well", "train steps=1", status=0), True),
        (Row("own words", "train steps=0", words=("steps=0", "1 or more")), False),
        (Row("a look", "train steps=1", status=0, after=print), False),
    ],
)
def test_a_row_expects_more_than_its_own_command(row: Row, idle: bool) -> None:
    if idle:
        with pytest.raises(AssertionError, match=row.name):
            each([row])
    else:
        each([row])
