"""Fixtures of every test: the folder of fixtures and real pictures, when it is there."""

from __future__ import annotations

import gc
import os
from collections import Counter
from pathlib import Path

import pytest
import torch

from .hydra_once import read_once
from .shared_folder import HERE, REASON, SHARED

# Nets this small lose far more than they gain when threads wait for each other.
torch.set_num_threads(int(os.environ.get("SCENEGEN_TEST_THREADS", "1")))

read_once()
gc.disable()  # half a million objects are made until the tests are collected, and stay


LONG = {"run", "each", "fit", "WARM", "subprocess", "processes", "mp", "fuzz"}
"""Names in a file whose tests run commands, train, start processes or fuzz."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files go first, then those of many tests: short ones fill both cores to the end."""
    tests = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[bool, int, str]:
        short = isinstance(item, pytest.Function) and LONG.isdisjoint(vars(item.module))
        return short, -tests[item.path], str(item.path)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of every later collection of garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Statistics that tests keep go to a folder of their own, also those of the commands that they start."""
    os.environ["SCENEGEN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the parity fixtures and real pictures."""
    if not HERE:
        pytest.skip(REASON)
    return SHARED
