"""Ctrl-C and SIGTERM of a run: a step that is being made is finished and saved; anything else ends at once."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """End of a run by a signal. Like KeyboardInterrupt it is no Exception: no logger may contain it.

    Attributes:
        number: the signal.
        step: of the checkpoint that was saved for it; None where none was.
    """

    def __init__(self, number: int, *, step: int | None = None) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number
        self.step = step

    @property
    def status(self) -> int:
        """Exit status: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


class Signals:
    """Handlers of SIGINT and SIGTERM for the length of a block, in the process that enters it.

    Raises:
        Stopped: from wherever the process is, unless steps are being made (`graceful`) and it is the first signal.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.graceful = False
        self._owner = os.getpid()
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        self._former = {number: signal.getsignal(number) for number in SIGNALS}
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def install(self) -> None:
        """Take the signals, also from Lightning, which registers handlers of its own when it starts."""
        for number in SIGNALS:
            if self._former.get(number) is not signal.SIG_IGN:  # nohup and background shells ignore them
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            return  # a process that loads pictures: its parent ends it
        first, self.received = self.received is None, number
        if not (first and self.graceful):
            raise Stopped(number)
        sys.stderr.write("\nending after this step, with a checkpoint; once more ends at once\n")
        sys.stderr.flush()
