"""Fixtures of every test: the folder of fixtures and real pictures, when it is there."""

from __future__ import annotations

import atexit
import gc
import os
from collections import Counter
from pathlib import Path

import pytest

from .hydra_once import read_once
from .shared_folder import HERE, REASON, SHARED


def pytest_configure(config: pytest.Config) -> None:
    """Set up what runs tests; the process that deals them out to workers imports no libraries: they start at once."""
    if config.getoption("numprocesses", None):
        return
    import torch

    # Nets this small lose far more than they gain when threads wait for each other.
    torch.set_num_threads(int(os.environ.get("SCENEGEN_TEST_THREADS", "1")))
    read_once()
    gc.disable()  # half a million objects are made until the tests are collected, and stay


LONGEST = (
    "test_families.py",
    "test_recipes.py",
    "test_words.py",
    "test_killed.py",
    "test_train.py",
    "test_task.py",
    "test_export.py",
    "test_ddp.py",
    "test_compose.py",
    "test_lookup.py",
    "test_check_losses.py",
    "test_cocosnetv2.py",
    "test_own_maps.py",
    "test_oasis.py",
    "test_gaugan.py",
    "test_device_waits.py",
    "test_segmentation.py",
    "test_bad_input.py",
    "test_adding.py",
    "test_resume.py",
    "test_terms_train.py",
    "test_world.py",
    "test_sweep.py",
    "test_retrieve.py",
    "test_score.py",
    "test_convert.py",
)
"""Names of the files that take longest, from half a minute of a core to some seconds."""
LONG = {"run", "each", "fit", "WARM", "subprocess", "processes", "mp", "fuzz"}
"""Names in a file whose tests run commands, train, start processes or fuzz."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files go first, then long ones, then those of many tests: short ones fill both cores to the end."""
    tests = Counter(item.path for item in items)
    places = {name: place for place, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> tuple[int, bool, int, str]:
        short = isinstance(item, pytest.Function) and LONG.isdisjoint(vars(item.module))
        return places.get(item.path.name, len(places)), short, -tests[item.path], str(item.path)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of every later collection of garbage."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # triton's library counts what is left at the end
    gc.set_threshold(20_000, 10, 10)  # configs are made of many objects: at Python's 700 it is a twentieth of the time
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
