"""Failures of a logger, which never end a run."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Protocol

from scenegen.runs.checkpoints import first_line


class Complaining(Protocol):
    """A logger with its name in sentences, and whether it has said what fails."""

    title: str
    complained: bool


def contained(method: Callable[..., Any]) -> Callable[..., Any]:
    """A logger's method whose failure is reported once and does not end the run."""

    @functools.wraps(method)
    def safely(self: Complaining, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # no logger's failure, whatever it is, ends a training
            if not self.complained:
                self.complained = True
                sentence = (
                    f"{self.title}: {first_line(error).rstrip('.')}; the run goes on, metrics.csv has every number"
                )
                print(sentence, file=sys.stderr)
            return None

    return safely
