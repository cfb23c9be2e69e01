"""Fixtures of every test: the folder of fixtures and real pictures, when it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from .hydra_once import read_once
from .shared_folder import HERE, REASON, SHARED

# Nets this small lose far more than they gain when threads wait for each other.
torch.set_num_threads(int(os.environ.get("SCENEGEN_TEST_THREADS", "1")))

read_once()


LONG = {"run", "each", "fit", "WARM"}
"""Names in a file whose tests run commands or train."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run commands or train go first, so that the short ones fill both cores to the end."""
    items.sort(key=lambda item: isinstance(item, pytest.Function) and LONG.isdisjoint(vars(item.module)))


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
