"""What a command and the jobs that it starts know of each other. Every command reads it, so it imports little."""

from __future__ import annotations

import os
import sys

RETURN_VARIABLE = "SCENEGEN_RETURN"
"""A launcher that runs a job in a separate process names here the file that takes the job's return value."""


def program() -> list[str]:
    """Python's arguments that start this program again, for the jobs."""
    main = sys.modules["__main__"].__spec__
    return ["-m", main.name] if main else [os.path.abspath(sys.argv[0])]
