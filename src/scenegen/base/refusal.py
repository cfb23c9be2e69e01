"""The one error that input can cause; free of imports, so that a command can explain it before torch is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class Refusal(ValueError):
    """Input that cannot be used, in one sentence: what is wrong, where, and what would be right.

    Commands print it without a traceback and exit with status 1.
    """


def causes(
    error: BaseException, behind: Callable[[BaseException], BaseException | None] = lambda error: error.__cause__
) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on; each once, although a chain of causes may be a circle.

    Args:
        error: the error.
        behind: error -> the one behind it, None at the end.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = behind(cause)
