"""Fixtures of every parity test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def plain_convolutions() -> Iterator[None]:
    """torch's own convolutions in place of oneDNN's, whose last bits differ from one processor to the next.

    A sum that cancels, or a pick among near-equal matches, then comes out as it was recorded, within the recorded
    tolerance.
    """
    with torch.backends.mkldnn.flags(enabled=False):
        yield
