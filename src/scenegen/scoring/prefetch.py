"""Reading ahead: the next batch is decoded in a thread while the networks look at this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

DEPTH = 2


def ahead(make: Callable[[Item], Made], items: Iterable[Item], *, depth: int = DEPTH) -> Iterator[Made]:
    """make(item) for every item in order, up to `depth` of them before they are asked for.

    One thread calls `make`, so it need not be safe for several; an error of it is raised in its turn.
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        try:
            for item in items:
                waiting.append(thread.submit(make, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
