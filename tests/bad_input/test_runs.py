"""Runs that are not there, not whole or not theirs."""

from __future__ import annotations

from tests.table import Row, check, each
from tests.worlds import checkpoint, trained, write

ROWS = [
    Row("no-run", "sample run=b", trained, ("'b'", " a")),
    Row("empty-checkpoint", "sample run=a", lambda here: write(checkpoint(trained(here)), b""), ("step_0000002.ckpt",)),
]


@each(ROWS)
def test_refused(row: Row) -> None:
    check(row)
