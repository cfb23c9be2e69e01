"""Marks the parity tests `shared` where ../shared lies beside the clone: there they read all of its cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..shared_folder import HERE

FOLDER = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE and FOLDER in item.path.parents:
            item.add_marker(pytest.mark.shared)
