"""One process at a time trains in a folder, and a dead one holds nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scenegen.base.refusal import Refusal
from scenegen.runs.lock import LOCK, held, holder


def child(folder: Path, *, fork_again: bool = False) -> tuple[int, int]:
    """Process that holds the folder until it is killed, and that of its own child (0 without one)."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with held(folder):
                other = os.fork() if fork_again else -1
                if other != 0:
                    os.write(write, f"{max(other, 0)}\n".encode())
                signal.pause()
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as told:
        return pid, int(told.readline())


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_the_second_process_is_refused_and_hears_of_the_first(tmp_path: Path) -> None:
    first, _ = child(tmp_path)
    try:
        with pytest.raises(Refusal, match=rf"in use by process {first} on .*kill {first}"), held(tmp_path):
            pass
        found = holder(tmp_path)
        assert found is not None
        assert found.pid == first
    finally:
        end(first)


def test_a_killed_process_holds_nothing_even_while_its_workers_live(tmp_path: Path) -> None:
    first, worker = child(tmp_path, fork_again=True)
    end(first)
    try:
        os.kill(worker, 0)  # the worker lives on
        assert holder(tmp_path) is None
        with held(tmp_path):
            assert (tmp_path / LOCK).is_file()
    finally:
        os.kill(worker, signal.SIGKILL)


def test_the_folder_is_as_before_after_a_good_end(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    with held(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_of_another_is_left_alone_by_the_refused(tmp_path: Path) -> None:
    first, _ = child(tmp_path)
    try:
        with pytest.raises(Refusal), held(tmp_path):
            pass
        assert (tmp_path / LOCK).is_file()
    finally:
        end(first)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(Refusal, match="cannot be written"), held(tmp_path):
        pass
